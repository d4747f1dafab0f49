"""Manifest and stored spectra -> the datasets a front end trains and is tested on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from speechbrain.dataio.dataset import DynamicItemDataset
from torch import Tensor

from emorec_lobes.corpora.manifest import Utterance
from emorec_lobes.dataio.crops import crop_start
from emorec_lobes.dataio.normalise import Normaliser
from emorec_lobes.dataio.soft_targets import training_target
from emorec_lobes.dataio.speech import DrawDataset
from emorec_lobes.features.store import FeatureStore
from emorec_lobes.labels import UNKNOWN_SPEAKER, class_index

# Evaluation on overlapping windows of the length of a crop, or on all of an utterance at once.
WINDOWS = ("overlapping", "whole")


@dataclass(frozen=True)
class SpectrumData:
    """Everything that turns an utterance id into model input.

    Source: Xi 2022 leaves the length of a training example open; 2 s, and windows that overlap by 1.6 s in testing,
    are what a public implementation of its group's earlier model uses.

    Arguments
    ---------
    utterances : mapping
        id -> `Utterance`.
    labels : sequence of str
        Class order; a target is an index into it.
    speakers : sequence of str
        Training speakers; others are unknown.
    spectra : FeatureStore
        (T, M) per utterance.
    normaliser : Normaliser
        Applied to the spectra.
    crop_frames : int
        Frames of a crop and of a window; a shorter utterance is repeated until it is as long.
    window_shift : int
        Frames from one window to the next; the last one ends with the utterance.
    copies : sequence of FeatureStore
        Spectra of augmented versions of the utterances; only crops are cut from them.
    soft_targets : mapping, optional
        id -> shares of the classes, (K,), that training has in place of the class, where an utterance has them.
    """

    utterances: Mapping[str, Utterance]
    labels: Sequence[str]
    speakers: Sequence[str]
    spectra: FeatureStore
    normaliser: Normaliser
    crop_frames: int
    window_shift: int
    copies: Sequence[FeatureStore] = ()
    soft_targets: Mapping[str, Tensor] | None = None

    def crop(self, utterance_id: str, fraction: float) -> Tensor:
        """Some consecutive frames, by a draw: (crop_frames, M).

        The original and its copies share [0, 1) evenly: a draw says which of them, and where in it.
        """
        version, fraction = divmod(fraction * (1 + len(self.copies)), 1)
        spectra = (self.spectra, *self.copies)[int(version)]
        start = crop_start(fraction, spectra.num_frames(utterance_id), self.crop_frames)
        frames = spectra.read(utterance_id, start, start + self.crop_frames)
        return _tiled(self.normaliser(utterance_id, frames, spectra), self.crop_frames)

    def windows(self, utterance_id: str) -> Tensor:
        """All windows of an utterance: (N, crop_frames, M)."""
        return windows_of(self.whole(utterance_id), self.crop_frames, self.window_shift)

    def whole(self, utterance_id: str) -> Tensor:
        """All frames of an utterance: (T, M)."""
        frames = self.spectra.read(utterance_id, 0, self.spectra.num_frames(utterance_id))
        return self.normaliser(utterance_id, frames).float()

    def target(self, utterance_id: str) -> int:
        """Class index of an utterance."""
        return class_index(self.utterances[utterance_id].emotion, self.labels)

    def training_target(self, utterance_id: str) -> int | Tensor:
        """Class index of an utterance, or, with `soft_targets`, its shares of the classes."""
        return training_target(utterance_id, self.target(utterance_id), len(self.labels), self.soft_targets)

    def speaker(self, utterance_id: str) -> int:
        """Index of an utterance's speaker among the training speakers, or -1."""
        speaker = self.utterances[utterance_id].speaker
        return self.speakers.index(speaker) if speaker in self.speakers else UNKNOWN_SPEAKER

    def crops_dataset(self, ids: Sequence[str]) -> DrawDataset:
        """Training items: a random crop, class and speaker."""
        dataset = DrawDataset({each: {"draw": 0.0} for each in ids})
        dataset.add_dynamic_item(self.crop, takes=["id", "draw"], provides="spectrum")
        dataset.add_dynamic_item(self.training_target, takes="id", provides="target")
        dataset.add_dynamic_item(self.speaker, takes="id", provides="speaker")
        dataset.set_output_keys(["id", "spectrum", "target", "speaker"])
        return dataset

    def utterances_dataset(self, ids: Sequence[str], windows: str) -> DynamicItemDataset:
        """Evaluation items, longest first so that batches pad little: as `windows` says, (N, t, M) or (T, M)."""
        ordered = sorted(ids, key=lambda each: (-self.spectra.num_frames(each), each))
        items: dict[str, dict[str, Any]] = {each: {} for each in ordered}
        dataset = DynamicItemDataset(items)
        provide = self.whole if windows == "whole" else self.windows
        dataset.add_dynamic_item(provide, takes="id", provides="spectrum")
        dataset.add_dynamic_item(self.target, takes="id", provides="target")
        dataset.set_output_keys(["id", "spectrum", "target"])
        return dataset


def windows_of(frames: Tensor, num_frames: int, shift: int) -> Tensor:
    """Windows that cover an utterance: (T, M) -> (N, num_frames, M).

    Arguments
    ---------
    frames : torch.Tensor, (T, M)
        Repeated until they fill a window, if they are fewer.
    num_frames : int
        Of a window.
    shift : int
        Frames from one window to the next; the last one ends with the utterance.

    Example
    -------
    >>> windows_of(torch.arange(6.0).unsqueeze(1), num_frames=4, shift=3).squeeze(-1)
    tensor([[0., 1., 2., 3.],
            [2., 3., 4., 5.]])
    """
    last = len(frames) - num_frames
    if last <= 0:
        return _tiled(frames, num_frames).unsqueeze(0)
    return torch.stack([frames[start : start + num_frames] for start in (*range(0, last, shift), last)])


def _tiled(frames: Tensor, num_frames: int) -> Tensor:
    """(t, M) -> (num_frames, M), by repeating what there is."""
    return frames.float()[torch.arange(num_frames) % len(frames)]
