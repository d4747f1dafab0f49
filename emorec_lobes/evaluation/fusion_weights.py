"""Class probabilities of several models combined by given weights, and weights fitted to rows."""

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
from scipy.optimize import minimize

from emorec_lobes.evaluation.calibration import log_loss, log_probabilities, normalised
from emorec_lobes.evaluation.metrics import count_confusions, from_confusion

NUM_STEPS = 20


def linear_pool(probabilities: np.ndarray, weights: Sequence[float]) -> np.ndarray:
    """The weighted mean of class probabilities.

    Source: Makiuchi 2021, eq. 4.

    Deviates: divided by the sum of the weights, which changes no answer; an input that lacks a row is left out.

    Arguments
    ---------
    probabilities : np.ndarray, (M, N, K)
        NaN where input m lacks row n; no row is lacked by all.
    weights : sequence of float, (M,)
        At least 0.

    Returns
    -------
    np.ndarray, (N, K)
        Where only inputs of weight 0 have a row, they count alike.

    Example
    -------
    >>> linear_pool(np.array([[[0.9, 0.1]], [[0.3, 0.7]]]), (1, 2))
    array([[0.5, 0.5]])
    """
    shares = _shares(probabilities, weights)
    return np.einsum("mn,mnk->nk", shares, np.nan_to_num(probabilities)) / shares.sum(axis=0)[:, None]


def log_pool(probabilities: np.ndarray, weights: Sequence[float]) -> np.ndarray:
    """The product of class probabilities, each to the power of its weight, normalised.

    Source: Genest and Zidek, Combining Probability Distributions, Statistical Science 1(1), 1986 (logarithmic pool).

    Arguments and return value are those of `linear_pool`; a row that one input alone has keeps its probabilities.

    Example
    -------
    >>> log_pool(np.array([[[0.75, 0.25]], [[0.5, 0.5]], [[0.75, 0.25]]]), (1, 1, 1)).round(3)
    array([[0.9, 0.1]])
    """
    logs = np.nan_to_num(log_probabilities(probabilities))
    return normalised(np.einsum("mn,mnk->nk", _shares(probabilities, weights), logs))


def best_weights(probabilities: np.ndarray, targets: np.ndarray, num_steps: int = NUM_STEPS) -> np.ndarray:
    """The weights on a grid whose `linear_pool` has the highest UAR; of equals, those with the lowest log loss.

    Arguments
    ---------
    probabilities : np.ndarray, (M, N, K)
    targets : np.ndarray of int, (N,)
    num_steps : int
        Weights are multiples of 1 / num_steps and sum to 1.

    Returns
    -------
    np.ndarray, (M,)

    Example
    -------
    >>> right, wrong = [[0.9, 0.1], [0.1, 0.9]], [[0.1, 0.9], [0.9, 0.1]]
    >>> best_weights(np.array([right, wrong]), np.array([0, 1]))
    array([1., 0.])
    """

    def loss(weights: np.ndarray) -> tuple[float, float]:
        fused = linear_pool(probabilities, weights)
        # Equal recalls summed in another order differ in their last bit.
        return -round(_uar(fused, targets), 9), log_loss(fused, targets)

    return min(_simplex(len(probabilities), num_steps), key=loss)


def stack(probabilities: np.ndarray, targets: np.ndarray, penalty: float = 1.0) -> np.ndarray:
    """Exponents of a `log_pool`, fitted together: logistic regression with one coefficient an input.

    It minimises the log loss summed over rows plus penalty / 2 times the sum of squares: for two classes, logistic
    regression without intercept on the inputs' log odds. It has neither intercepts nor a coefficient for each class:
    the validation rows of two speakers are too few to fit them.

    Source: Wolpert, Stacked Generalization, Neural Networks 5(2), 1992; exponents are at least 0, as Breiman, Stacked
    Regressions, Machine Learning 24, 1996, advises.

    Arguments
    ---------
    probabilities : np.ndarray, (M, N, K)
    targets : np.ndarray of int, (N,)
    penalty : float
        Above 0: it keeps exponents finite where every row is answered right.

    Returns
    -------
    np.ndarray, (M,)

    Example
    -------
    >>> half, skilled = np.full((40, 2), 0.5), np.array([[0.6, 0.4], [0.4, 0.6]] * 20)
    >>> exponents = stack(np.array([skilled, half]), np.array([0, 1] * 20))
    >>> bool(exponents[0] > 1), round(float(exponents[1]), 6)
    (True, 0.0)
    """
    logs, rows = log_probabilities(probabilities), np.arange(len(targets))

    def loss(exponents: np.ndarray) -> tuple[float, np.ndarray]:
        fused = normalised(np.tensordot(exponents, logs, axes=1))
        error = fused.copy()
        error[rows, targets] -= 1
        summed = -np.log(np.maximum(fused[rows, targets], 1e-300)).sum()
        slope = np.einsum("mnk,nk->m", logs, error) + penalty * exponents
        return summed + penalty / 2 * (exponents @ exponents), slope

    bounds = [(0, None)] * len(probabilities)
    return minimize(loss, np.ones(len(probabilities)), jac=True, method="L-BFGS-B", bounds=bounds).x


def uar_over_share(probabilities: np.ndarray, targets: np.ndarray, place: int) -> tuple[np.ndarray, np.ndarray]:
    """UAR of the `linear_pool` as one input's share of the weight goes from 0 to 1 and the others share the rest alike.

    Returns
    -------
    tuple of np.ndarray, (S,) and (S,)
        Shares, UARs.
    """
    num_inputs, shares = len(probabilities), np.linspace(0, 1, 2 * NUM_STEPS + 1)
    weights = np.repeat((1 - shares[:, None]) / (num_inputs - 1), num_inputs, axis=1)
    weights[:, place] = shares
    return shares, np.array([_uar(linear_pool(probabilities, each), targets) for each in weights])


def _uar(probabilities: np.ndarray, targets: np.ndarray) -> float:
    num_classes = probabilities.shape[1]
    return float(from_confusion(count_confusions(targets, probabilities.argmax(axis=1), num_classes)[0])["uar"])


def _simplex(num_inputs: int, num_steps: int) -> Iterator[np.ndarray]:
    """All (M,) multiples of 1 / num_steps that sum to 1."""
    for bars in combinations(range(num_steps + num_inputs - 1), num_inputs - 1):
        edges = np.array([-1, *bars, num_steps + num_inputs - 1])
        yield (np.diff(edges) - 1) / num_steps


def _shares(probabilities: np.ndarray, weights: Sequence[float]) -> np.ndarray:
    """Each input's weight in each row, (M, N): 0 where it lacks the row, 1 where the weights leave no choice."""
    present = ~np.isnan(probabilities[..., 0])
    shares = np.asarray(weights, dtype=np.float64)[:, None] * present
    undecided = (present.sum(axis=0) == 1) | (shares.sum(axis=0) == 0)
    return np.where(undecided, present.astype(np.float64), shares)
