"""The speaker vector an utterance comes with, from stored utterance embeddings."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from emorec_lobes.corpora.manifest import Utterance
from emorec_lobes.errors import ConfigError, not_one_of
from emorec_lobes.features.store import FeatureStore

MODES = ("speaker", "utterance", "none")


@dataclass(frozen=True)
class Enrolment:
    """Which vector every utterance gets, and which utterances it was averaged from."""

    vectors: dict[str, Tensor]  # utterance id -> (E,)
    enrolled: dict[str, list[str]]  # speaker -> ids averaged, empty unless mode is `speaker`


def enrol(
    store: FeatureStore,
    utterances: Mapping[str, Utterance],
    mode: str,
    max_utterances: int,
    seed: Iterable[int],
    renormalise: bool = False,
    leave_one_out: bool = False,
) -> Enrolment:
    """Makes the speaker vectors.

    Source: Makiuchi 2021, section 4.1: the mean of 100 random utterances a speaker.
    Deviates: the draw is seeded and recorded, and a speaker with fewer utterances uses all.

    Arguments
    ---------
    store : FeatureStore
        One embedding an utterance, (1, E).
    utterances : mapping
        id -> `Utterance`. No label is looked at: a recipe gives it a manifest `without_labels`.
    mode : str
        `speaker` (mean over the speaker's utterances), `utterance` (its own embedding only)
        or `none` (zeros: the model is told nothing about the speaker).
    max_utterances : int
        Utterances averaged for a speaker, at most.
    seed : iterable of int
        Seeds the draw.
    renormalise : bool
        Brings the mean back to unit length.
    leave_one_out : bool
        Leaves an utterance out of its own speaker's mean.

    Raises
    ------
    ConfigError
        If the mode is unknown, or is `speaker` and an utterance has no speaker.
    """
    if mode not in MODES:
        raise ConfigError(not_one_of("enrolment", mode, MODES))
    embeddings = {utterance_id: store.read(utterance_id)[0].float() for utterance_id in utterances}
    if mode == "none":
        return Enrolment({utterance_id: torch.zeros_like(vector) for utterance_id, vector in embeddings.items()}, {})
    if mode == "utterance":
        return Enrolment(embeddings, {})
    enrolled = draw_enrolment(utterances, max_utterances, seed)
    vectors = {}
    for utterance_id, utterance in utterances.items():
        ids = enrolled[str(utterance.speaker)]
        if leave_one_out and len(ids) > 1:
            ids = [item for item in ids if item != utterance_id]
        mean = torch.stack([embeddings[item] for item in ids]).mean(dim=0)
        vectors[utterance_id] = torch.nn.functional.normalize(mean, dim=0) if renormalise else mean
    return Enrolment(vectors, enrolled)


def draw_enrolment(
    utterances: Mapping[str, Utterance], max_utterances: int, seed: Iterable[int]
) -> dict[str, list[str]]:
    """The utterances averaged for each speaker: a seeded draw, the same on every machine."""
    ids_of = defaultdict(list)
    for utterance_id in sorted(utterances):
        speaker = utterances[utterance_id].speaker
        if speaker is None:
            raise ConfigError(
                f"`enrolment` is speaker, but {utterance_id!r} has no speaker. Give the corpus a speaker column, "
                "or use --enrolment utterance."
            )
        ids_of[speaker].append(utterance_id)
    generator = np.random.default_rng(list(seed))
    return {
        speaker: sorted(str(item) for item in generator.permutation(ids)[:max_utterances])
        for speaker, ids in sorted(ids_of.items())
    }
