"""Manifest and feature stores -> the datasets a speech emotion model trains and is tested on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from speechbrain.dataio.dataset import DynamicItemDataset
from torch import Tensor

from emorec_lobes.corpora.manifest import Utterance
from emorec_lobes.dataio.crops import crop_start, pad_frames, segment_bounds
from emorec_lobes.dataio.normalise import Normaliser
from emorec_lobes.dataio.sampler import Draw
from emorec_lobes.dataio.soft_targets import training_target
from emorec_lobes.errors import StoreError
from emorec_lobes.features.store import FeatureStore
from emorec_lobes.labels import class_index


class DrawDataset(DynamicItemDataset):
    """A `DynamicItemDataset` indexed by (index, fraction): the fraction becomes the item `draw`."""

    def __getitem__(self, index: Draw) -> dict[str, Any]:
        position, fraction = index
        utterance_id = self.data_ids[position]
        return self.pipeline.compute_outputs({"id": utterance_id, **self.data[utterance_id], "draw": fraction})


@dataclass(frozen=True)
class SpeechData:
    """Everything that turns an utterance id into model input.

    Arguments
    ---------
    utterances : mapping
        id -> `Utterance`.
    labels : sequence of str
        Class order; a target is an index into it.
    layers, mel, phones : FeatureStore
        (T, L, D), (T, M) and (T,) per utterance, on the same frames.
    speaker_vectors : mapping
        id -> (E,).
    normaliser : Normaliser
        Applied to the encoder layers.
    crop_frames : int
        Frames of a crop and of a segment.
    reaches_end, keep_single_frame_tail : bool
        See `dataio.crops`.
    copies : sequence of mapping
        `layers`, `mel` and `phones` of augmented versions of the utterances; only crops are cut from them.
    soft_targets : mapping, optional
        id -> shares of the classes, (K,), that training has in place of the class, where an utterance has them.
    """

    utterances: Mapping[str, Utterance]
    labels: Sequence[str]
    layers: FeatureStore
    mel: FeatureStore
    phones: FeatureStore
    speaker_vectors: Mapping[str, Tensor]
    normaliser: Normaliser
    crop_frames: int
    reaches_end: bool = True
    keep_single_frame_tail: bool = True
    copies: Sequence[Mapping[str, FeatureStore]] = ()
    soft_targets: Mapping[str, Tensor] | None = None

    def crop(self, utterance_id: str, fraction: float) -> tuple[Tensor, Tensor, Tensor, int]:
        """One crop, from one draw, of all that stands on the frame grid.

        The original and its copies share [0, 1) evenly: a draw says which of them, and where in it.

        Returns
        -------
        layers (crop_frames, L, D), mel (crop_frames, M), phones (crop_frames,), num_valid
            Short utterances are padded with zeros; `num_valid` counts the real frames.
        """
        version, fraction = divmod(fraction * (1 + len(self.copies)), 1)
        stores = (self._original, *self.copies)[int(version)]
        start = crop_start(fraction, _num_frames(utterance_id, stores), self.crop_frames, self.reaches_end)
        stop = start + self.crop_frames
        frames = self.normaliser(utterance_id, stores["layers"].read(utterance_id, start, stop), stores["layers"])
        mel = stores["mel"].read(utterance_id, start, stop).float()
        phones = stores["phones"].read(utterance_id, start, stop).long()
        return (*(pad_frames(part, self.crop_frames) for part in (frames, mel, phones)), len(frames))

    def segments(self, utterance_id: str) -> tuple[Tensor, Tensor]:
        """All segments of an utterance: layers (N, crop_frames, L, D) and num_valid (N,)."""
        bounds = segment_bounds(
            _num_frames(utterance_id, self._original), self.crop_frames, self.keep_single_frame_tail
        )
        frames = self.normaliser(utterance_id, self.layers.read(utterance_id, 0, bounds[-1][1]))
        parts = [pad_frames(frames[start:stop], self.crop_frames) for start, stop in bounds]
        return torch.stack(parts), torch.tensor([stop - start for start, stop in bounds])

    def target(self, emotion: str) -> int:
        """Class index of an emotion."""
        return class_index(emotion, self.labels)

    def training_target(self, utterance_id: str) -> int | Tensor:
        """Class index of an utterance, or, with `soft_targets`, its shares of the classes."""
        index = self.target(self.utterances[utterance_id].emotion)
        return training_target(utterance_id, index, len(self.labels), self.soft_targets)

    def crops_dataset(self, ids: Sequence[str]) -> DrawDataset:
        """Training items: a random crop, its mel and phone targets, speaker vector and class."""
        dataset = DrawDataset({item: {"draw": 0.0} for item in ids})
        dataset.add_dynamic_item(self.training_target, takes="id", provides="target")
        self._add_speaker_vector(dataset)
        parts = ["layers", "mel", "phones", "num_valid"]
        dataset.add_dynamic_item(self.crop, takes=["id", "draw"], provides=parts)
        dataset.set_output_keys(["id", "layers", "mel", "phones", "num_valid", "speaker_vector", "target"])
        return dataset

    def segments_dataset(self, ids: Sequence[str]) -> DynamicItemDataset:
        """Evaluation items: whole utterances as segments, longest first so that batches pad little."""
        ordered = sorted(ids, key=lambda item: (-self.utterances[item].duration, item))
        dataset = DynamicItemDataset({item: {"emotion": self.utterances[item].emotion} for item in ordered})
        dataset.add_dynamic_item(self.target, takes="emotion", provides="target")
        self._add_speaker_vector(dataset)
        dataset.add_dynamic_item(self.segments, takes=["id"], provides=["layers", "num_valid"])
        dataset.set_output_keys(["id", "layers", "num_valid", "speaker_vector", "target"])
        return dataset

    def _add_speaker_vector(self, dataset: DynamicItemDataset) -> None:
        dataset.add_dynamic_item(self.speaker_vectors.__getitem__, takes="id", provides="speaker_vector")

    @property
    def _original(self) -> dict[str, FeatureStore]:
        return {"layers": self.layers, "mel": self.mel, "phones": self.phones}


def _num_frames(utterance_id: str, stores: Mapping[str, FeatureStore]) -> int:
    counts = {store.num_frames(utterance_id) for store in stores.values()}
    if len(counts) != 1:
        raise StoreError(
            f"The features of {utterance_id!r} have {sorted(counts)} frames in their stores and must agree. "
            "Extract them again."
        )
    return counts.pop()
