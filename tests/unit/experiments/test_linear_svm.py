"""The SVM is the one its definition asks for, and its probabilities answer as it does."""

import numpy as np
import pytest
from scipy.optimize import minimize

from emorec_lobes.errors import ConfigError
from emorec_lobes.experiments.linear_svm import SolverOptions, fit_svm, svm_probabilities

EXACT = SolverOptions(tolerance=1e-8, max_iterations=1_000_000, seed=1)


def data(num_utterances, num_features, num_classes=3):
    """Overlapping classes of unequal sizes, on scales far from one another."""
    generator = np.random.default_rng(num_features)
    targets = np.arange(num_utterances) % num_classes
    targets[: num_utterances // 4] = 0
    means = generator.normal(size=(num_classes, num_features))
    features = generator.normal(size=(num_utterances, num_features)) + means[targets]
    return features * 10.0 ** generator.integers(-3, 4, num_features) + 5, targets


def by_definition(features, targets, c, weights):
    """Each class's decision at the minimum of |w|^2 / 2 + C * sum of squared hinges, found by a general minimiser."""
    whitened = (features - features.mean(axis=0)) / features.std(axis=0)
    rows = np.hstack([whitened, np.ones((len(features), 1))])  # the intercept is one of the weights
    decisions = []
    for label in np.unique(targets):
        sign = np.where(targets == label, 1.0, -1.0)
        # In one class against the rest, scikit-learn weighs the rest with 1.
        penalty = c * np.where(targets == label, weights[label], 1.0)

        def objective(w, sign=sign, penalty=penalty):
            hinge = np.maximum(0, 1 - sign * (rows @ w))
            return w @ w / 2 + penalty @ hinge**2, w - 2 * rows.T @ (penalty * sign * hinge)

        found = minimize(objective, np.zeros(rows.shape[1]), jac=True, options={"gtol": 1e-8, "maxiter": 10_000})
        decisions.append(rows @ found.x)
    return np.stack(decisions, axis=1)


@pytest.mark.parametrize("shape", [(60, 5), (30, 50)], ids=["more utterances", "more features"])
@pytest.mark.parametrize("weights", [None, [0.5, 1.0, 4.0]])
def test_it_minimises_the_squared_hinge_over_standardised_features(shape, weights):
    features, targets = data(*shape)
    svm = fit_svm(features, targets, 0.3, EXACT, weights)
    expected = by_definition(features, targets, 0.3, weights or [1.0, 1.0, 1.0])
    np.testing.assert_allclose(svm.decision_function(features), expected, atol=1e-4)


def test_a_feature_that_never_moves_does_no_harm():
    features, targets = data(30, 4)
    frozen = np.hstack([features, np.full((30, 1), 7.0)])
    decisions = [fit_svm(each, targets, 1.0, EXACT).decision_function(each) for each in (features, frozen)]
    np.testing.assert_allclose(*decisions, atol=1e-5)


@pytest.mark.parametrize("shape", [(60, 5), (30, 50)])
def test_the_same_seed_fits_the_same_svm_to_the_last_bit(shape):
    features, targets = data(*shape)
    first, second = (fit_svm(features, targets, 1.0, SolverOptions(1e-4, 100_000, 3)) for _ in range(2))
    assert np.array_equal(first[-1].coef_, second[-1].coef_)


def test_probabilities_are_the_softmax_of_the_decisions_and_answer_like_the_svm():
    features, targets = data(60, 5)
    svm = fit_svm(features, targets, 1.0, EXACT)
    probabilities = svm_probabilities(svm, features, 3)
    for row, decision in zip(probabilities, svm.decision_function(features), strict=True):
        np.testing.assert_allclose(row, np.exp(decision) / sum(np.exp(value) for value in decision))
    assert np.array_equal(probabilities.argmax(axis=1), svm.predict(features))


def test_of_two_classes_the_second_ones_decision_is_the_firsts_turned_round():
    features, targets = data(40, 5, num_classes=2)
    svm = fit_svm(features, targets, 1.0, EXACT)
    probabilities = svm_probabilities(svm, features, 2)
    np.testing.assert_allclose(probabilities[:, 1], 1 / (1 + np.exp(-2 * svm.decision_function(features))))
    assert np.array_equal(probabilities.argmax(axis=1), svm.predict(features))


def test_a_class_that_was_not_trained_on_gets_no_probability():
    features, targets = data(40, 5)
    svm = fit_svm(features, 2 * (targets > 0) + 1, 1.0, EXACT)  # classes 1 and 3 of 5
    probabilities = svm_probabilities(svm, features, 5)
    assert not probabilities[:, [0, 2, 4]].any()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)


def test_decisions_far_apart_do_not_overflow():
    svm = fit_svm(np.array([[0.0], [1.0]]), np.array([0, 1]), 1.0, EXACT)
    assert svm_probabilities(svm, np.array([[1e6]]), 2).tolist() == [[0.0, 1.0]]


def test_an_svm_that_does_not_converge_is_refused_with_its_c():
    features, targets = data(30, 50)
    with pytest.raises(ConfigError, match=r"`max_iterations` must let the SVM with C = 10 converge, but is 1 instead"):
        fit_svm(features, targets, 10.0, SolverOptions(1e-9, 1, 1))
