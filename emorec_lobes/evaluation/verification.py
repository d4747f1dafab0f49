"""Speaker verification: the equal error rate, and how sure it is."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from emorec_lobes.errors import ProtocolError
from emorec_lobes.evaluation.statistics import draw_times, student_band


class ErrorCurve:
    """False acceptances and rejections of trials at every threshold; the trials may then be weighed anew, cheaply.

    Arguments
    ---------
    scores : array, (N,)
        Higher where a trial looks more like one speaker.
    targets : array of bool, (N,)
        True where it is one.

    Raises
    ------
    ProtocolError
        If a score is not finite, or the trials are not of both kinds.

    Example
    -------
    >>> curve = ErrorCurve([0.9, 0.4, 0.6, 0.1], [True, True, False, False])
    >>> curve.equal_error_rate(), curve.equal_error_rate(np.array([1, 0, 1, 1]))
    (0.5, 0.0)
    """

    def __init__(self, scores: ArrayLike, targets: ArrayLike) -> None:
        scores, targets = np.asarray(scores, dtype=np.float64), np.asarray(targets, dtype=bool)
        if not np.isfinite(scores).all():
            raise ProtocolError("The scores of trials must be finite, but some are not. Train again with another --lr.")
        if targets.all() or not targets.any():
            raise ProtocolError("Trials must be of both kinds, one speaker and two, but are of one. Add the others.")
        self._order = np.argsort(-scores, kind="stable")
        ranked = scores[self._order]
        # Trials of equal scores are accepted together.
        self._ends = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
        self._is_target = targets[self._order]

    def rates(self, weights: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """False acceptance and false rejection rate at falling thresholds, from accepting none to accepting all.

        `weights`, (N,), say how often each trial counts; there must be some of both kinds.
        """
        counts = np.ones(len(self._order)) if weights is None else weights[self._order].astype(np.float64)
        accepted = np.array([np.cumsum(counts * ~self._is_target), np.cumsum(counts * self._is_target)])
        shares = accepted[:, self._ends] / accepted[:, -1:]
        false_acceptance, hits = np.concatenate([np.zeros((2, 1)), shares], axis=1)
        return false_acceptance, 1 - hits

    def equal_error_rate(self, weights: np.ndarray | None = None) -> float:
        """Where both rates are equal, on straight lines between thresholds."""
        false_acceptance, false_rejection = self.rates(weights)
        gap = false_acceptance - false_rejection  # rises from -1 to 1
        after = int(np.argmax(gap >= 0))
        share = -gap[after - 1] / (gap[after] - gap[after - 1])
        return float(false_acceptance[after - 1] + share * (false_acceptance[after] - false_acceptance[after - 1]))


def equal_error_rate(scores: ArrayLike, targets: ArrayLike) -> float:
    """Equal error rate: where as large a share of impostors is accepted as of targets rejected.

    Arguments
    ---------
    scores, targets
        Of `ErrorCurve`.

    Returns
    -------
    float
        In [0, 1]; 0.5 is chance.

    Example
    -------
    >>> equal_error_rate([0.9, 0.8, 0.2, 0.1], [True, True, False, False])
    0.0
    """
    return ErrorCurve(scores, targets).equal_error_rate()


def verification_record(
    scores: Mapping[str, ArrayLike],
    targets: ArrayLike,
    speakers: np.ndarray,
    level: float = 0.95,
    num_resamples: int = 2000,
    seed: int = 0,
) -> dict[str, Any]:
    """Equal error rates of systems on the same trials, with intervals that draw whole speakers.

    A drawn speaker brings all his trials: one between two speakers counts as often as the product of how often the
    two were drawn, one within a speaker as often as he was. Resamples that lack a kind of trial are left out. All
    systems see the same resamples, so each is also compared with the first one, trial by trial.

    Arguments
    ---------
    scores : mapping
        System -> (N,); the first one is what the others are compared with.
    targets : array of bool, (N,)
    speakers : array of str, (N, 2)
        Of both sides of each trial.
    level, num_resamples, seed
        Of the interval; see `statistics.interval`.

    Returns
    -------
    dict
        `num_trials`, `num_targets`, `num_speakers`, `method`, and `systems`: each with `eer`, `interval`, and, but for
        the first, `above_first`, how much higher its rate is, with `interval`.
    """
    targets = np.asarray(targets, dtype=bool)
    names, sides = np.unique(speakers, return_inverse=True)
    sides = sides.reshape(-1, 2)
    curves = {name: ErrorCurve(values, targets) for name, values in scores.items()}
    drawn: list[list[float]] = []
    for times in draw_times(len(names), num_resamples, np.random.default_rng(seed)):
        weights = np.where(sides[:, 0] == sides[:, 1], times[sides[:, 0]], times[sides[:, 0]] * times[sides[:, 1]])
        if weights[targets].any() and weights[~targets].any():
            drawn.append([curve.equal_error_rate(weights) for curve in curves.values()])
    rates = np.array(drawn).reshape(-1, len(curves))
    systems: dict[str, Any] = {}
    for place, (name, curve) in enumerate(curves.items()):
        eer, drawn_here = curve.equal_error_rate(), rates[:, place]
        row = {"eer": eer, "interval": _band(eer, drawn_here, len(names), level, is_rate=True)}
        if place:
            above, drawn_above = eer - next(iter(systems.values()))["eer"], drawn_here - rates[:, 0]
            row["above_first"] = {"eer": above, "interval": _band(above, drawn_above, len(names), level, is_rate=False)}
        systems[name] = row
    return {
        "num_trials": len(targets),
        "num_targets": int(targets.sum()),
        "num_speakers": len(names),
        "method": f"bootstrap over {len(names)} speakers, Student's t",
        "num_resamples": len(rates),
        "seed": seed,
        "systems": systems,
    }


def _band(value: float, drawn: np.ndarray, num_units: int, level: float, is_rate: bool) -> dict[str, float] | None:
    """An interval; None where fewer than two resamples had trials of both kinds."""
    return (
        {**student_band(value, drawn, num_units, level, log_odds=is_rate), "level": level} if len(drawn) > 1 else None
    )
