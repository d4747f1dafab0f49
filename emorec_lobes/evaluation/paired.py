"""How far two systems are apart on the same utterances, and how sure that is.

Resamples draw whole speakers, or utterances one by one; both systems answer what is drawn, so that what is hard for
both cancels. An interval is the usual one of Student's t, its standard error that of the resamples.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import sparse, stats

from emorec_lobes.evaluation.metrics import METRICS, count_confusions, from_confusion
from emorec_lobes.evaluation.pairing import Pair
from emorec_lobes.evaluation.statistics import check_options, draw_times, student_band

SIDES = ("a", "b")
Scores = Mapping[str, np.ndarray]


def compare_pair(
    pair: Pair, metric: str = "uar", level: float = 0.95, num_resamples: int = 2000, seed: int = 0
) -> dict[str, Any]:
    """Everything there is to say about two systems.

    Arguments
    ---------
    pair : Pair
    metric : str
        The one of `metrics.METRICS` that the verdict is about.
    level, num_resamples, seed
        As in `statistics.interval`.

    Returns
    -------
    dict
        Ready for JSON: `metric`, `labels`, `num_utterances`, `num_speakers` (None where not all are known), `left_out`;
        for each of `METRICS` in `scores` the means over seeds `a`, `b` and `difference` (B less A), each with its
        interval in `over_speakers` (None for fewer than two, or unknown ones) and `over_utterances`; `mcnemar`
        (None for several seeds).

    Raises
    ------
    ConfigError
        If an option is out of its range.
    """
    check_options(metric, level, num_resamples)
    own = [_scores(np.ones((1, len(pair.ids))), _cells(pair, side), len(pair.labels)) for side in pair.answers]
    num_speakers = len(set(pair.speakers.tolist()))
    known = "" not in pair.speakers
    over_speakers = _over_speakers(pair, num_resamples, seed) if known and num_speakers > 1 else None
    over_utterances = _over_utterances(pair, num_resamples, seed)
    return {
        "metric": metric,
        "labels": list(pair.labels),
        "num_utterances": len(pair.ids),
        "num_speakers": num_speakers if known else None,
        "num_seeds": {name: len(side) for name, side in zip(SIDES, pair.answers, strict=True)},
        "left_out": dict(zip(SIDES, pair.left_out, strict=True)),
        "scores": {
            name: {
                **_values([side[name][0] for side in own]),
                "over_speakers": over_speakers and _bands(own, over_speakers, name, num_speakers, level),
                "over_utterances": _bands(own, over_utterances, name, len(pair.ids), level),
            }
            for name in METRICS
        },
        "mcnemar": mcnemar(pair) if all(len(side) == 1 for side in pair.answers) else None,
        "level": level,
        "method": "paired bootstrap, Student's t; of single scores on the scale of log odds",
        "num_resamples": num_resamples,
        "seed": seed,
    }


def mcnemar(pair: Pair) -> dict[str, Any]:
    """McNemar's exact test of two single runs: are the utterances that only one answers rightly shared out evenly?

    Source: McNemar, Note on the sampling error of the difference between correlated proportions or percentages,
    Psychometrika 12(2), 1947; exact: a binomial test of the discordant utterances.

    Returns
    -------
    dict
        Numbers of utterances `both_right`, `only_a_right`, `only_b_right` and `both_wrong`; `p`, two-sided.

    Example
    -------
    >>> from pathlib import Path
    >>> rows, paths = (np.array([[0, 0, 1]]), np.array([[0, 1, 1]])), ((Path("a"),), (Path("b"),))
    >>> columns = np.array(["1", "2", "3"]), np.array(["x", "x", "y"]), np.array([0, 1, 1])
    >>> mcnemar(Pair(*columns, ("angry", "sad"), rows, paths, (0, 0)))
    {'both_right': 2, 'only_a_right': 0, 'only_b_right': 1, 'both_wrong': 0, 'p': 1.0}
    """
    right_a, right_b = (side[0] == pair.targets for side in pair.answers)
    only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    return {
        "both_right": int((right_a & right_b).sum()),
        "only_a_right": only_a,
        "only_b_right": only_b,
        "both_wrong": int((~right_a & ~right_b).sum()),
        "p": float(stats.binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else 1.0,
    }


def _cells(pair: Pair, side: np.ndarray) -> list[sparse.csr_array]:
    """Of each seed: which cell of the confusion matrix an utterance counts in, (N, K * K)."""
    places = np.arange(len(pair.ids))
    shape = (len(places), len(pair.labels) ** 2)
    return [
        sparse.csr_array((np.ones(len(places)), (places, pair.targets * len(pair.labels) + answers)), shape)
        for answers in side
    ]


def _scores(times: np.ndarray, counts: Sequence[Any], num_classes: int) -> Scores:
    """How each seed scores when units count as often as they are drawn: times (R, U), counts (U, K * K) -> (R, S)."""
    confusions = [(times @ each).reshape(len(times), num_classes, num_classes) for each in counts]
    scored = [from_confusion(each) for each in confusions]
    return {name: np.stack([each[name] for each in scored], axis=1) for name in METRICS}


def _over_speakers(pair: Pair, num_resamples: int, seed: int) -> list[Scores]:
    names, groups = np.unique(pair.speakers, return_inverse=True)
    times = draw_times(len(names), num_resamples, np.random.default_rng(seed)).astype(np.float64)
    num_classes = len(pair.labels)

    def counts(answers: np.ndarray) -> np.ndarray:
        return count_confusions(pair.targets, answers, num_classes, groups).reshape(len(names), -1).astype(np.float64)

    return [_scores(times, [counts(answers) for answers in side], num_classes) for side in pair.answers]


def _over_utterances(pair: Pair, num_resamples: int, seed: int) -> list[Scores]:
    # Utterances that all runs answer alike are drawn together: it is the same, and the fewer the faster.
    rows = np.column_stack([pair.targets, *(answers for side in pair.answers for answers in side)])
    _, places, number = np.unique(rows, axis=0, return_index=True, return_counts=True)
    generator = np.random.default_rng(seed)
    times = generator.multinomial(number.sum(), number / number.sum(), size=num_resamples).astype(np.float64)
    cells = [_cells(pair, side) for side in pair.answers]
    return [_scores(times, [each[places] for each in side], len(pair.labels)) for side in cells]


def _values(seeds: Sequence[np.ndarray]) -> dict[str, float]:
    a, b = (float(np.mean(each)) for each in seeds)
    return {"a": a, "b": b, "difference": b - a}


def _bands(
    own: Sequence[Scores], drawn: Sequence[Scores], metric: str, num_units: int, level: float
) -> dict[str, dict[str, float]]:
    seeds = [side[metric][0] for side in own]
    means = [side[metric].mean(axis=1) for side in drawn]
    values = _values(seeds)
    bands = {
        name: student_band(values[name], mean, num_units, level, [scores], log_odds=True)
        for name, mean, scores in zip(SIDES, means, seeds, strict=True)
    }
    return bands | {"difference": student_band(values["difference"], means[1] - means[0], num_units, level, seeds)}
