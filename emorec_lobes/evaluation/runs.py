"""How sure a system's score is, and its difference to another's: over seeds and over speakers at once."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from emorec_lobes.errors import ProtocolError
from emorec_lobes.evaluation.metrics import from_confusion
from emorec_lobes.evaluation.statistics import check_options, draw_times, student_band


def interval_over_runs(
    runs: Sequence[Mapping[str, ArrayLike]],
    metric: str = "uar",
    level: float = 0.95,
    num_resamples: int = 2000,
    seed: int = 0,
    unit: str = "speakers",
) -> dict[str, Any]:
    """The mean score of a system's seeds, with an interval over seeds and speakers.

    A resample draws speakers, the same ones for all seeds because every seed answers the same speakers; its value is
    the mean over seeds of the score pooled over the drawn speakers. To the variance of that the seeds add the variance
    of their mean: `statistics.student_band`. So where all seeds answer alike the interval is that of
    `statistics.interval`, and where seeds differ more than speakers, it is as wide as so few of them make it.

    It holds for speakers and seeds like these, on this corpus, these folds and this protocol. What it does not hold:
    two or three seeds seldom show how much seeds differ, and with two that happen to agree it is too narrow. Where a
    seed is better on one speaker and worse on the next, that counts at both levels, and it is somewhat too wide. A
    single seed says nothing about others: the interval is then over speakers alone.

    Arguments
    ---------
    runs : sequence of mapping, one a seed
        Speaker -> (K, K) confusion counts, a row a true class: `confusion_by_speaker` of results.json.
    metric, level, num_resamples, seed, unit
        As in `statistics.interval`.

    Returns
    -------
    dict
        `metric`, `mean` and `deviation` over seeds (n - 1 form, None for one), `low`, `high`, `level`, `method`,
        `num_resamples`, `seed`.

    Raises
    ------
    ConfigError
        If an option is out of its range.
    ProtocolError
        If the runs were not tested on the same utterances, or on fewer than two known speakers.

    Example
    -------
    >>> runs = [{name: [[hits, 20 - hits], [20 - hits, hits]] for name in "xyz"} for hits in (15, 14, 16)]
    >>> band = interval_over_runs(runs)
    >>> [round(band[key], 2) for key in ("mean", "low", "high")], band["method"]
    ([0.75, 0.61, 0.85], "bootstrap over 3 seeds and 3 speakers, Student's t")
    """
    check_options(metric, level, num_resamples)
    counts = _stack(runs)
    num_speakers = counts.shape[1]
    (own,), (drawn,) = _scores([counts], metric, num_resamples, seed)
    return {
        "metric": metric,
        "mean": float(own.mean()),
        "deviation": float(own.std(ddof=1)) if len(own) > 1 else None,
        **student_band(float(own.mean()), drawn, num_speakers, level, [own], log_odds=True),
        "level": level,
        "method": f"bootstrap over {_seeds(len(runs))} and {num_speakers} {unit}, Student's t",
        "num_resamples": num_resamples,
        "seed": seed,
    }


def difference_over_runs(
    runs: Sequence[Mapping[str, ArrayLike]],
    base: Sequence[Mapping[str, ArrayLike]],
    metric: str = "uar",
    level: float = 0.95,
    num_resamples: int = 2000,
    seed: int = 0,
    unit: str = "speakers",
) -> dict[str, Any]:
    """How much better the mean score of `runs` is than that of `base`, with an interval over seeds and speakers.

    Both systems answer the same drawn speakers: that a speaker is hard for both cancels. Their seeds are drawn
    independently, not in pairs: equal seeds do not make two models begin alike when their sizes differ, the two
    may have other seeds or another number of them, and where equal seeds do make them alike, the interval is too wide,
    not too narrow. Otherwise as `interval_over_runs`.

    Returns
    -------
    dict
        As `interval_over_runs`, with `difference` in place of `mean` and `deviation`.

    Example
    -------
    >>> right, near = [[20, 0], [0, 20]], [[15, 5], [5, 15]]
    >>> band = difference_over_runs([dict.fromkeys("xyz", right)], [dict.fromkeys("xyz", near)])
    >>> band["difference"], band["low"], band["high"]  # all speakers alike: no doubt
    (0.25, 0.25, 0.25)
    """
    check_options(metric, level, num_resamples)
    counts = _stack([*runs, *base])
    sides = [counts[: len(runs)], counts[len(runs) :]]
    num_speakers = counts.shape[1]
    own, drawn = _scores(sides, metric, num_resamples, seed)
    difference = float(own[0].mean() - own[1].mean())
    return {
        "metric": metric,
        "difference": difference,
        **student_band(difference, drawn[0] - drawn[1], num_speakers, level, own),
        "level": level,
        "method": f"paired bootstrap over {num_speakers} {unit} and each system's seeds, Student's t",
        "num_resamples": num_resamples,
        "seed": seed,
    }


def _stack(runs: Sequence[Mapping[str, ArrayLike]]) -> np.ndarray:
    """All runs' counts, speakers sorted: (S, G, K, K)."""
    speakers = sorted(runs[0])
    if len(speakers) < 2 or "" in speakers:
        raise ProtocolError(
            "An interval over speakers must have at least two, all known, but the runs have "
            f"{', '.join(repr(name) for name in speakers) or 'none'} instead. Prepare the corpus with its speakers."
        )
    for run in runs:
        if sorted(run) != speakers:
            name = min({*run} ^ {*speakers})
            raise ProtocolError(f"Runs must be tested on the same speakers, but not all have {name!r}. Leave one out.")
    counts = np.array([[run[speaker] for speaker in speakers] for run in runs], dtype=np.int64)
    differing = np.argwhere((counts.sum(axis=-1) != counts[0].sum(axis=-1)).any(axis=-1))
    if differing.size:
        name = speakers[differing[0][1]]
        raise ProtocolError(f"Runs must be tested on the same utterances, but those of {name!r} differ. Leave one out.")
    return counts


def _scores(
    sides: Sequence[np.ndarray], metric: str, num_resamples: int, seed: int
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Each side's own scores by seed, (S,), and the means over its seeds when speakers are drawn, (R,).

    A side is (S, G, K, K), with its own seeds; all have the same speakers, and the same ones are drawn.
    """
    times = draw_times(sides[0].shape[1], num_resamples, np.random.default_rng(seed)).astype(np.float64)
    drawn = [np.tensordot(times, side.astype(np.float64), axes=(1, 1)) for side in sides]  # (R, S, K, K)
    own = [from_confusion(side.sum(axis=1))[metric] for side in sides]
    return own, [from_confusion(each)[metric].mean(axis=1) for each in drawn]


def _seeds(number: int) -> str:
    return "1 seed" if number == 1 else f"{number} seeds"
