"""The report of a tuning: what it says of how the best was chosen, and its figures."""

import shlex

import pytest
from matplotlib.image import imread

from emorec_lobes.evaluation.figures_tuning import history_figure, importance_figure
from emorec_lobes.evaluation.tuning import Trial, Tuning, Validation, tuning_markdown, tuning_text


@pytest.fixture
def tuning():
    rows = [("0.1", 0.5), ("[a, b]", 0.75), ("x|y", 0.75)]
    trials = [Trial(number, {"key": text}, f"trial_{number}", score) for number, (text, score) in enumerate(rows)]
    trials += [
        Trial(3, {"key": "1"}, "trial_3", None, partial=0.9),
        Trial(4, {"key": "2"}, "trial_4", None, failure="<b>"),
    ]
    return Tuning(
        recipe="IEMOCAP/train_ser.py",
        hparams="ser_mel.yaml",
        metric="uar",
        space={"key": "0.1, [a, b]"},
        validation={"1": Validation(["a", "b"], 9), "2": Validation([f"s{number}" for number in range(15)], 20)},
        trials=trials,
        command=["emorec", "cv", "IEMOCAP/train_ser.py", "ser_mel.yaml", "--data_folder", "my corpus"],
        importances={"key": 0.75, "other": 0.25},
    )


def test_the_first_of_the_best_finished_trials_is_the_best(tuning):
    assert [trial.number for trial in tuning.ranking()] == [1, 2, 0]


def test_the_command_survives_a_shell(tuning):
    words = [*tuning.command, "--key=[a, b]"]
    assert shlex.split(tuning.best_command()) == words
    assert f"    {tuning.best_command()}\n" in tuning_markdown(tuning) and tuning.best_command() in tuning_text(tuning)


def test_the_report_says_on_whom_it_chose_and_what_that_is_worth(tuning):
    text = tuning_markdown(tuning)
    assert "**Best UAR on validation: 0.750**" in text
    assert "5 trials: 3 finished, 1 given up after some folds, being below the median, 1 failed." in text
    assert "- fold 1: a, b (9 utterances)" in text and "s11 and 3 more (20 utterances)" in text
    assert "no test score was read" in text and "optimistic" in text
    assert "not quite blind to the choice" in text
    assert "| 2 | x\\|y | trial_2 | 0.750 |" in text and "trial 4: &lt;b&gt;" in text


def test_a_single_fold_has_nobody_who_validates_one_and_is_tested_in_another(tuning):
    alone = Tuning(**{**vars(tuning), "validation": {"1": Validation(["a"], 9)}})
    assert "not quite blind" not in tuning_markdown(alone)


def test_without_a_finished_trial_there_is_no_best(tuning):
    none = Tuning(**{**vars(tuning), "trials": tuning.trials[3:], "importances": {}})
    assert tuning_text(none) == (
        "2 trials: 0 finished, 1 given up after some folds, being below the median, 1 failed. No trial is finished.\n"
    )
    assert "Best" not in tuning_markdown(none)


@pytest.mark.parametrize("draw", [history_figure, importance_figure])
def test_a_figure_is_drawn_and_equal_studies_have_equal_ones(draw, tuning, tmp_path):
    for name in ("a.png", "b.png"):
        draw(tuning, tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert imread(tmp_path / "a.png").std() > 0.01
