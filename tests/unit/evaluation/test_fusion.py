"""Fusion fold by fold: what its weights may see, and what it gains."""

from dataclasses import replace

import numpy as np
import pytest

from emorec_lobes.errors import ConfigError, ProtocolError
from emorec_lobes.evaluation.calibration import fit_temperature, reliability, temper
from emorec_lobes.evaluation.fusion import METHODS, PAPER_WEIGHTS, fuse
from emorec_lobes.evaluation.fusion_inputs import align
from emorec_lobes.evaluation.fusion_weights import linear_pool, log_pool
from emorec_lobes.evaluation.metrics import scores
from emorec_lobes.evaluation.predictions import Predictions, as_csv

FITTED = ("stacking", "grid", "product")
ALL = [(method, calibrate) for method in METHODS for calibrate in (False, True)]


@pytest.fixture
def two(strict_run):
    return align({"speech": strict_run(1.5, seed=1), "text": strict_run(1.5, 4.0, seed=2)})


def reordered(table, seed):
    order = np.random.default_rng(seed).permutation(len(table))
    columns = (table.ids, table.folds, table.splits, table.speakers, table.targets)
    return Predictions(*(column[order] for column in columns), table.labels, table.probabilities[order])


def uar_of(answers):
    tested = answers.only("test")
    return scores(tested.targets, tested.predicted, tested.labels)["uar"]


def used(fused):
    return [(fold.weights, fold.temperatures) for fold in fused.folds]


@pytest.mark.parametrize("method", FITTED)
def test_what_is_fitted_never_sees_a_test_row(two, method):
    rows = two.splits == "test"
    generator = np.random.default_rng(0)
    probabilities = two.probabilities.copy()
    probabilities[:, rows] = generator.dirichlet(np.ones(4), (2, rows.sum()))
    targets = np.where(rows, generator.integers(0, 4, len(rows)), two.targets)
    scrambled = replace(two, probabilities=probabilities, targets=targets)
    assert used(fuse(scrambled, method, calibrate=True)) == used(fuse(two, method, calibrate=True))


@pytest.mark.parametrize("method", FITTED)
def test_a_folds_weights_come_from_its_own_valid_rows(two, method):
    rows = (two.splits == "valid") & (two.folds == "2")
    changed = replace(two, probabilities=np.where(rows[:, None], two.probabilities[::-1], two.probabilities))
    before, after = (used(fuse(each, method, calibrate=True)) for each in (two, changed))
    assert [one == other for one, other in zip(before, after, strict=True)] == [True, False, True]


def test_the_oracle_does_see_the_test_and_uses_one_set_of_weights_everywhere(two):
    rows = two.splits == "test"
    blind = replace(two, probabilities=np.where(rows[:, None], two.probabilities[::-1], two.probabilities))
    weights = {fold.weights for fold in fuse(two, "oracle").folds}
    assert len(weights) == 1 and weights != {fold.weights for fold in fuse(blind, "oracle").folds}
    best = uar_of(fuse(two, "oracle").predictions)
    assert best >= max(uar_of(fuse(two, "weights", given).predictions) for given in ((1, 0), (0, 1), (1, 1), (1, 3)))


@pytest.mark.parametrize("method", FITTED)
def test_two_inputs_that_err_apart_are_better_fused_than_each_alone(strict_run, method):
    tables = {
        "speech": strict_run(1.5, seed=1, num_utterances=1200),
        "text": strict_run(1.5, 4.0, seed=2, num_utterances=1200),
    }
    assert uar_of(fuse(align(tables), method).predictions) > max(map(uar_of, tables.values())) + 0.03


def test_without_a_word_the_papers_weights_are_used(two):
    fused = fuse(two, "weights")
    assert PAPER_WEIGHTS == (0.6, 1.0) and {fold.weights for fold in fused.folds} == {PAPER_WEIGHTS}
    np.testing.assert_allclose(fused.predictions.probabilities, linear_pool(two.probabilities, (0.6, 1.0)), atol=1e-7)


def test_the_product_is_that_of_inputs_calibrated_on_their_folds_valid_rows(two):
    fused = fuse(two, "product")
    for fold in fused.folds:
        rows, valid = two.folds == fold.fold, (two.folds == fold.fold) & (two.splits == "valid")
        temperatures = [fit_temperature(table[valid], two.targets[valid]) for table in two.probabilities]
        assert fold.temperatures == pytest.approx(temperatures)
        tempered = [temper(table[rows], each) for table, each in zip(two.probabilities, temperatures, strict=True)]
        expected = log_pool(np.array(tempered), (1, 1))
        np.testing.assert_allclose(fused.predictions.probabilities[rows], expected, atol=1e-7)


def test_calibration_lowers_the_error_of_an_overconfident_input_on_the_test(two):
    tested = two.splits == "test"
    before, after = (
        reliability(tables[1, tested], two.targets[tested], adaptive=True).ece
        for tables in (two.probabilities, fuse(two, "grid", calibrate=True).inputs)
    )
    assert before > 2 * after


@pytest.mark.parametrize(("method", "calibrate"), ALL)
def test_the_order_of_the_inputs_rows_changes_not_a_byte(strict_run, method, calibrate):
    tables = {
        "speech": strict_run(1.5, seed=1, num_utterances=120),
        "text": strict_run(1.0, seed=2, num_utterances=120),
    }
    shuffled = {name: reordered(table, seed) for seed, (name, table) in enumerate(tables.items())}
    first, second = (fuse(align(each), method, calibrate=calibrate) for each in (tables, shuffled))
    assert as_csv(first.predictions) == as_csv(second.predictions) and used(first) == used(second)


@pytest.mark.parametrize(("method", "calibrate"), ALL)
def test_an_utterance_that_one_input_lacks_gets_the_others_answer(strict_run, method, calibrate):
    text = strict_run(1.0, seed=2, num_utterances=120)
    kept = ~np.isin(text.ids, ["emodb_0003", "emodb_0017"])
    columns = (text.ids, text.folds, text.splits, text.speakers, text.targets)
    text = Predictions(*(column[kept] for column in columns), text.labels, text.probabilities[kept])
    both = align({"speech": strict_run(1.5, seed=1, num_utterances=120), "text": text})
    fused = fuse(both, method, calibrate=calibrate)
    lacking = ~both.present[1]
    np.testing.assert_allclose(fused.predictions.probabilities[lacking], fused.inputs[0, lacking], atol=1e-6)
    assert {(row["id"], *row["missing"]) for row in both.fallbacks} == {("emodb_0003", "text"), ("emodb_0017", "text")}
    assert len(both.fallbacks) == 4, "each is a valid row and a test row"


@pytest.mark.parametrize("method", FITTED)
def test_without_valid_rows_nothing_is_fitted(strict_run, method):
    paper = align({"speech": strict_run(seed=1, splits=("test",)), "text": strict_run(seed=2, splits=("test",))})
    for refused in (lambda: fuse(paper, method), lambda: fuse(paper, "weights", calibrate=True)):
        with pytest.raises(ProtocolError, match="fold 1, 2, 3 has none in speech, text") as caught:
            refused()
        assert "\n" not in str(caught.value)
    assert [fold.num_valid for fold in fuse(paper, "weights").folds] == [0, 0, 0]
    assert fuse(paper, "oracle").folds[0].temperatures is None


@pytest.mark.parametrize(
    ("method", "weights"),
    [
        ("grit", None),
        ("grid", [1, 1]),
        ("weights", [1]),
        ("weights", [1, -1]),
        ("weights", [0, 0]),
        ("weights", [1, np.nan]),
    ],
)
def test_options_that_mean_nothing_are_refused_in_one_line(two, method, weights):
    with pytest.raises(ConfigError) as caught:
        fuse(two, method, weights)
    assert "\n" not in str(caught.value) and "must" in str(caught.value)


def test_the_papers_weights_are_for_two_and_the_grid_for_few(strict_run):
    six = align({str(seed): strict_run(seed=seed, num_utterances=60) for seed in range(6)})
    for method in ("weights", "grid", "oracle"):
        with pytest.raises(ConfigError, match="must"):
            fuse(six, method)
    assert len(fuse(six, "stacking").folds[0].weights) == 6
