"""Whether a probability means what it says: temperatures fitted on validation, and how far answers are from it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize_scalar

from emorec_lobes.errors import DataError

# A probability of 0 would veto what all others say, and has no logarithm.
FLOOR = 1e-7
TEMPERATURES = (0.05, 20.0)


def log_probabilities(probabilities: ArrayLike) -> np.ndarray:
    """Logarithms of probabilities, each taken as at least `FLOOR`; NaN stays NaN."""
    return np.log(np.clip(np.asarray(probabilities, dtype=np.float64), FLOOR, 1.0))


def normalised(logits: ArrayLike) -> np.ndarray:
    """Softmax over the last axis.

    Example
    -------
    >>> normalised([[0.0, 0.0], [1000.0, 0.0]])
    array([[0.5, 0.5],
           [1. , 0. ]])
    """
    logits = np.asarray(logits, dtype=np.float64)
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


def log_loss(probabilities: np.ndarray, targets: np.ndarray) -> float:
    """Mean negative log probability of the true class, (N, K) and (N,) -> nats."""
    return float(-log_probabilities(probabilities)[np.arange(len(targets)), targets].mean())


def temper(probabilities: ArrayLike, temperature: float) -> np.ndarray:
    """Probabilities to the power 1 / temperature, normalised: above 1 flatter, below 1 sharper, the same answers.

    Arguments
    ---------
    probabilities : array, (N, K)
        A row of NaN stays one.
    temperature : float
        Above 0.

    Returns
    -------
    np.ndarray, (N, K)

    Example
    -------
    >>> temper([[0.9, 0.1]], 2.0)
    array([[0.75, 0.25]])
    """
    return normalised(log_probabilities(probabilities) / temperature)


def fit_temperature(probabilities: ArrayLike, targets: ArrayLike) -> float:
    """The temperature with the lowest log loss on these rows, in `TEMPERATURES`.

    Source: Guo, Pleiss, Sun and Weinberger, On Calibration of Modern Neural Networks, ICML 2017, section 4.2.

    Deviates: it starts from probabilities, which are as good as logits; and it is bounded, since where all rows are
    answered right no temperature is low enough.

    Arguments
    ---------
    probabilities : array, (N, K)
        Of rows the model was not trained on, and is not tested on.
    targets : array of int, (N,)

    Returns
    -------
    float

    Example
    -------
    >>> round(fit_temperature([[0.9, 0.1]] * 4, [0, 0, 0, 1]), 3)  # three of four are right, as 0.75 says
    2.0
    """
    logs, targets = log_probabilities(probabilities), np.asarray(targets)

    def loss(log_temperature: float) -> float:
        return log_loss(normalised(logs / np.exp(log_temperature)), targets)

    found = minimize_scalar(loss, bounds=np.log(TEMPERATURES), method="bounded", options={"xatol": 1e-6})
    return float(np.exp(found.x))


@dataclass(frozen=True, eq=False)
class Reliability:
    """How often answers of like confidence are right; bins without an answer are left out."""

    confidence: np.ndarray  # mean in each bin
    accuracy: np.ndarray
    counts: np.ndarray

    @property
    def ece(self) -> float:
        """Expected calibration error: the mean gap between confidence and accuracy, weighted by the bins' answers."""
        return float((self.counts * abs(self.accuracy - self.confidence)).sum() / self.counts.sum())


def reliability(
    probabilities: ArrayLike, targets: ArrayLike, num_bins: int = 15, adaptive: bool = False
) -> Reliability:
    """Sorts answers into bins by the probability of the answered class.

    Source: Guo et al. 2017, section 2 (bins of equal width); Nixon et al., Measuring Calibration in Deep Learning, CVPR
    Workshops 2019, section 3.3 (adaptive: bins of equal counts, which no crowd near 1 can empty).

    Arguments
    ---------
    probabilities : array, (N, K)
    targets : array of int, (N,)
    num_bins : int
        At least 1.
    adaptive : bool
        Bins of equal counts, as far as answers of equal confidence, which share a bin, allow it.

    Returns
    -------
    Reliability

    Raises
    ------
    DataError
        If there is no row.

    Example
    -------
    >>> bins = reliability([[0.6, 0.4], [0.7, 0.3], [0.1, 0.9]], [0, 1, 1], num_bins=2)
    >>> bins.confidence.round(3), bins.accuracy.round(3), round(bins.ece, 3)
    (array([0.733]), array([0.667]), 0.067)
    """
    probabilities, targets = np.asarray(probabilities, dtype=np.float64), np.asarray(targets)
    if probabilities.ndim != 2 or targets.shape != probabilities.shape[:1] or not targets.size:
        raise DataError(
            f"`probabilities` must be (N, K) beside N targets, N at least 1, but is {probabilities.shape} beside "
            f"{targets.shape} instead. Give one target a row."
        )
    confidence, correct = probabilities.max(axis=1), probabilities.argmax(axis=1) == targets
    # A bin reaches from above its lower edge up to its upper one, which is an answer's own confidence if adaptive.
    cuts = np.arange(1, num_bins) / num_bins
    edges = np.quantile(confidence, cuts, method="inverted_cdf") if adaptive else cuts
    bins = np.searchsorted(edges, confidence, side="left")
    counts = np.bincount(bins, minlength=num_bins)
    kept = counts > 0
    sums = (np.bincount(bins, weights=values, minlength=num_bins)[kept] for values in (confidence, correct))
    return Reliability(*(total / counts[kept] for total in sums), counts[kept])
