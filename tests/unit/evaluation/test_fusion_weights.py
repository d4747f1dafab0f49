"""Combining probabilities, and choosing how: beside hand-worked cases, scikit-learn and slow loops."""

from itertools import product

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn import metrics
from sklearn.linear_model import LogisticRegression

from emorec_lobes.evaluation.fusion_weights import best_weights, linear_pool, log_pool, stack, uar_over_share

SPEECH, TEXT = [0.7, 0.2, 0.1, 0.0], [0.25, 0.45, 0.2, 0.1]


def answered(skill, scale=1.0, num_rows=400, num_classes=4, seed=0):
    """Probabilities and targets; the targets depend on the numbers of rows and classes alone."""
    targets = np.arange(num_rows) % num_classes
    logits = np.random.default_rng(seed).normal(size=(num_rows, num_classes))
    logits[np.arange(num_rows), targets] += skill
    weights = np.exp(scale * logits)
    return weights / weights.sum(axis=1, keepdims=True), targets


def inputs(*options, **shared):
    tables = [answered(*option, seed=seed, **shared) for seed, option in enumerate(options)]
    return np.array([table for table, _ in tables]), tables[0][1]


def test_equation_four_on_a_case_worked_by_hand():
    fused = linear_pool(np.array([[SPEECH], [TEXT]]), (0.6, 1.0))
    np.testing.assert_allclose(fused, [[0.67 / 1.6, 0.57 / 1.6, 0.26 / 1.6, 0.10 / 1.6]])
    assert linear_pool(np.array([[SPEECH], [TEXT]]), (0.3, 1.0)).argmax() == 1  # 0.46, 0.51


def test_only_the_ratio_of_the_weights_matters():
    tables, _ = inputs((1.0,), (1.0,))
    np.testing.assert_allclose(linear_pool(tables, (0.6, 1.0)), linear_pool(tables, (3, 5)))


def test_the_product_of_powers_is_that_of_a_slow_loop():
    tables, _ = inputs((1.0,), (2.0,), (0.5,), num_rows=8)
    fused = log_pool(tables, (0.5, 2.0, 1.0))
    for row in range(8):
        raised = [tables[0, row, k] ** 0.5 * tables[1, row, k] ** 2 * tables[2, row, k] for k in range(4)]
        np.testing.assert_allclose(fused[row], np.array(raised) / sum(raised))


@pytest.mark.parametrize("pool", [linear_pool, log_pool])
@pytest.mark.parametrize("weights", [(0.2, 0.8), (1.0, 0.0), (0.0, 1.0), (0.0, 0.0), (3.0, 0.5)])
def test_a_row_that_one_input_has_alone_keeps_its_probabilities_whatever_the_weights(pool, weights):
    nothing = [np.nan] * 4
    fused = pool(np.array([[SPEECH, nothing], [nothing, TEXT]]), weights)
    np.testing.assert_allclose(fused, [SPEECH, TEXT], atol=1e-6)


@pytest.mark.parametrize("pool", [linear_pool, log_pool])
def test_a_row_that_two_of_three_have_is_fused_from_those_two(pool):
    tables, _ = inputs((1.0,), (1.0,), num_rows=6)
    missing = np.full_like(tables[:1], np.nan)
    np.testing.assert_allclose(pool(np.concatenate([tables, missing]), (0.2, 0.3, 0.5)), pool(tables, (0.2, 0.3)))


def test_a_zero_of_one_input_is_no_veto_of_a_product():
    fused = log_pool(np.array([[[0.0, 1.0]], [[1.0, 0.0]]]), (1, 1))
    np.testing.assert_allclose(fused, [[0.5, 0.5]])


def test_the_grids_choice_is_that_of_a_slow_loop_with_scikit_learn():
    tables, targets = inputs((1.0,), (1.5, 0.3), (0.7,), num_rows=60)
    best = None
    for steps in product(range(11), repeat=3):
        if sum(steps) != 10:
            continue
        fused = sum(step / 10 * table for step, table in zip(steps, tables, strict=True))
        uar = metrics.balanced_accuracy_score(targets, fused.argmax(axis=1))
        key = (round(uar, 9), -metrics.log_loss(targets, fused))
        if best is None or key > best[0]:
            best = key, steps
    np.testing.assert_allclose(best_weights(tables, targets, num_steps=10), np.array(best[1]) / 10)


def test_for_two_classes_stacking_is_scikit_learns_logistic_regression_on_log_odds():
    tables, targets = inputs((1.0,), (0.5, 3.0), (1.5, 0.2), num_classes=2, num_rows=200)
    odds = np.log(tables[:, :, 1] / tables[:, :, 0]).T
    reference = LogisticRegression(fit_intercept=False, C=1.0, tol=1e-8).fit(odds, targets)
    np.testing.assert_allclose(stack(tables, targets), reference.coef_[0], rtol=1e-3)


def test_for_more_classes_stacking_minimises_the_loss_that_it_says():
    tables, targets = inputs((1.0,), (0.5, 3.0), num_rows=40)

    def loss(exponents):
        total = 0.5 * sum(exponents**2)
        for row, target in enumerate(targets):
            raised = [np.prod(tables[:, row, k] ** exponents) for k in range(4)]
            total -= np.log(raised[target] / sum(raised))
        return total

    found = minimize(loss, [1.0, 1.0], method="Nelder-Mead", options={"xatol": 1e-5, "fatol": 1e-8}).x
    np.testing.assert_allclose(stack(tables, targets), found, atol=1e-3)


@pytest.mark.parametrize("scale", [1.0, 10.0])
def test_an_input_made_of_noise_gets_a_weight_near_zero(scale):
    tables, targets = inputs((1.5,), (0.0, scale), num_rows=2000)
    skilled, noise = stack(tables, targets)
    assert noise < 0.05 < 0.8 < skilled
    assert best_weights(tables, targets)[1] <= 0.2  # UAR is flat there, so the grid is less sure


def test_an_input_that_is_wrong_throughout_gets_nothing():
    tables, targets = inputs((1.5,), (-1.5,))
    assert stack(tables, targets)[1] == 0


def test_copies_of_an_input_share_what_it_would_get_alone():
    (table,), targets = inputs((1.5, 2.0))
    alone, pair = stack(np.array([table]), targets), stack(np.array([table, table]), targets)
    assert pair[0] == pytest.approx(pair[1], rel=1e-3)
    assert pair.sum() == pytest.approx(alone[0], rel=0.02)  # the penalty is on squares


def test_stacking_stays_finite_where_every_row_is_answered_right():
    tables, targets = inputs((30.0,), (30.0,), num_rows=20)
    assert np.isfinite(stack(tables, targets)).all()


def test_the_curve_runs_from_one_input_alone_to_the_other():
    tables, targets = inputs((1.0,), (2.0,))
    shares, uars = uar_over_share(tables, targets, place=0)
    alone = [metrics.balanced_accuracy_score(targets, table.argmax(axis=1)) for table in tables]
    assert (shares[0], shares[-1]) == (0, 1)
    assert [uars[-1], uars[0]] == pytest.approx(alone)
    middle = metrics.balanced_accuracy_score(targets, tables.mean(axis=0).argmax(axis=1))
    assert uars[len(uars) // 2] == pytest.approx(middle)
