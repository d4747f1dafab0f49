"""The cross-representation speech model of train_ser.py, answering for whole utterances."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from emorec_lobes.dataio.crops import pad_frames, segment_bounds
from emorec_lobes.inference.batch import Batch, Scores, Tap, weighted_means
from emorec_lobes.inference.layers import Layers, SpeakerVectors

# Segments that go through the model together: a long file must not fill the memory.
_SEGMENTS = 64


class SpeechSystem:
    """Waves in, probabilities out.

    Arguments
    ---------
    hparams : mapping
        Of the training.
    model : torch.nn.Module
        A `CrossRepresentation`, trained, on its device.
    device, precision : str
        As `load_encoder`.
    """

    takes_audio = True
    takes_text = False

    def __init__(self, hparams: Mapping[str, Any], model: nn.Module, device: str, precision: str) -> None:
        self._crop_frames = hparams["crop_frames"]
        self._keep_single_frame_tail = hparams["keep_single_frame_tail"]
        self._by_frames = hparams["segment_weights"] == "frames"
        self._model, self._device = model, device
        self._tap = Tap(model.classifier.layers)
        self._layers = Layers(hparams, device, precision)
        self._speakers = SpeakerVectors(hparams)

    @property
    def knows_speakers(self) -> bool:
        """Whether enrolment changes anything."""
        return self._layers.knows_speakers or self._speakers.knows_speakers

    @property
    def needs_enrolment(self) -> bool:
        """Whether there is no answer without it."""
        return self._layers.knows_speakers

    def enrol(self, batches: list[Batch]) -> None:
        """Learns a speaker from their audio."""
        self._layers.enrol(batches)
        self._speakers.enrol(batches)

    @torch.inference_mode()
    def __call__(self, batch: Batch) -> Scores:
        """Mean softmax over an utterance's segments, weighted as in training's evaluation.

        The segments of all utterances go through the model together.
        """
        segments, counts, owners = self._segments(self._layers(batch))
        speakers = self._speakers(batch)[owners]
        probabilities, embeddings = [], []
        parts = (each.split(_SEGMENTS) for each in (segments, counts, speakers))
        for part, valid, speaker in zip(*parts, strict=True):
            inputs = (each.to(self._device) for each in (part, speaker))
            output = self._model(*inputs, num_valid=valid.to(self._device))
            probabilities.append(output.logits.float().softmax(dim=-1))
            embeddings.append(self._tap.seen)
        weights = counts if self._by_frames else torch.ones_like(counts)
        means = (torch.cat(each) for each in (probabilities, embeddings))
        return Scores(*(weighted_means(each, weights, owners, len(batch.waves)) for each in means))

    def _segments(self, layers: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Segments (N, T, L, D) of all utterances, the valid frames (N,) of each, and whose it is (N,)."""
        size = self._crop_frames
        cut = [
            (owner, each[start:stop])
            for owner, each in enumerate(layers)
            for start, stop in segment_bounds(len(each), size, self._keep_single_frame_tail)
        ]
        segments = torch.stack([pad_frames(frames, size) for _, frames in cut])
        return segments, torch.tensor([len(frames) for _, frames in cut]), torch.tensor([owner for owner, _ in cut])
