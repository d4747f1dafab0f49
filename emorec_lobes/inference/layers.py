"""What a speech model is given: encoder layers, normalised as in training, and the speaker's vector."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from emorec_lobes.features.speaker import DIM, SpeakerEmbedding
from emorec_lobes.features.speech import load_encoder
from emorec_lobes.inference.batch import Batch, as_stored, check_finite
from emorec_lobes.inference.normalisation import Normalisation


class Layers:
    """The layers of a speech encoder, as the feature store would give them.

    Arguments
    ---------
    hparams : mapping
        `encoder`, `num_layers`, `encoder_dim`, `encoder_padding` and `normalise` of the training; and `encoder_layers`,
        those that the encoder has, where it has more than are used.
    device : str
    precision : str
        As `load_encoder`.
    """

    def __init__(self, hparams: Mapping[str, Any], device: str, precision: str) -> None:
        self._name = hparams["encoder"]
        self._normalise = Normalisation(hparams["normalise"])
        self._encoder = load_encoder(
            self._name,
            hparams.get("encoder_layers", hparams["num_layers"]),
            hparams["encoder_dim"],
            padding=hparams["encoder_padding"],
            device=device,
            precision=precision,
            kept_layers=hparams["num_layers"],
        )

    @property
    def knows_speakers(self) -> bool:
        """Whether a speaker's other audio sets the scale."""
        return self._normalise.by_speaker

    def enrol(self, batches: list[Batch]) -> None:
        """Takes the scale from all of a speaker's audio."""
        self._normalise.enrol(each for batch in batches for each in self._stored(batch))

    def __call__(self, batch: Batch) -> list[Tensor]:
        """The layers of each utterance, (T, L, D)."""
        return self._normalise(self._stored(batch))

    def _stored(self, batch: Batch) -> list[Tensor]:
        layers = self._encoder.batch(batch.waves)
        check_finite(layers, batch.names, self._name)
        return [as_stored(each) for each in layers]


class SpeakerVectors:
    """The speaker vector of each utterance: its own, or that of the enrolled speaker.

    Arguments
    ---------
    hparams : mapping
        `enrolment`, and `enrolment_options`, of the training.
    """

    def __init__(self, hparams: Mapping[str, Any]) -> None:
        self._renormalise = bool((hparams.get("enrolment_options") or {}).get("renormalise", False))
        self._embed = None if hparams["enrolment"] == "none" else SpeakerEmbedding()
        self._enrolled: Tensor | None = None

    @property
    def knows_speakers(self) -> bool:
        """Whether the model is told anything about the speaker."""
        return self._embed is not None

    def enrol(self, batches: list[Batch]) -> None:
        """Averages the vectors of a speaker's audio."""
        if self._embed is not None:
            mean = torch.cat([self._embed.batch(batch.waves) for batch in batches]).mean(dim=0, keepdim=True)
            self._enrolled = torch.nn.functional.normalize(mean, dim=1) if self._renormalise else mean

    def __call__(self, batch: Batch) -> Tensor:
        """One vector an utterance, (B, E)."""
        if self._embed is None:
            return torch.zeros(len(batch.waves), DIM)
        if self._enrolled is not None:
            return self._enrolled.expand(len(batch.waves), -1)
        return self._embed.batch(batch.waves)
