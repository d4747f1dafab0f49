"""What several raters heard in each utterance: how far they agree, and how a system does by their standard.

What a rater says is shared evenly among the emotions that they name, so every rater counts alike; one who names none
is not asked.

| name | meaning |
|---|---|
| others | one rater against the majority of the others, a tie being the target in equal shares: the human ceiling |
| published | one rater against the corpus's label, of which their own vote is a part |

The first is a little low, since fewer make a majority than made the label, and the second flatters. Neither bounds a
system, which may learn what most people hear better than one of them hears it.

As an answer, an emotion outside of the classes is wrong; as the majority of the others, it is not asked for.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from emorec_lobes.errors import DataError, not_one_of
from emorec_lobes.labels import CANONICAL

Ratings = Mapping[str, Mapping[str, Sequence[str]]]  # id -> rater -> canonical emotions

# How far the raters of an utterance agree, by the share of their votes that the most frequent emotion has.
LEVELS = {
    "full": "all name the same",
    "majority": "more than half",
    "plurality": "half or less, but more than any other",
    "tied": "as many as another one",
}
_SAME = 1e-9  # shares that differ by less are equal


def votes_of(ratings: Ratings) -> dict[str, np.ndarray]:
    """Each utterance's votes, (R, C): a row a rater who named something, a column an emotion of `CANONICAL`.

    Raises
    ------
    DataError
        If a rating is not in `CANONICAL`.

    Example
    -------
    >>> votes_of({"u1": {"E1": ["angry"], "E2": ["angry", "sad"], "E3": []}})["u1"][:, [0, 3]]
    array([[1. , 0. ],
           [0.5, 0.5]])
    """
    found = {}
    for item, by_rater in ratings.items():
        rows = [_shares(named, item) for named in by_rater.values() if named]
        if rows:
            found[item] = np.array(rows)
    return found


def _shares(named: Sequence[str], item: str) -> np.ndarray:
    row = np.zeros(len(CANONICAL))
    for emotion in named:
        if emotion not in CANONICAL:
            raise DataError(f"{not_one_of('ratings', emotion, CANONICAL)} See {item!r}; run `emorec prepare` again.")
        row[CANONICAL.index(emotion)] += 1 / len(named)
    return row


def soft_labels(ratings: Ratings, labels: Sequence[str]) -> dict[str, np.ndarray]:
    """How the raters' votes spread over the classes, (K,), each summing to 1.

    Votes for what is not among `labels` are dropped and the rest is scaled up; an utterance with no other votes has no
    soft label, and is not in the result.

    Example
    -------
    >>> heard = {"u1": {"E1": ["angry"], "E2": ["frustrated"], "E3": ["sad"]}, "u2": {"E1": ["bored"]}}
    >>> soft_labels(heard, ["angry", "sad"])
    {'u1': array([0.5, 0.5])}
    """
    columns = columns_of(labels)
    kept = {item: votes[:, columns].sum(axis=0) for item, votes in votes_of(ratings).items()}
    return {item: row / row.sum() for item, row in kept.items() if row.sum() > 0}


def krippendorff_alpha(votes: Iterable[np.ndarray]) -> float | None:
    """Krippendorff's alpha for names without an order: 1 if all raters agree, 0 as by chance.

    Source: Krippendorff, Computing Krippendorff's Alpha-Reliability, 2011, section C (coincidences).

    Deviates: a vote that is shared among emotions counts in each by its share.

    Arguments
    ---------
    votes : iterable of np.ndarray, (R, C)
        Of each utterance; those of a single rater do not count.

    Returns
    -------
    float or None
        None where all votes are for one emotion, or no utterance has two raters.

    Example
    -------
    >>> round(krippendorff_alpha([np.eye(2)[[0, 0]], np.eye(2)[[0, 1]], np.eye(2)[[1, 1]]]), 3)
    0.444
    """
    pairable = [each for each in votes if len(each) > 1]
    if not pairable:
        return None
    agreed = sum((_pairs_that_agree(each) for each in pairable), 0.0)
    totals = sum(each.sum(axis=0) for each in pairable)
    count = totals.sum()
    by_chance = (totals * (totals - 1)).sum() / (count - 1)
    if count - by_chance < _SAME:
        return None
    return float(1 - (count - agreed) / (count - by_chance))


def _pairs_that_agree(votes: np.ndarray) -> float:
    """Of an utterance with R raters: sum over pairs of different raters of what they share, by R - 1."""
    together = votes.sum(axis=0)
    return float((together @ together - (votes * votes).sum()) / (len(votes) - 1))


def majority(votes: np.ndarray) -> np.ndarray:
    """The most frequent emotion, as shares, (C,); of several, each an equal one.

    Example
    -------
    >>> majority(np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]))
    array([0.5, 0.5, 0. ])
    """
    total = votes.sum(axis=0)
    first = total > total.max() - _SAME
    return first / first.sum()


def level_of(votes: np.ndarray) -> str:
    """One of `LEVELS`.

    Example
    -------
    >>> level_of(np.eye(3)[[0, 0, 1]]), level_of(np.eye(3)[[0, 1]])
    ('majority', 'tied')
    """
    shares = votes.mean(axis=0)
    if (majority(votes) > 0).sum() > 1:
        return "tied"
    if shares.max() > 1 - _SAME:
        return "full"
    return "majority" if shares.max() > 0.5 + _SAME else "plurality"


def against_others(votes: np.ndarray, labels: Sequence[str]) -> np.ndarray:
    """Confusion of an utterance's raters, each against the majority of the others, (K + 1, K + 1).

    The last row is empty, the last column is of answers outside of the classes. A rater weighs 1 / R.
    """
    counts = [np.outer(majority(np.delete(votes, rater, axis=0)), votes[rater]) for rater in range(len(votes))]
    return _on_classes(np.mean(counts, axis=0), labels)


def against_label(votes: np.ndarray, target: int, labels: Sequence[str]) -> np.ndarray:
    """Confusion of an utterance's raters, each against a class, as `against_others`."""
    asked = np.zeros(len(CANONICAL))
    asked[CANONICAL.index(labels[target])] = 1
    return _on_classes(np.outer(asked, votes.mean(axis=0)), labels)


def _on_classes(counts: np.ndarray, labels: Sequence[str]) -> np.ndarray:
    """(C, C) -> (K + 1, K + 1)."""
    asked, size = counts[columns_of(labels)], len(labels)
    found = np.zeros((size + 1, size + 1))
    found[:size, :size] = asked[:, columns_of(labels)]
    found[:size, size] = asked.sum(axis=1) - found[:size, :size].sum(axis=1)
    return found


def jensen_shannon(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Jensen-Shannon distance of distributions, base 2: (N, K), (N, K) -> (N,); 0 if equal, 1 if disjoint.

    Source: Endres and Schindelin, A New Metric for Probability Distributions, 2003: the root of the divergence.

    Example
    -------
    >>> jensen_shannon(np.array([[1.0, 0.0], [0.5, 0.5]]), np.array([[0.0, 1.0], [0.5, 0.5]]))
    array([1., 0.])
    """
    middle = (first + second) / 2
    divergence = (_relative_entropy(first, middle) + _relative_entropy(second, middle)) / 2
    return np.sqrt(np.maximum(divergence, 0))


def _relative_entropy(shares: np.ndarray, others: np.ndarray) -> np.ndarray:
    """In bits; `others` are positive wherever `shares` are."""
    some = shares > 0
    ratio = np.divide(shares, others, out=np.ones_like(shares), where=some)
    return (shares * np.log2(ratio)).sum(axis=1)


def columns_of(labels: Sequence[str]) -> list[int]:
    """Where classes stand in `CANONICAL`."""
    return [CANONICAL.index(label) for label in labels]
