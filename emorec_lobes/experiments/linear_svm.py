"""A linear SVM: arrays in, class probabilities out."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from emorec_lobes.errors import ConfigError


@dataclass(frozen=True)
class SolverOptions:
    """How the SVM's problem is solved.

    Arguments
    ---------
    tolerance : float
        Of the solver's stopping criterion.
    max_iterations : int
        Of the solver; not to have converged by then is an error.
    seed : int
        Of the order in which the solver visits the utterances.
    """

    tolerance: float
    max_iterations: int
    seed: int


def fit_svm(
    features: np.ndarray, targets: np.ndarray, c: float, options: SolverOptions, weights: Sequence[float] | None = None
) -> Pipeline:
    """Fits a scaler to zero mean and unit variance, and one SVM a class against all others.

    Arguments
    ---------
    features : np.ndarray, (N, D)
    targets : np.ndarray of int, (N,)
        At least two classes.
    c : float
        The penalty of an utterance on the wrong side.
    options : SolverOptions
    weights : sequence of float, optional
        Of each class: its own utterances have the penalty C times that, in the SVM of this class.

    Returns
    -------
    sklearn.pipeline.Pipeline
        The same for the same arguments.

    Raises
    ------
    ConfigError
        If the solver does not converge.

    Example
    -------
    >>> features = np.array([[0.0, 5.0], [1.0, 5.0], [8.0, 5.0], [9.0, 5.0]])
    >>> svm = fit_svm(features, np.array([0, 0, 1, 1]), 1.0, SolverOptions(1e-4, 1000, 1))
    >>> svm.predict([[2.0, 5.0], [7.0, 5.0]])
    array([0, 1])
    """
    svm = LinearSVC(
        C=c,
        dual=len(features) < features.shape[1],  # the smaller of the two problems
        class_weight=None if weights is None else dict(enumerate(weights)),
        tol=options.tolerance,
        max_iter=options.max_iterations,
        random_state=options.seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        try:
            return make_pipeline(StandardScaler(), svm).fit(features, targets)
        except ConvergenceWarning:
            raise ConfigError(
                f"`max_iterations` must let the SVM with C = {c:g} converge, but is {options.max_iterations} instead. "
                "Raise it, or leave that C out of --c_values."
            ) from None


def svm_probabilities(svm: Pipeline, features: np.ndarray, num_classes: int) -> np.ndarray:
    """Softmax of the decision function: in the order of an SVM's answers, but not calibrated.

    Returns
    -------
    np.ndarray, (N, K)
        0 for a class that was not in the training.

    Example
    -------
    >>> svm = fit_svm(np.array([[0.0], [1.0]]), np.array([0, 2]), 1.0, SolverOptions(1e-4, 1000, 1))
    >>> svm_probabilities(svm, np.array([[0.5]]), 3).round(3)
    array([[0.5, 0. , 0.5]])
    """
    decision = svm.decision_function(features)
    if decision.ndim == 1:  # of two classes, scikit-learn gives the second one's alone
        decision = np.stack([-decision, decision], axis=1)
    scores = np.full((len(features), num_classes), -np.inf)
    scores[:, svm.classes_] = decision
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)
