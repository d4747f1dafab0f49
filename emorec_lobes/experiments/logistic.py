"""Multinomial logistic regression: arrays in, class probabilities out."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from emorec_lobes.errors import ConfigError


@dataclass(frozen=True)
class Examples:
    """What a classifier is fitted on.

    Arguments
    ---------
    features : np.ndarray or scipy.sparse matrix, (N, D)
    targets : np.ndarray of int, (N,)
        At least two classes.
    shares : np.ndarray, (N,)
        How much each row counts: of an utterance with two emotions, which stands in two rows, each counts a half.
    """

    features: Any
    targets: np.ndarray
    shares: np.ndarray


def fit_logistic(
    examples: Examples, c: float, tolerance: float, max_iterations: int, weights: Sequence[float] | None = None
) -> LogisticRegression:
    """Fits all classes together by L-BFGS: the minimum is one, so no seed is needed.

    Arguments
    ---------
    examples : Examples
    c : float
        Of the summed cross-entropy, beside half the squared weights; the intercepts are free.
    tolerance : float
        Of the largest gradient at which the solver stops.
    max_iterations : int
        Of the solver; not to have converged by then is an error.
    weights : sequence of float, optional
        Of each class: its rows count that much more.

    Returns
    -------
    sklearn.linear_model.LogisticRegression

    Raises
    ------
    ConfigError
        If the solver does not converge.

    Example
    -------
    >>> rows = np.array([[0.0], [1.0], [8.0], [9.0]])
    >>> model = fit_logistic(Examples(rows, np.array([0, 0, 2, 2]), np.ones(4)), 1.0, 1e-4, 1000)
    >>> logistic_probabilities(model, np.array([[0.0], [9.0]]), num_classes=3).round(2).tolist()
    [[0.97, 0.0, 0.03], [0.03, 0.0, 0.97]]
    """
    model = LogisticRegression(
        C=c,
        class_weight=None if weights is None else dict(enumerate(weights)),
        tol=tolerance,
        max_iter=max_iterations,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        try:
            return model.fit(examples.features, examples.targets, examples.shares)
        except ConvergenceWarning:
            raise ConfigError(
                f"`max_iterations` must let the regression with C = {c:g} converge, but is {max_iterations} instead. "
                "Raise it, or leave that C out of --c_values."
            ) from None


def logistic_probabilities(model: LogisticRegression, features: Any, num_classes: int) -> np.ndarray:
    """The regression's own probabilities.

    Returns
    -------
    np.ndarray, (N, K)
        0 for a class that was not in the training.
    """
    probabilities = np.zeros((features.shape[0], num_classes))
    probabilities[:, model.classes_] = model.predict_proba(features)
    return probabilities
