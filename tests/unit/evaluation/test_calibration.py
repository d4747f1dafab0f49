"""Temperatures and calibration errors, beside cases worked by hand, slow loops and known distortions."""

import numpy as np
import pytest

from emorec_lobes.errors import DataError
from emorec_lobes.evaluation.calibration import TEMPERATURES, fit_temperature, log_loss, reliability, temper

# Confidences 0.6, 0.7, 0.9 and 0.95; only the second answer is wrong.
BY_HAND = np.array([[0.6, 0.4], [0.3, 0.7], [0.9, 0.1], [0.05, 0.95]]), np.array([0, 0, 0, 1])


def drawn(num_rows=4000, seed=0):
    """Probabilities that are right about the targets, by construction."""
    generator = np.random.default_rng(seed)
    probabilities = generator.dirichlet(np.ones(4), num_rows)
    targets = (probabilities.cumsum(axis=1) < generator.random((num_rows, 1))).sum(axis=1)
    return probabilities, targets


def sharpened(probabilities, power):
    raised = probabilities**power
    return raised / raised.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(
    ("num_bins", "adaptive", "error"),
    [
        (1, False, abs((0.6 + 0.7 + 0.9 + 0.95) / 4 - 3 / 4)),
        (2, False, abs((0.6 + 0.7 + 0.9 + 0.95) / 4 - 3 / 4)),  # all lie above 0.5
        (10, False, (0.4 + 0.7 + 0.1 + 0.05) / 4),  # each in a bin of its own
        (2, True, (abs(0.65 - 0.5) + abs(0.925 - 1)) / 2),
        (4, True, (0.4 + 0.7 + 0.1 + 0.05) / 4),
    ],
)
def test_the_calibration_error_is_that_worked_by_hand(num_bins, adaptive, error):
    assert reliability(*BY_HAND, num_bins=num_bins, adaptive=adaptive).ece == pytest.approx(error)


def test_the_calibration_error_is_that_of_a_slow_loop():
    probabilities, targets = drawn(300)
    confidences, correct = probabilities.max(axis=1), probabilities.argmax(axis=1) == targets
    error = 0.0
    for low in np.arange(15) / 15:
        inside = [row for row in range(300) if low < confidences[row] <= low + 1 / 15]
        if inside:
            error += len(inside) / 300 * abs(confidences[inside].mean() - correct[inside].mean())
    assert reliability(probabilities, targets).ece == pytest.approx(error)


def test_adaptive_bins_hold_equally_many_answers_and_never_part_equal_ones():
    probabilities, targets = drawn(600)
    assert reliability(probabilities, targets, 15, adaptive=True).counts.tolist() == [40] * 15
    tied = np.array([[0.9, 0.1]] * 50 + [[0.6, 0.4]] * 10)
    assert reliability(tied, np.zeros(60, int), 6, adaptive=True).counts.tolist() == [10, 50]


@pytest.mark.parametrize("adaptive", [False, True])
def test_the_order_of_rows_does_not_matter(adaptive):
    probabilities, targets = drawn(200)
    probabilities = probabilities.round(1)  # many ties
    order = np.random.default_rng(1).permutation(200)
    shuffled = reliability(probabilities[order], targets[order], adaptive=adaptive)
    assert shuffled.ece == pytest.approx(reliability(probabilities, targets, adaptive=adaptive).ece, abs=1e-12)


def test_the_temperature_is_the_best_of_a_fine_grid():
    probabilities, targets = drawn(200)
    probabilities = sharpened(probabilities, 2.5)
    grid = np.exp(np.linspace(*np.log(TEMPERATURES), 2000))
    losses = [log_loss(temper(probabilities, temperature), targets) for temperature in grid]
    assert fit_temperature(probabilities, targets) == pytest.approx(grid[np.argmin(losses)], rel=0.004)


@pytest.mark.parametrize("power", [0.3, 1.0, 3.0])
def test_a_known_distortion_is_found_and_undone(power):
    probabilities, targets = drawn()
    temperature = fit_temperature(sharpened(probabilities, power), targets)
    assert temperature == pytest.approx(power, rel=0.1)
    np.testing.assert_allclose(temper(sharpened(probabilities, power), power), probabilities, atol=5e-3)  # of the floor


@pytest.mark.parametrize("power", [0.3, 3.0])
@pytest.mark.parametrize("adaptive", [False, True])
def test_calibration_lowers_the_error_on_held_out_rows(power, adaptive):
    probabilities, targets = drawn()
    distorted = sharpened(probabilities, power)
    temperature = fit_temperature(distorted[:2000], targets[:2000])
    held_out = distorted[2000:], targets[2000:]
    before = reliability(*held_out, adaptive=adaptive).ece
    after = reliability(temper(held_out[0], temperature), held_out[1], adaptive=adaptive).ece
    assert before > 0.1 > 0.04 > after


def test_a_temperature_changes_no_answer_and_keeps_missing_rows_missing():
    probabilities, _ = drawn(100)
    probabilities[3] = np.nan
    tempered = temper(probabilities, 7.0)
    assert np.isnan(tempered[3]).all()
    rows = np.arange(100) != 3
    np.testing.assert_array_equal(tempered[rows].argmax(axis=1), probabilities[rows].argmax(axis=1))


def test_rows_that_are_all_right_or_have_a_zero_give_a_finite_temperature():
    assert fit_temperature([[0.6, 0.4]] * 5, [0] * 5) == pytest.approx(TEMPERATURES[0], rel=1e-3)
    assert fit_temperature([[1.0, 0.0]] * 5, [1] * 5) == pytest.approx(TEMPERATURES[1], rel=1e-3)


def test_bins_of_nothing_are_refused_in_one_line():
    with pytest.raises(DataError, match="at least 1"):
        reliability(np.empty((0, 2)), np.empty(0, int))
