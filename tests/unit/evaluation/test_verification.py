"""The equal error rate by hand and against scikit-learn; its interval against trials repeated one by one."""

import numpy as np
import pytest
from scipy.optimize import brentq
from sklearn.metrics import roc_curve

from emorec_lobes.errors import ProtocolError
from emorec_lobes.evaluation.figures_verification import detection_figure
from emorec_lobes.evaluation.statistics import draw_times, student_band
from emorec_lobes.evaluation.verification import ErrorCurve, equal_error_rate, verification_record


def trials_of(num_speakers, num_each, skill, seed):
    """All pairs of drawn points; a speaker's lie around his own."""
    generator = np.random.default_rng(seed)
    names = np.repeat([f"s{number}" for number in range(num_speakers)], num_each)
    points = skill * np.repeat(generator.normal(size=(num_speakers, 3)), num_each, axis=0)
    points += generator.normal(size=points.shape)
    first, second = np.triu_indices(len(names), 1)
    scores = -np.linalg.norm(points[first] - points[second], axis=1)
    speakers = np.stack([names[first], names[second]], axis=1)
    return scores, speakers[:, 0] == speakers[:, 1], speakers


@pytest.mark.parametrize(
    ("scores", "targets", "rate"),
    [
        ([0.9, 0.8, 0.2, 0.1], [1, 1, 0, 0], 0.0),
        ([0.1, 0.2, 0.8, 0.9], [1, 1, 0, 0], 1.0),
        ([0.5, 0.5, 0.5, 0.5], [1, 1, 0, 0], 0.5),
        # Accepting the best five: 1 of 5 impostors accepted, 1 of 5 targets rejected.
        ([10, 9, 8, 7, 6, 5, 4, 3, 2, 1], [1, 1, 0, 1, 1, 0, 1, 0, 0, 0], 0.2),
        # From (0, 2/3) straight to (1, 1/3) at the next threshold but one: a third of the way is no crossing, 1/2 is.
        ([3, 2, 1], [1, 0, 1], 0.5),
    ],
)
def test_the_rate_is_the_one_worked_by_hand(scores, targets, rate):
    assert equal_error_rate(scores, np.array(targets, dtype=bool)) == pytest.approx(rate)


@pytest.mark.parametrize("decimals", [1, 2, 8])
@pytest.mark.parametrize("seed", range(4))
def test_it_is_where_scikit_learns_curve_crosses_the_diagonal(seed, decimals):
    scores, targets, _ = trials_of(6, 5, skill=1.0, seed=seed)
    scores = scores.round(decimals)  # many ties, some, none
    accepted, hits, _ = roc_curve(targets, scores, drop_intermediate=False)
    expected = brentq(lambda x: x - (1 - np.interp(x, accepted, hits)), 0, 1, xtol=1e-12)
    # On a vertical step of the curve all heights belong to one x: there interp takes the upper end.
    assert equal_error_rate(scores, targets) == pytest.approx(expected, abs=1 / (~targets).sum())


def test_only_the_order_of_the_scores_matters():
    scores, targets, _ = trials_of(5, 4, skill=1.0, seed=1)
    assert equal_error_rate(np.exp(3 * scores), targets) == equal_error_rate(scores, targets)
    order = np.random.default_rng(0).permutation(len(scores))
    assert equal_error_rate(scores[order], targets[order]) == pytest.approx(equal_error_rate(scores, targets))


def test_turning_scores_and_targets_round_changes_nothing():
    scores, targets, _ = trials_of(5, 4, skill=1.0, seed=2)
    assert equal_error_rate(-scores, ~targets) == pytest.approx(equal_error_rate(scores, targets))


def test_a_weight_is_a_number_of_repetitions():
    scores, targets, _ = trials_of(5, 3, skill=1.0, seed=3)
    weights = np.random.default_rng(1).integers(0, 4, size=len(scores))
    repeated = equal_error_rate(np.repeat(scores, weights), np.repeat(targets, weights))
    assert ErrorCurve(scores, targets).equal_error_rate(weights) == pytest.approx(repeated)


def test_an_interval_draws_speakers_with_all_their_trials():
    scores, targets, speakers = trials_of(5, 4, skill=1.0, seed=4)
    found = verification_record({"ours": scores}, targets, speakers, num_resamples=50, seed=7)
    names = np.unique(speakers).tolist()
    rates = []
    for times in draw_times(5, 50, np.random.default_rng(7)):
        drawn = dict(zip(names, times, strict=True))
        rows = [
            place
            for place, (one, other) in enumerate(speakers)
            for _ in range(drawn[one] if one == other else drawn[one] * drawn[other])
        ]
        rates.append(equal_error_rate(scores[rows], targets[rows]))
    expected = student_band(equal_error_rate(scores, targets), np.array(rates), 5, log_odds=True)
    assert found["systems"]["ours"]["interval"] == pytest.approx({**expected, "level": 0.95})
    assert found["num_speakers"] == 5 and found["num_targets"] == 5 * 6 and found["num_trials"] == 190


def test_systems_are_compared_on_the_same_draws():
    scores, targets, speakers = trials_of(6, 5, skill=1.0, seed=5)
    other = np.random.default_rng(0).normal(size=len(scores))
    systems = verification_record({"a": scores, "b": scores, "c": other}, targets, speakers)["systems"]
    assert systems["b"]["above_first"] == {"eer": 0.0, "interval": {"low": 0.0, "high": 0.0, "level": 0.95}}
    assert systems["c"]["above_first"]["eer"] == pytest.approx(systems["c"]["eer"] - systems["a"]["eer"])
    assert "above_first" not in systems["a"] and systems["c"]["above_first"]["interval"]["low"] > 0


def test_resamples_without_two_speakers_are_left_out():
    scores, targets, speakers = trials_of(2, 3, skill=1.0, seed=6)
    found = verification_record({"ours": scores}, targets, speakers, num_resamples=400)
    assert 150 < found["num_resamples"] < 250  # both speakers are drawn in half of them


@pytest.mark.parametrize(
    ("scores", "targets", "part"),
    [([1, 2], [True, True], "both kinds"), ([1, 2], [False, False], "both kinds"), ([1, np.nan], [True, False], "fin")],
)
def test_trials_that_say_nothing_are_refused(scores, targets, part):
    with pytest.raises(ProtocolError, match=part):
        equal_error_rate(scores, targets)


def test_the_figure_draws_even_a_perfect_system(tmp_path):
    targets = np.array([True, True, False, False])
    scores = {"perfect": [4, 3, 2, 1], "chance": [1, 4, 3, 2], "always wrong": [1, 2, 3, 4]}
    detection_figure(scores, targets, tmp_path / "detection.png", "a few trials")
    assert (tmp_path / "detection.png").read_bytes().startswith(b"\x89PNG")
