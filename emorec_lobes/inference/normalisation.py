"""Normalisation as in training, where a speaker is known by enrolment alone."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from emorec_lobes.dataio.normalise import NONE, pool_statistics, whiten


class Normalisation:
    """Brings frames to the scale that a model was trained on, as `dataio.normalise.Normaliser` does from a store.

    Arguments
    ---------
    mode : str
        `none`, `utterance` or `speaker`; the last needs `enrol` first.

    Example
    -------
    >>> normalise = Normalisation("speaker")
    >>> normalise.enrol([torch.tensor([[0.0], [4.0]])])
    >>> normalise([torch.tensor([[2.0], [6.0]])])[0].squeeze(1).tolist()
    [0.0, 2.0]
    """

    def __init__(self, mode: str) -> None:
        self.by_speaker = mode == "speaker"
        self._is_none = mode == NONE
        self._scale: tuple[Tensor, Tensor] | None = None

    def enrol(self, parts: Iterable[Tensor]) -> None:
        """Takes the scale from all of a speaker's utterances, (T, ...) each."""
        self._scale = pool_statistics([(len(each), *_statistics(each)) for each in parts])

    def __call__(self, parts: Sequence[Tensor]) -> list[Tensor]:
        """Normalises the frames of each utterance: (T, ...) -> (T, ...)."""
        if self._is_none:
            return list(parts)
        return [whiten(each, *(self._scale or _statistics(each))) for each in parts]


def _statistics(frames: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and biased deviation over time, as `pool_statistics` and `whiten` take them."""
    std, mean = torch.std_mean(frames, dim=0, correction=0)
    return mean, std
