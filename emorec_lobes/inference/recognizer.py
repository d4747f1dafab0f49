"""A trained speech model answering for audio files."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from emorec_lobes.dataio.crops import pad_frames, segment_bounds
from emorec_lobes.dataio.normalise import whiten
from emorec_lobes.errors import ConfigError, DataError
from emorec_lobes.features.audio import load_audio
from emorec_lobes.features.speaker import SpeakerEmbedding
from emorec_lobes.features.speech import check_device, load_encoder
from emorec_lobes.inference.check import load_checked, target_of
from emorec_lobes.inference.weights import load_weights

_MODEL = "emorec_lobes.models.cross_representation.CrossRepresentation"
_KEYS = (
    "model",
    "labels",
    "encoder",
    "num_layers",
    "encoder_dim",
    "encoder_padding",
    "normalise",
    "enrolment",
    "crop_frames",
    "keep_single_frame_tail",
    "segment_weights",
)

# Segments that go through the model together: a long file must not fill the memory.
_SEGMENTS = 64


@dataclass(frozen=True)
class Prediction:
    """The answer for one utterance."""

    label: str
    probabilities: dict[str, float]  # every class of the model, summing to 1


class EmotionRecognizer:
    """Recognises the emotion of whole utterances with the model of one finished fold.

    Arguments
    ---------
    fold_folder : Path
        A run's `fold_<k>` folder: hyperparams.yaml, read without running what is not known to
        be safe, and model.safetensors, which must fit the model exactly.
    device : str

    Raises
    ------
    ConfigError
        If a file is missing or does not fit, or if the model needs more than one utterance of
        a speaker (`normalise: speaker`).
    """

    def __init__(self, fold_folder: Path, device: str = "cpu") -> None:
        check_device(device)
        folder = Path(fold_folder)
        held = target_of(folder / "hyperparams.yaml", "model")
        if held != _MODEL:
            raise ConfigError(
                f"{folder} must hold a model of train_ser.py, but holds {held.rpartition('.')[2] or 'none'} instead. "
                "Name a fold of such a run."
            )
        self.hparams = load_checked(folder / "hyperparams.yaml", _KEYS)
        if self.hparams["normalise"] == "speaker":
            raise ConfigError(
                f"The model in {folder} expects features normalised over a whole speaker, which one file cannot give. "
                "Use a model trained with normalise none or utterance."
            )
        self.labels: Sequence[str] = self.hparams["labels"]
        self.device = device
        self.model: nn.Module = self.hparams["model"].to(device).eval()
        load_weights(self.model, folder / "model.safetensors")
        self._encoder = load_encoder(
            self.hparams["encoder"],
            self.hparams["num_layers"],
            self.hparams["encoder_dim"],
            padding=self.hparams["encoder_padding"],
            device=device,
        )
        self._speaker = SpeakerEmbedding()

    def predict(self, path: Path) -> Prediction:
        """The emotion of one audio file; the speaker vector is the utterance's own.

        Raises
        ------
        DataError
            If the file cannot be used, or the encoder's layers of it are not finite.
        """
        wave = load_audio(Path(path))
        layers = self._encoder.layers(wave)
        if not torch.isfinite(layers).all():
            raise DataError(
                f"The layers of {path} must be finite, but are not. Check the weights of {self.hparams['encoder']}."
            )
        layers = as_stored(layers)
        if self.hparams["normalise"] == "utterance":
            std, mean = torch.std_mean(layers, dim=0, correction=0)
            layers = whiten(layers, mean, std)
        speaker = self._speaker(wave)
        if self.hparams["enrolment"] == "none":
            speaker = torch.zeros_like(speaker)
        probabilities = self._classify(layers, speaker).tolist()
        best = max(range(len(self.labels)), key=probabilities.__getitem__)
        return Prediction(self.labels[best], dict(zip(self.labels, probabilities, strict=True)))

    @torch.inference_mode()
    def _classify(self, layers: Tensor, speaker: Tensor) -> Tensor:
        """Mean softmax over the segments, weighted as in training's evaluation: (T, L, D), (1, E) -> (K,)."""
        size = self.hparams["crop_frames"]
        bounds = segment_bounds(len(layers), size, self.hparams["keep_single_frame_tail"])
        segments = torch.stack([pad_frames(layers[start:stop], size) for start, stop in bounds])
        counts = torch.tensor([stop - start for start, stop in bounds], device=self.device)
        logits = [
            self.model(part.to(self.device), speaker.to(self.device).expand(len(part), -1), num_valid=valid).logits
            for part, valid in zip(segments.split(_SEGMENTS), counts.split(_SEGMENTS), strict=True)
        ]
        weights = (counts if self.hparams["segment_weights"] == "frames" else torch.ones_like(counts)).float()
        probabilities = torch.cat(logits).float().softmax(dim=-1)
        # Not a matrix product: on a GPU that may be rounded to ten bits.
        return ((probabilities * weights.unsqueeze(-1)).sum(dim=0) / weights.sum()).cpu()


def as_stored(layers: Tensor) -> Tensor:
    """Rounded and clipped to half precision, as the store keeps layers in training.

    Example
    -------
    >>> as_stored(torch.tensor([1.0001, -1e6])).tolist()
    [1.0, -65504.0]
    """
    largest = torch.finfo(torch.float16).max
    return layers.clamp(-largest, largest).half().float()
