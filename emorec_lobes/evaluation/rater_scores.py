"""The section `raters` of a record: the human ceiling of a test, and a system by the standard of its raters."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from emorec_lobes.evaluation.calibration import log_probabilities
from emorec_lobes.evaluation.metrics import from_confusion, scores
from emorec_lobes.evaluation.predictions import Predictions
from emorec_lobes.evaluation.raters import (
    LEVELS,
    Ratings,
    against_label,
    against_others,
    columns_of,
    jensen_shannon,
    krippendorff_alpha,
    level_of,
    soft_labels,
    votes_of,
)
from emorec_lobes.evaluation.statistics import interval_of_counts
from emorec_lobes.labels import CANONICAL

RATED_METRICS = ("accuracy", "uar")


def rater_scores(
    tested: Predictions,
    ratings: Ratings,
    drawn: Sequence[str | None] | np.ndarray,
    unit: str = "speakers",
    seed: int = 0,
) -> dict[str, Any] | None:
    """The section `raters` of a record.

    Arguments
    ---------
    tested : Predictions
        Answers; those of utterances without ratings do not count here.
    ratings : mapping
        Id -> rater -> emotions; may hold other ids, and lack some.
    drawn : sequence of str or None, (N,)
        What intervals draw, by `tested`'s rows.
    unit : str
        What `drawn` are, for the reader.
    seed : int
        Of the intervals.

    Returns
    -------
    dict or None
        `num_utterances` with a rating, `ratings_per_utterance`, `outside` (share of the votes that no class has),
        `alpha`, `one_rater` (by `others` and `published`; `system` beside them), `soft` and `by_agreement`; None where
        no utterance has a rating. Where none has two raters there is no ceiling: `alpha` and `one_rater` are None.

    Example
    -------
    >>> answers = Predictions(["a", "b"], ["1"] * 2, ["test"] * 2, ["x", "y"], [0, 1], ("angry", "sad"),
    ...                       [[0.9, 0.1], [0.2, 0.8]])
    >>> heard = {"a": {"1": ["angry"], "2": ["angry"]}, "b": {"1": ["sad"], "2": ["angry"]}}
    >>> found = rater_scores(answers, heard, answers.speakers)
    >>> found["one_rater"]["others"]["accuracy"], found["one_rater"]["published"]["accuracy"]
    (0.5, 0.75)
    """
    votes = votes_of({item: ratings[item] for item in tested.ids.tolist() if item in ratings})
    if not votes:
        return None
    everyone = np.concatenate(list(votes.values()))
    rows = [row for row, item in enumerate(tested.ids.tolist()) if len(votes.get(item, ())) > 1]
    shared = [votes[tested.ids[row]] for row in rows]
    return {
        "num_utterances": len(votes),
        "ratings_per_utterance": len(everyone) / len(votes),
        "outside": max(0.0, float(1 - everyone[:, columns_of(tested.labels)].sum() / len(everyone))),
        "alpha": krippendorff_alpha(shared),
        "one_rater": _one_rater(tested, rows, shared, np.asarray(drawn, dtype=object)[rows], unit, seed),
        "soft": _soft_scores(tested, soft_labels(ratings, tested.labels)),
        "by_agreement": _by_agreement(tested, np.array(rows, dtype=np.int64), shared),
    }


def _one_rater(
    tested: Predictions, rows: Sequence[int], shared: Sequence[np.ndarray], drawn: np.ndarray, unit: str, seed: int
) -> dict[str, Any] | None:
    if not rows:
        return None
    labels, answers = tested.labels, np.eye(len(CANONICAL))[columns_of(tested.labels)][tested.predicted]
    targets = tested.targets.tolist()
    counts = {
        "others": [against_others(votes, labels) for votes in shared],
        "published": [against_label(votes, targets[row], labels) for votes, row in zip(shared, rows, strict=True)],
        "system": [against_label(answers[[row]], targets[row], labels) for row in rows],
    }
    return {name: _scored(np.array(each), drawn, unit, seed) for name, each in counts.items()}


def _scored(counts: np.ndarray, drawn: np.ndarray, unit: str, seed: int) -> dict[str, Any] | None:
    """Accuracy and UAR of summed counts, (N, K + 1, K + 1), with intervals; None where nothing is asked for."""
    asked = counts.sum(axis=(1, 2))
    if not asked.sum() > 0:
        return None
    found = from_confusion(counts.sum(axis=0))
    bands = {
        name: interval_of_counts(counts[asked > 0], drawn[asked > 0], name, seed=seed, unit=unit)
        for name in RATED_METRICS
    }
    scored = {name: float(found[name]) for name in RATED_METRICS}
    return {"num_utterances": int((asked > 0).sum()), **scored, "intervals": bands}


def _soft_scores(tested: Predictions, soft: Mapping[str, np.ndarray]) -> dict[str, Any] | None:
    rows = [row for row, item in enumerate(tested.ids.tolist()) if item in soft]
    if not rows:
        return None
    wanted, answered = np.array([soft[tested.ids[row]] for row in rows]), tested.probabilities[rows]
    answered = answered / answered.sum(axis=1, keepdims=True)
    return {
        "num_utterances": len(rows),
        "cross_entropy": float(-(wanted * log_probabilities(answered)).sum(axis=1).mean()),
        "entropy": float(-(wanted * log_probabilities(wanted)).sum(axis=1).mean()),
        "jensen_shannon": float(jensen_shannon(wanted, answered).mean()),
    }


def _by_agreement(tested: Predictions, rows: np.ndarray, shared: Sequence[np.ndarray]) -> list[dict[str, Any]]:
    """What the system, and one rater against the others, score at each level of agreement that there is."""
    levels = np.array([level_of(votes) for votes in shared])
    found = []
    for level in LEVELS:
        here = rows[levels == level] if len(rows) else rows
        if not len(here):
            continue
        own = scores(tested.targets[here], tested.predicted[here], tested.labels)
        members = [votes for votes, each in zip(shared, levels.tolist(), strict=True) if each == level]
        counts = sum(against_others(votes, tested.labels) for votes in members)
        human = float(from_confusion(counts)["accuracy"]) if counts.sum() > 0 else None
        row = {"level": level, **{name: own[name] for name in ("num_utterances", *RATED_METRICS)}}
        found.append({**row, "one_rater": human})
    return found
