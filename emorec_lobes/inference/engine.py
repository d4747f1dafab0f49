"""Runs a model over any number of utterances: in batches of about one length, each answer its utterance's own."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor, nn

from emorec_lobes.errors import ConfigError, DataError, not_one_of
from emorec_lobes.features.by_length import by_length
from emorec_lobes.features.huggingface_precision import ANSWERING
from emorec_lobes.inference.batch import Batch
from emorec_lobes.inference.checkpoint import SHAPE, CheckpointSystem
from emorec_lobes.inference.disentangled import DisentangledSystem
from emorec_lobes.inference.inputs import Heard
from emorec_lobes.inference.speech import SpeechSystem
from emorec_lobes.inference.texts import SpeechTextSystem, TextSystem
from emorec_lobes.units import SAMPLE_RATE_HZ

# Class of the network -> what asks it.
SYSTEMS = {
    "CrossRepresentation": SpeechSystem,
    "EmotionNetwork": DisentangledSystem,
    "TextCNN": TextSystem,
    "SpeechTextClassifier": SpeechTextSystem,
}

# Of a batch, padding included: 25 layers of 1024 over a minute are 0.3 GB.
_BATCH_SAMPLES = 60 * SAMPLE_RATE_HZ


class Score(NamedTuple):
    """What a model says of an utterance."""

    probabilities: np.ndarray
    """(K,)."""
    embedding: np.ndarray
    """(E,): what the classifier saw."""


class Engine:
    """A model with its front end.

    Arguments
    ---------
    hparams : mapping
        `labels`, and what the model was trained with.
    model : torch.nn.Module
        On its device.
    device, precision : str
        As `EmotionRecognizer`.
    batch_size : int

    Raises
    ------
    ConfigError
        If a value is unknown or missing.
    """

    def __init__(self, hparams: dict[str, Any], model: nn.Module, device: str, precision: str, batch_size: int) -> None:
        kind = type(model).__name__
        if kind not in SYSTEMS and not kind.endswith(SHAPE):
            raise ConfigError(not_one_of("model", kind, (*SYSTEMS, f"a {SHAPE}")))
        if precision not in ANSWERING:
            raise ConfigError(not_one_of("precision", precision, ANSWERING))
        if batch_size < 1:
            raise ConfigError(f"`batch_size` must be 1 or more, but is {batch_size} instead. Use 16.")
        self._batch_size, self._num_labels = batch_size, len(hparams["labels"])
        try:
            self.system = SYSTEMS.get(kind, CheckpointSystem)(hparams, model, device, precision)
        except KeyError as error:
            raise ConfigError(
                f"The hyperparameters of the model must have `{error.args[0]}`, but have not. Train or export it again."
            ) from None

    def scores(
        self, waves: Sequence[Tensor | None], texts: Sequence[str | None], names: Sequence[str]
    ) -> list[Score | None]:
        """One answer an utterance; None where the wave is None.

        Raises
        ------
        DataError
            If one of them cannot be judged, by its name.
        """
        found: list[Score | None] = [None] * len(waves)
        asked = [index for index, wave in enumerate(waves) if wave is not None]
        batch = Batch([waves[index] for index in asked], [texts[index] for index in asked], [names[i] for i in asked])
        for indices in self._batches(batch):
            part = self.system(batch.part(indices))
            for index, *row in zip(indices, *(column.numpy() for column in part), strict=True):
                found[asked[index]] = Score(*row)
        return found

    def rows(self, waves: Sequence[Tensor]) -> np.ndarray:
        """Probabilities (B, K); a row of NaN where a wave cannot be judged, e.g. since its detector hears no voice.

        What is computed together has a size that is a power of two: for each new shape oneDNN prepares something, and
        keeps it, so that the windows of a long recording would take more and more memory.
        """
        parts, start = [], 0
        for size in _powers_of_two(len(waves), self._batch_size):
            parts.append(self._rows(waves[start : start + size]))
            start += size
        return np.concatenate(parts)

    def _rows(self, waves: Sequence[Tensor]) -> np.ndarray:
        names = [f"window {index}" for index in range(len(waves))]
        try:
            return np.stack([each.probabilities for each in self.scores(waves, [None] * len(waves), names)])
        except DataError:
            if len(waves) == 1:
                return np.full((1, self._num_labels), np.nan)
            return np.concatenate([self._rows([wave]) for wave in waves])

    def enrol(self, heard: Sequence[Heard]) -> None:
        """Learns a speaker from their audio."""
        batch = Batch([each.wave for each in heard], [None] * len(heard), [each.name for each in heard])
        self.system.enrol([batch.part(indices) for indices in self._batches(batch)])

    def _batches(self, batch: Batch) -> list[list[int]]:
        sizes = map(len, batch.waves) if self.system.takes_audio else (len(text or "") for text in batch.texts)
        return list(by_length([max(1, size) for size in sizes], self._batch_size, _BATCH_SAMPLES))


def _powers_of_two(count: int, largest: int) -> Iterator[int]:
    """Sizes that add up to `count`: as large as they may be, none above `largest`."""
    size = 1 << (largest.bit_length() - 1)
    while count:
        while size > count:
            size //= 2
        yield size
        count -= size
