"""Manifest, layers and tokens -> the datasets a model of speech and text trains and is tested on."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import torch
from speechbrain.dataio.dataset import DynamicItemDataset
from torch import Tensor

from emorec_lobes.corpora.manifest import Utterance
from emorec_lobes.dataio.crops import crop_start
from emorec_lobes.dataio.normalise import Normaliser
from emorec_lobes.dataio.speech import DrawDataset
from emorec_lobes.features.store import FeatureStore
from emorec_lobes.labels import class_index

INPUTS = ("speech", "text")


@dataclass(frozen=True)
class SpeechTextData:
    """Everything that turns an utterance id into model input.

    A side that is missing, or hidden, is one row of zeros, of which none counts.

    Arguments
    ---------
    utterances : mapping
        id -> `Utterance`.
    labels : sequence of str
        Class order; a target is an index into it.
    layers : FeatureStore
        (T, L, D) of each utterance.
    tokens : FeatureStore
        (N, L, D) of each utterance that has a text.
    with_text : collection of str
        The ids of those.
    normaliser : Normaliser
        Applied to the speech encoder's layers.
    crop_frames : int
        The most frames of an utterance that training sees at once.
    inputs : collection of str
        The sides that evaluation shows: `speech`, `text` or both.
    """

    utterances: Mapping[str, Utterance]
    labels: Sequence[str]
    layers: FeatureStore
    tokens: FeatureStore
    with_text: Collection[str]
    normaliser: Normaliser
    crop_frames: int
    inputs: Collection[str] = INPUTS

    def target(self, utterance_id: str) -> int:
        """Class index of an utterance."""
        return class_index(self.utterances[utterance_id].emotion, self.labels)

    def crop(self, utterance_id: str, fraction: float) -> tuple[Tensor, int]:
        """Some consecutive frames, by a draw, and how many: (t, L, D), t <= crop_frames."""
        start = crop_start(fraction, self.layers.num_frames(utterance_id), self.crop_frames)
        return self._frames(utterance_id, start, start + self.crop_frames)

    def speech(self, utterance_id: str) -> tuple[Tensor, int]:
        """All frames of an utterance, and how many: (T, L, D)."""
        return self._frames(utterance_id) if "speech" in self.inputs else (_nothing(self.layers), 0)

    def text(self, utterance_id: str) -> tuple[Tensor, int]:
        """All tokens of an utterance, and how many: (N, L, D)."""
        if "text" not in self.inputs or utterance_id not in self.with_text:
            return _nothing(self.tokens), 0
        tokens = self.tokens.read(utterance_id)
        return tokens, len(tokens)

    def crops_dataset(self, ids: Sequence[str]) -> DrawDataset:
        """Training items: a random crop, the whole text and the class."""
        dataset = DrawDataset({item: {"draw": 0.0} for item in ids})
        dataset.add_dynamic_item(self.crop, takes=["id", "draw"], provides=["layers", "num_frames"])
        self._add_common(dataset)
        return dataset

    def utterances_dataset(self, ids: Sequence[str]) -> DynamicItemDataset | None:
        """Evaluation items: whole utterances, longest first so that batches pad little.

        An utterance that has none of `inputs` is left out; where all are, there is no dataset.
        """
        shown = [item for item in ids if "speech" in self.inputs or item in self.with_text]
        if not shown:
            return None
        ordered = sorted(shown, key=lambda item: (-self.layers.num_frames(item), item))
        dataset = DynamicItemDataset({item: {} for item in ordered})
        dataset.add_dynamic_item(self.speech, takes="id", provides=["layers", "num_frames"])
        self._add_common(dataset)
        return dataset

    def _frames(self, utterance_id: str, start: int = 0, stop: int | None = None) -> tuple[Tensor, int]:
        frames = self.normaliser(utterance_id, self.layers.read(utterance_id, start, stop))
        return frames, len(frames)

    def _add_common(self, dataset: DynamicItemDataset) -> None:
        dataset.add_dynamic_item(self.text, takes="id", provides=["tokens", "num_tokens"])
        dataset.add_dynamic_item(self.target, takes="id", provides="target")
        dataset.set_output_keys(["id", "layers", "num_frames", "tokens", "num_tokens", "target"])


def _nothing(store: FeatureStore) -> Tensor:
    """One row of zeros: a batch is padded to its longest item, and needs one of some length."""
    return torch.zeros(1, *store.header.shape, dtype=getattr(torch, store.header.dtype))
