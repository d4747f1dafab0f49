"""What the raters of a manifest heard: for records, and as targets of a training."""

import hashlib
import json
from collections.abc import Mapping

import torch
from torch import Tensor

from emorec_lobes.corpora.manifest import Utterance, with_labels
from emorec_lobes.errors import ConfigError
from emorec_lobes.evaluation.raters import Ratings, soft_labels, votes_of
from emorec_lobes.experiments.settings import Settings


def given_ratings(utterances: Mapping[str, Utterance]) -> Ratings:
    """The ratings of a manifest by id; empty where it has none.

    Raises
    ------
    DataError
        If one is no canonical emotion.
    """
    found = {key: item.ratings for key, item in utterances.items() if item.ratings}
    votes_of(found)  # refuses what cannot be counted
    return found


def soft_targets(settings: Settings, utterances: Mapping[str, Utterance]) -> dict[str, Tensor] | None:
    """Of `soft_labels: True`, what share of an utterance's raters named each class, (K,); else None.

    An utterance that nobody rated, or rated as none of the classes, is not in it: its label is all its target.

    Raises
    ------
    ConfigError
        If there is no utterance with such a share.
    """
    if not settings["soft_labels"]:
        return None
    found = soft_labels(given_ratings(with_labels(utterances)), settings["labels"])
    if not found:
        raise ConfigError(
            "`soft_labels` must be False for a corpus whose manifest has no ratings, but is True instead. "
            "Leave it out, or give the ratings: see recipes/IEMOCAP/README.md."
        )
    return {key: torch.tensor(shares, dtype=torch.float32) for key, shares in found.items()}


def soft_features(targets: Mapping[str, Tensor] | None) -> dict[str, str]:
    """What a fold's fingerprint keeps of soft targets: nothing, or 12 hex digits."""
    if targets is None:
        return {}
    content = json.dumps({key: each.tolist() for key, each in sorted(targets.items())})
    return {"soft_labels": hashlib.sha256(content.encode()).hexdigest()[:12]}


def soft_stamp(targets: Mapping[str, Tensor] | None) -> dict[str, str]:
    """What the protocol stamp says of soft targets: nothing where there are none."""
    if targets is None:
        return {}
    return {"trained_on": f"the raters' votes, which {len(targets)} utterances of the corpus have"}
