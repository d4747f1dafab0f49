"""How sure a system's score is, and its difference to another's: over seeds and over speakers at once."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from emorec_lobes.errors import ProtocolError
from emorec_lobes.evaluation.metrics import from_confusion
from emorec_lobes.evaluation.statistics import band_of, check_options, draw_times, reach


def interval_over_runs(
    runs: Sequence[Mapping[str, ArrayLike]],
    metric: str = "uar",
    level: float = 0.95,
    num_resamples: int = 2000,
    seed: int = 0,
    unit: str = "speakers",
) -> dict[str, Any]:
    """The mean score of a system's seeds, with a bootstrap interval over seeds and speakers.

    A resample draws speakers, the same ones for all seeds because every seed answers the same speakers, and draws
    seeds; its value is the mean over the drawn seeds of the score pooled over the drawn speakers.

    Percentiles are taken further out as in `statistics.interval`, by the number of speakers. The seeds' departures from
    their mean are widened to match: by sqrt(n / (n - 1)), n the number of seeds, and by Student's t with the degrees of
    freedom that Welch and Satterthwaite give the sum of both variances. So where all seeds answer alike the interval is
    that of `statistics.interval`, and where seeds differ more than speakers, it is as wide as so few of them make it.

    It holds for speakers and seeds like these, on this corpus, these folds and this protocol. What it does not hold:
    two or three seeds seldom show how much seeds differ, and with two that happen to agree it is too narrow. Where a
    seed is better on one speaker and worse on the next, that counts at both levels, and it is somewhat too wide. A
    single seed says nothing about others: the interval is then over speakers alone.

    Source: Owen, The pigeonhole bootstrap, The Annals of Applied Statistics 1(2), 2007 (drawing both sides of a table);
    Satterthwaite, An Approximate Distribution of Estimates of Variance Components, Biometrics Bulletin 2(6), 1946.

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
    >>> runs = [{"x": [[1, 0], [0, 1]], "y": [[1, 0], [1, 0]]}] * 3
    >>> band = interval_over_runs(runs)
    >>> band["mean"], band["low"], band["high"], band["method"]
    (0.75, 0.5, 1.0, 'bootstrap over 3 seeds and 2 speakers, expanded percentiles')
    """
    check_options(metric, level, num_resamples)
    counts = _stack(runs)
    num_speakers = counts.shape[1]
    drawn = _draw_both_levels([counts], metric, level, num_resamples, seed)
    own = from_confusion(counts.sum(axis=1))[metric]
    return {
        "metric": metric,
        "mean": float(own.mean()),
        "deviation": float(own.std(ddof=1)) if len(own) > 1 else None,
        **band_of(drawn, level, num_speakers, least=0.0),
        "method": f"bootstrap over {_seeds(len(runs))} and {num_speakers} {unit}, expanded percentiles",
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
    >>> right, wrong = [[1, 0], [0, 1]], [[0, 1], [1, 0]]
    >>> band = difference_over_runs([{"x": right, "y": right}], [{"x": right, "y": wrong}])
    >>> band["difference"], band["low"], band["high"]
    (0.5, 0.0, 1.0)
    """
    check_options(metric, level, num_resamples)
    counts = _stack([*runs, *base])
    sides = [counts[: len(runs)], counts[len(runs) :]]
    num_speakers = counts.shape[1]
    drawn = _draw_both_levels(sides, metric, level, num_resamples, seed)
    own = [from_confusion(side.sum(axis=1))[metric].mean() for side in sides]
    return {
        "metric": metric,
        "difference": float(own[0] - own[1]),
        **band_of(drawn, level, num_speakers, least=-1.0),
        "method": f"paired bootstrap over {num_speakers} {unit} and each system's seeds, expanded percentiles",
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


def _draw_both_levels(
    sides: Sequence[np.ndarray], metric: str, level: float, num_resamples: int, seed: int
) -> np.ndarray:
    """The mean score of drawn seeds on drawn speakers, less that of a second side where there is one: (R,).

    Each side is (S, G, K, K), with its own seeds and the same speakers.
    """
    generator = np.random.default_rng(seed)
    num_speakers = sides[0].shape[1]
    times = draw_times(num_speakers, num_resamples, generator).astype(np.float64)
    scored = [from_confusion(np.tensordot(times, side.astype(np.float64), axes=(1, 1)))[metric] for side in sides]
    signed = [sign * values for sign, values in zip((1, -1), scored, strict=False)]  # (R, S)
    drawn = sum(values.mean(axis=1) for values in signed)
    # The variance of the result, part by part, each with its degrees of freedom.
    parts = [(drawn.var() * num_speakers / (num_speakers - 1), num_speakers - 1)]
    for side in sides:
        if len(side) > 1:
            parts.append((from_confusion(side.sum(axis=1))[metric].var(ddof=1) / len(side), len(side) - 1))
    tail = stats.t.ppf((1 - level) / 2, joint_freedom(parts))
    for values in signed:
        num_seeds = values.shape[1]
        if num_seeds > 1:
            shares = draw_times(num_seeds, num_resamples, generator) / num_seeds
            widening = tail * np.sqrt(num_seeds / (num_seeds - 1)) / reach(level, num_speakers)
            drawn = drawn + widening * ((shares * values).sum(axis=1) - values.mean(axis=1))
    return drawn


def joint_freedom(parts: Sequence[tuple[float, int]]) -> float:
    """Welch and Satterthwaite's degrees of freedom of a sum of variances, each with its own."""
    total = sum(variance for variance, _ in parts)
    if total == 0:
        return float(parts[0][1])
    return float(total**2 / sum(variance**2 / freedom for variance, freedom in parts))


def _seeds(number: int) -> str:
    return "1 seed" if number == 1 else f"{number} seeds"
