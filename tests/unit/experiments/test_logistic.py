"""The regression is the one its definition asks for: at the minimum, by hand, no weight has a gradient."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from emorec_lobes.errors import ConfigError
from emorec_lobes.experiments.logistic import Examples, fit_logistic, logistic_probabilities

WEIGHTS = [0.5, 1.0, 4.0]


def examples(num_classes=3):
    """Overlapping classes, of which some rows count less."""
    generator = np.random.default_rng(2)
    targets = np.arange(90) % num_classes
    features = generator.normal(size=(90, 6)) + generator.normal(size=(num_classes, 6))[targets]
    return Examples(features, targets, generator.choice([1.0, 0.5], 90))


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("c", [0.01, 3.0])
def test_it_minimises_half_the_squared_weights_and_c_times_the_weighed_cross_entropy(weights, c):
    given = examples()
    model = fit_logistic(given, c, 1e-9, 10_000, weights)
    logits = given.features @ model.coef_.T + model.intercept_
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    errors = exponents / exponents.sum(axis=1, keepdims=True) - np.eye(3)[given.targets]
    errors *= (given.shares * np.array(weights or [1.0] * 3)[given.targets])[:, None]
    np.testing.assert_allclose(model.coef_ + c * errors.T @ given.features, 0, atol=1e-3)
    np.testing.assert_allclose(errors.sum(axis=0), 0, atol=1e-3)  # the intercepts are free


def test_a_class_that_was_not_trained_on_gets_no_probability():
    given = examples(num_classes=2)
    moved = Examples(given.features, 2 * given.targets + 1, given.shares)  # classes 1 and 3 of 5
    probabilities = logistic_probabilities(fit_logistic(moved, 1.0, 1e-6, 1000), given.features, 5)
    assert not probabilities[:, [0, 2, 4]].any()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)


def test_sparse_features_give_the_same_regression():
    given = examples()
    sparse = Examples(csr_matrix(given.features), given.targets, given.shares)
    one, other = (fit_logistic(each, 1.0, 1e-9, 10_000) for each in (given, sparse))
    np.testing.assert_allclose(one.coef_, other.coef_, atol=1e-4)


def test_a_regression_that_does_not_converge_is_refused_with_its_c():
    with pytest.raises(ConfigError, match=r"`max_iterations` must let the regression with C = 10 converge, but is 1"):
        fit_logistic(examples(), 10.0, 1e-9, 1)
