"""How sure a score is: intervals that respect that one speaker's utterances resemble each other."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

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
    """Bootstrap interval of a score, resampling whole speakers.

    Every score is a function of confusion counts, so what is drawn are speakers' confusion matrices, not utterances.
    Utterances are drawn one by one where any speaker is unknown or there is only one. A class that a resample does not
    hold is left out of that resample's score.

    Plain percentiles are too narrow for few speakers, so they are taken further out: at
    Phi(-sqrt(n / (n - 1)) t), t the Student quantile with n - 1 degrees of freedom, n the number of units drawn.
    Over several seeds of one system: `runs.interval_over_runs`.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13 (percentile interval); Hesterberg,
    What Teachers Should Know About the Bootstrap, The American Statistician 69(4), 2015 (expanded percentiles).

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
    >>> band = interval([0, 0, 1, 1], [0, 0, 1, 0], ["angry", "sad"], ["x", "y", "x", "y"])
    >>> band["low"], band["high"], band["method"]
    (0.5, 1.0, 'bootstrap over 2 speakers, expanded percentiles')
    """
    check_options(metric, level, num_resamples)
    generator = np.random.default_rng(seed)
    groups, units = _groups([""] if speakers is None else speakers, unit)
    if groups is None:
        confusion = count_confusions(targets, predictions, len(labels))[0]
        num_units = int(confusion.sum())
        drawn = _draw_utterances(confusion, num_resamples, generator)
        units = f"{num_units} utterances ({units})"
    else:
        num_units = int(groups.max()) + 1
        drawn = _draw_speakers(count_confusions(targets, predictions, len(labels), groups), num_resamples, generator)
    return {
        "metric": metric,
        **band_of(from_confusion(drawn)[metric], level, num_units, least=0.0),
        "method": f"bootstrap over {units}, expanded percentiles",
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
    >>> band = interval_of_counts(np.array([[[0.5, 0.5], [0, 0]], [[0, 0], [0, 1.0]]]), ["x", "y"], "accuracy")
    >>> band["low"], band["high"]
    (0.5, 1.0)
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
    return {
        "metric": metric,
        **band_of(from_confusion(drawn)[metric], level, len(summed), least=0.0),
        "method": f"bootstrap over {shown}, expanded percentiles",
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


def band_of(drawn: np.ndarray, level: float, num_units: int, least: float) -> dict[str, float]:
    """`low`, `high` and `level`: expanded percentiles of resampled values, which lie between `least` and 1."""
    tail = float(stats.norm.cdf(reach(level, num_units)))
    low, high = np.clip(np.quantile(drawn, [tail, 1 - tail]), least, 1.0)
    return {"low": float(low), "high": float(high), "level": level}


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


def reach(level: float, num_units: int) -> float:
    """How many standard deviations below the middle the lower end lies; negative."""
    tail = (1 - level) / 2
    if num_units < 2:
        return float(stats.norm.ppf(tail))
    return float(stats.t.ppf(tail, num_units - 1) * np.sqrt(num_units / (num_units - 1)))


def check_options(metric: str, level: float, num_resamples: int) -> None:
    """Refuses options that mean nothing, with a `ConfigError`."""
    if metric not in METRICS:
        raise ConfigError(not_one_of("metric", metric, METRICS))
    if not 0 < level < 1:
        raise ConfigError(f"`level` must be in (0, 1), but is {level} instead. Use 0.95.")
    if num_resamples < 1:
        raise ConfigError(f"`num_resamples` must be at least 1, but is {num_resamples} instead. Use 2000.")
