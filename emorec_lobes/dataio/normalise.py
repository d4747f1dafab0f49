"""Normalisation of features per utterance or per speaker, from stored statistics."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from emorec_lobes.corpora.manifest import Utterance
from emorec_lobes.errors import ConfigError, not_one_of
from emorec_lobes.features.store import FeatureStore

NONE = "none"
MODES = (NONE, "utterance", "speaker")

# A feature that never moves has no scale: divide by this instead of by zero.
_MIN_STD = 1e-3


class Normaliser:
    """Brings stored frames to zero mean and unit variance, feature by feature.

    `speaker` pools all of a speaker's utterances, without looking at any label: a recipe gives it a manifest
    `without_labels`. For a test speaker the test audio itself sets the scale, which is why the mode is part
    of every result's protocol stamp.

    Arguments
    ---------
    store : FeatureStore
        Holds the statistics of each utterance.
    utterances : mapping
        id -> `Utterance`; every speaker's statistics are pooled over these.
    mode : str
        `none`, `utterance` or `speaker`.

    Raises
    ------
    ConfigError
        If the mode is unknown, or is `speaker` and an utterance has no speaker.
    """

    def __init__(self, store: FeatureStore, utterances: Mapping[str, Utterance], mode: str) -> None:
        if mode not in MODES:
            raise ConfigError(not_one_of("normalise", mode, MODES))
        self.store = store
        self.mode = mode
        self._speaker_of: dict[str, str] = {}
        self._of_speaker: dict[str, tuple[Tensor, Tensor]] = {}
        if mode == "speaker":
            self._pool(utterances)

    def __call__(self, utterance_id: str, frames: Tensor, store: FeatureStore | None = None) -> Tensor:
        """Normalises some frames of an utterance: (t, ...) -> (t, ...).

        `store` is where they come from, if that is another one: an augmented copy is an utterance of its own, but
        its speaker's statistics stay those of the originals.
        """
        if self.mode == NONE:
            return frames
        if self.mode == "utterance" and store is not None:
            return whiten(frames, *store.statistics(utterance_id))
        return whiten(frames, *self._scale(utterance_id))

    def statistics(self, utterance_id: str) -> tuple[Tensor, Tensor]:
        """Mean and (biased) standard deviation of an utterance's normalised frames; no frame is read.

        Returns
        -------
        mean, std : torch.Tensor, (L, D), float32
        """
        mean, std = self.store.statistics(utterance_id)
        if self.mode == NONE:
            return mean, std
        scale_mean, scale_std = self._scale(utterance_id)
        # Whitening is affine, so it does to the mean what it does to a frame, and only its scale to the deviation.
        return whiten(mean, scale_mean, scale_std), whiten(std, torch.zeros_like(std), scale_std)

    def _scale(self, utterance_id: str) -> tuple[Tensor, Tensor]:
        """Mean and deviation that the utterance's frames are whitened by."""
        if self.mode == "utterance":
            return self.store.statistics(utterance_id)
        return self._of_speaker[self._speaker_of[utterance_id]]

    def _pool(self, utterances: Mapping[str, Utterance]) -> None:
        ids_of = defaultdict(list)
        for utterance_id, utterance in utterances.items():
            if utterance.speaker is None:
                raise ConfigError(
                    f"`normalise` is speaker, but {utterance_id!r} has no speaker. Give the corpus a speaker column, "
                    "or use --normalise utterance."
                )
            self._speaker_of[utterance_id] = utterance.speaker
            ids_of[utterance.speaker].append(utterance_id)
        for speaker, ids in ids_of.items():
            statistics = [(self.store.num_frames(item), *self.store.statistics(item)) for item in ids]
            self._of_speaker[speaker] = pool_statistics(statistics)


def loses_own_mean(hparams: Any) -> bool:
    """Whether `subtract_mean` takes each spectrum's mean away; where features are normalised, `normalise` does instead.

    Example
    -------
    >>> loses_own_mean({"subtract_mean": True, "normalise": "speaker"})
    False
    """
    return hparams["subtract_mean"] and hparams["normalise"] == NONE


def whiten(frames: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Frames at zero mean and unit deviation; a feature that never moves becomes zero: (t, L, D) -> (t, L, D)."""
    return (frames.float() - mean) / std.clamp_min(_MIN_STD)


def pool_statistics(statistics: list[tuple[int, Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Mean and deviation of several parts taken together.

    Arguments
    ---------
    statistics : list of (num_frames, mean, std)
        One a part; the deviations are the biased ones (divided by the count).

    Returns
    -------
    (mean, std)

    Example
    -------
    >>> import torch
    >>> parts = torch.tensor([1.0, 3.0]), torch.tensor([5.0])
    >>> mean, std = pool_statistics([(len(p), p.mean(), p.std(correction=0)) for p in parts])
    >>> whole = torch.cat(parts)
    >>> bool(torch.isclose(mean, whole.mean())), bool(torch.isclose(std, whole.std(correction=0)))
    (True, True)
    """
    total = sum(count for count, _, _ in statistics)
    mean = sum(count * part.double() for count, part, _ in statistics) / total
    variance = sum(count * (std.double() ** 2 + (part.double() - mean) ** 2) for count, part, std in statistics) / total
    return mean.float(), variance.sqrt().float()
