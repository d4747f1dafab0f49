"""Manifest and token store -> the datasets a text emotion model trains and is tested on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from speechbrain.dataio.dataset import DynamicItemDataset
from torch import Tensor

from emorec_lobes.corpora.manifest import Utterance, emotions_of
from emorec_lobes.dataio.soft_targets import training_target
from emorec_lobes.dataio.speech import DrawDataset
from emorec_lobes.features.store import FeatureStore
from emorec_lobes.labels import class_index


@dataclass(frozen=True)
class TextData:
    """Everything that turns an utterance id into model input.

    Arguments
    ---------
    utterances : mapping
        id -> `Utterance`.
    labels : sequence of str
        Class order; a target is an index into it.
    tokens : FeatureStore
        (N, L, D) per utterance.
    soft_targets : mapping, optional
        id -> shares of the classes, (K,), that training has in place of the class, where an utterance has them.
    """

    utterances: Mapping[str, Utterance]
    labels: Sequence[str]
    tokens: FeatureStore
    soft_targets: Mapping[str, Tensor] | None = None

    def target(self, utterance_id: str, fraction: float = 0.0) -> int:
        """Class index of an utterance; of several emotions it has in training, a draw's fraction says which."""
        emotions = emotions_of(self.utterances[utterance_id])
        return class_index(emotions[int(fraction * len(emotions))], self.labels)

    def training_target(self, utterance_id: str, fraction: float) -> int | Tensor:
        """As `target`, or, with `soft_targets`, the utterance's shares of the classes."""
        return training_target(utterance_id, self.target(utterance_id, fraction), len(self.labels), self.soft_targets)

    def draws_dataset(self, ids: Sequence[str]) -> DrawDataset:
        """Training items: tokens and class."""
        dataset = DrawDataset({item: {"draw": 0.0} for item in ids})
        dataset.add_dynamic_item(self.training_target, takes=["id", "draw"], provides="target")
        self._add_tokens(dataset)
        return dataset

    def utterances_dataset(self, ids: Sequence[str]) -> DynamicItemDataset:
        """Evaluation items: the same, longest first so that batches pad little."""
        ordered = sorted(ids, key=lambda item: (-self.tokens.num_frames(item), item))
        dataset = DynamicItemDataset({item: {} for item in ordered})
        dataset.add_dynamic_item(self.target, takes="id", provides="target")
        self._add_tokens(dataset)
        return dataset

    def _add_tokens(self, dataset: DynamicItemDataset) -> None:
        dataset.add_dynamic_item(self.tokens.read, takes="id", provides="tokens")
        dataset.set_output_keys(["id", "tokens", "target"])
