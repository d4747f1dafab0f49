"""How sure a score is: intervals that respect that one speaker's utterances resemble each other.

All of the package's intervals are of one kind, `student_band`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from emorec_lobes.errors import ConfigError, not_one_of
from emorec_lobes.evaluation.metrics import METRICS, count_confusions, from_confusion

_AT_ONCE = 250  # resamples whose draws are held in memory together


def interval(
    targets: ArrayLike,
    predictions: ArrayLike,
    labels: Sequence[str],
    speakers: Sequence[str | None] | np.ndarray | None = None,
    metric: str = "uar",
    level: float = 0.95,
    num_resamples: int = 2000,
    seed: int = 0,
    unit: str = "speakers",
) -> dict[str, Any]:
    """Interval of a score, with the standard error of a bootstrap that draws whole speakers: `student_band`.

    Every score is a function of confusion counts, so what is drawn are speakers' confusion matrices, not utterances.
    Utterances are drawn one by one where any speaker is unknown or there is only one. A class that a resample does not
    hold is left out of that resample's score.

    Over several seeds of one system: `runs.interval_over_runs`.

    Arguments
    ---------
    targets, predictions : array of int, (N,)
        Indices into `labels`.
    labels : sequence of str, (K,)
    speakers : sequence of str or None, (N,), optional
        None or "" where a speaker is unknown.
    metric : str
        One of `metrics.METRICS`.
    level : float
        Confidence, in (0, 1).
    num_resamples : int
    seed : int
        The same seed gives the same interval, whatever the order of the rows.
    unit : str
        What `speakers` are, for the reader, where they are something else.

    Returns
    -------
    dict
        `metric`, `low`, `high`, `level`, `method` (a phrase for the reader), `num_resamples`, `seed`.

    Raises
    ------
    ConfigError
        If `metric`, `level` or `num_resamples` is out of its range.

    Example
    -------
    >>> targets, predictions = [0, 1] * 20, ([0, 1, 0, 0, 0, 1, 0] * 6)[:40]
    >>> band = interval(targets, predictions, ["angry", "sad"], [name for name in "vwxyz" for _ in range(8)])
    >>> round(band["low"], 2), round(band["high"], 2), band["method"]
    (0.36, 0.69, "bootstrap over 5 speakers, Student's t")
    """
    check_options(metric, level, num_resamples)
    generator = np.random.default_rng(seed)
    groups, units = _groups([""] if speakers is None else speakers, unit)
    if groups is None:
        confusion = count_confusions(targets, predictions, len(labels))[0]
        num_units = int(confusion.sum())
        score = from_confusion(confusion)[metric]
        drawn = _draw_utterances(confusion, num_resamples, generator)
        units = f"{num_units} utterances ({units})"
    else:
        num_units = int(groups.max()) + 1
        confusions = count_confusions(targets, predictions, len(labels), groups)
        score = from_confusion(confusions.sum(axis=0))[metric]
        drawn = _draw_speakers(confusions, num_resamples, generator)
    return {
        "metric": metric,
        **student_band(score, from_confusion(drawn)[metric], num_units, level, log_odds=True),
        "level": level,
        "method": f"bootstrap over {units}, Student's t",
        "num_resamples": num_resamples,
        "seed": seed,
    }


def interval_of_counts(
    counts: np.ndarray,
    units: Sequence[str | None] | np.ndarray,
    metric: str = "uar",
    level: float = 0.95,
    num_resamples: int = 2000,
    seed: int = 0,
    unit: str = "speakers",
) -> dict[str, Any]:
    """As `interval`, of answers that each count in parts, such as those of several raters.

    Arguments
    ---------
    counts : np.ndarray, (N, K, K)
        Each utterance's confusion; none is all zero.
    units : sequence of str or None, (N,)
        The speaker of each, or what else is drawn.
    metric, level, num_resamples, seed, unit
        As those of `interval`.

    Example
    -------
    >>> halves = np.array([[[0.5, 0.5], [0, 0]], [[0, 0], [0.25, 0.75]]] * 10)
    >>> band = interval_of_counts(halves, [name for name in "vwxyz" for _ in range(4)], "accuracy")
    >>> round(band["low"], 3), round(band["high"], 3), band["method"]
    (0.625, 0.625, "bootstrap over 5 speakers, Student's t")
    """
    check_options(metric, level, num_resamples)
    groups, shown = _groups(units, unit)
    if groups is None:
        groups, shown = np.arange(len(counts)), f"{len(counts)} utterances ({shown})"
    summed = np.zeros((int(groups.max()) + 1, *counts.shape[1:]))
    np.add.at(summed, groups, counts)
    generator = np.random.default_rng(seed)
    sizes = [len(part) for part in np.array_split(np.arange(num_resamples), -(-num_resamples // _AT_ONCE))]
    drawn = np.concatenate([_summed(summed, draw_times(len(summed), size, generator)) for size in sizes])
    score, of_drawn = (from_confusion(each)[metric] for each in (summed.sum(axis=0), drawn))
    return {
        "metric": metric,
        **student_band(float(score), of_drawn, len(summed), level, log_odds=True),
        "level": level,
        "method": f"bootstrap over {shown}, Student's t",
        "num_resamples": num_resamples,
        "seed": seed,
    }


def _groups(units: Sequence[str | None] | np.ndarray, unit: str) -> tuple[np.ndarray | None, str]:
    """The number of each answer's unit, and in words how many units there are; or None, and why none can be drawn."""
    names = np.array(["" if name is None else name for name in units], dtype=str)
    distinct, groups = np.unique(names, return_inverse=True)
    if "" in distinct or len(distinct) < 2:
        return None, f"{unit} unknown" if "" in distinct else f"one {unit.removesuffix('s')}"
    return groups, f"{len(distinct)} {unit}"


def student_band(
    value: float,
    drawn: np.ndarray,
    num_units: int,
    level: float = 0.95,
    seeds: Sequence[np.ndarray] = (),
    log_odds: bool = False,
) -> dict[str, float]:
    """A bootstrap standard error's interval, which holds its level with few units, e.g. ten speakers.

    The resamples' variance is too small by (n - 1) / n, n the number of units drawn, and is itself known only from n
    units: hence Student's t with n - 1 degrees of freedom. A score near 1 cannot rise as far as it can fall: of single
    scores the interval is that of the log odds. Seeds add their variance, with the degrees of freedom that Welch
    and Satterthwaite give the sum.

    `benchmarks/interval_coverage.py` simulates how often it holds the truth, beside percentiles.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 12 (bootstrap standard error with
    Student's t; transformations); Hesterberg, What Teachers Should Know About the Bootstrap, The American
    Statistician 69(4), 2015 ((n - 1) / n); Satterthwaite, An Approximate Distribution of Estimates of Variance
    Components, Biometrics Bulletin 2(6), 1946.

    Arguments
    ---------
    value : float
        The score, or the difference of two.
    drawn : array, (R,)
        The same of each resample.
    num_units : int
        How many units were drawn, at least 2; of one, nothing is known, and the interval is all there is.
    level : float
    seeds : sequence of array, (S,)
        Each system's scores by seed.
    log_odds : bool
        Whether it is a single score, in [0, 1].

    Returns
    -------
    dict
        `low` and `high`.

    Example
    -------
    >>> drawn = np.array([0.4, 0.5, 0.6])  # standard deviation 0.1
    >>> student_band(0.5, drawn, num_units=10)  # 2.262 * 0.1 * sqrt(10 / 9) = 0.238
    {'low': 0.26154..., 'high': 0.73845...}
    """
    least = 0.0 if log_odds else -1.0
    if num_units < 2:
        return {"low": least, "high": 1.0}
    parts = [(float(drawn.var(ddof=1)) * num_units / (num_units - 1), num_units - 1)]
    parts += [(float(scores.var(ddof=1)) / len(scores), len(scores) - 1) for scores in seeds if len(scores) > 1]
    reach = float(special.stdtrit(joint_freedom(parts), (1 + level) / 2) * np.sqrt(sum(part for part, _ in parts)))
    if log_odds and 0 < value < 1:
        # The slope of the log odds turns a standard error of the score into theirs.
        middle, reach = np.log(value / (1 - value)), reach / (value * (1 - value))
        low, high = 1 / (1 + np.exp(-np.array([middle - reach, middle + reach])))
    else:
        low, high = np.clip([value - reach, value + reach], least, 1.0)
    return {"low": float(low), "high": float(high)}


def joint_freedom(parts: Sequence[tuple[float, int]]) -> float:
    """Welch and Satterthwaite's degrees of freedom of a sum of variances, each with its own."""
    total = sum(variance for variance, _ in parts)
    if total == 0:
        return float(parts[0][1])
    return float(total**2 / sum(variance**2 / freedom for variance, freedom in parts))


def draw_times(num_units: int, num_resamples: int, generator: np.random.Generator) -> np.ndarray:
    """How often each unit is drawn, as many as there are, with replacement: (R, N)."""
    return generator.multinomial(num_units, np.full(num_units, 1 / num_units), size=num_resamples)


def _draw_speakers(confusions: np.ndarray, num_resamples: int, generator: np.random.Generator) -> np.ndarray:
    """As many speakers as there are, with replacement: (G, K, K) -> (R, K, K)."""
    return _summed(confusions, draw_times(len(confusions), num_resamples, generator))


def _summed(confusions: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Each resample's counts, given how often it has each unit: (G, K, K), (R, G) -> (R, K, K)."""
    # As floats, the product runs in BLAS; counts stay exact.
    summed = times.astype(np.float64) @ confusions.reshape(len(confusions), -1).astype(np.float64)
    return summed.reshape(len(times), *confusions.shape[1:])


def _draw_utterances(confusion: np.ndarray, num_resamples: int, generator: np.random.Generator) -> np.ndarray:
    """As many utterances as there are, with replacement: (K, K) -> (R, K, K)."""
    num_utterances = confusion.sum()
    # An utterance matters only by the cell it counts in, so drawing cells is drawing utterances.
    drawn = generator.multinomial(num_utterances, confusion.ravel() / num_utterances, size=num_resamples)
    return drawn.reshape(num_resamples, *confusion.shape)


def check_options(metric: str, level: float, num_resamples: int) -> None:
    """Refuses options that mean nothing, with a `ConfigError`."""
    if metric not in METRICS:
        raise ConfigError(not_one_of("metric", metric, METRICS))
    if not 0 < level < 1:
        raise ConfigError(f"`level` must be in (0, 1), but is {level} instead. Use 0.95.")
    if num_resamples < 2:
        raise ConfigError(f"`num_resamples` must be at least 2, but is {num_resamples} instead. Use 2000.")
