"""Tuning with an engine that answers without training: what is chosen, by what, and what a killed study keeps."""

import re
from pathlib import Path

import numpy as np
import pytest

from emorec_lobes.errors import ConfigError, DataError, ProtocolError
from emorec_lobes.evaluation.metrics import scores
from emorec_lobes.evaluation.predictions import Predictions, read_predictions, write_predictions
from emorec_lobes.evaluation.tuning import tuning_text
from emorec_lobes.experiments.engines import Outcome
from emorec_lobes.files import write_json

pytest.importorskip("optuna")

HPARAMS = Path(__file__).parents[3] / "hparams/svm_resemblyzer.yaml"
OVERRIDES = ("--data_folder=x", "--class_weights=balanced")
TRIES = ("tolerance=1e-4..1:log", "normalise=none,speaker")
FOLDS = ("1", "2", "3")
LABELS = ("angry", "sad")


class Killed(BaseException):
    """Stands for the process ending here."""


class Recipe:
    """An engine whose recipe is right more often the nearer `tolerance` is to 0.01; on test it always answers the same.

    `dies_at` is the number of the job at which the process ends; `fails` says by its options whether a job fails.
    """

    def __init__(self, dies_at=None, fails=lambda options: False, test_answer=0):
        self.dies_at, self.fails, self.test_answer = dies_at, fails, test_answer
        self.ran = []

    def submit(self, job):
        self.ran.append(job.name)
        if len(self.ran) == self.dies_at:
            raise Killed
        options = dict(word.removeprefix("--").split("=", 1) for word in job.words[2:] if "=" in word)
        folder = Path(options["output_folder"])
        if self.fails(options):
            job.log.parent.mkdir(parents=True, exist_ok=True)
            job.log.write_text("r.py: `tolerance` is bad. Change it.\n")
            return Outcome(2, 0.0)
        if options["fold"] == "none":
            folder.mkdir(parents=True, exist_ok=True)
            write_json(folder / "config.json", {"settings": {}, "folds": FOLDS})
        else:
            self.answer(folder / f"fold_{options['fold']}", options)
        return Outcome(0, 0.0)

    def answer(self, folder, options):
        fold, skill = FOLDS.index(options["fold"]), 1 - abs(np.log10(float(options["tolerance"])) + 2) / 4
        right = np.random.default_rng(fold).random(40) < skill
        targets = np.arange(80) % 2
        answered = np.concatenate([np.where(right, targets[:40], 1 - targets[:40]), np.full(40, self.test_answer)])
        write_predictions(
            folder / "predictions.csv",
            Predictions(
                ids=[f"{fold if number < 40 else (fold + 1) % 3}_{number % 40}" for number in range(80)],
                folds=[options["fold"]] * 80,
                splits=["valid"] * 40 + ["test"] * 40,
                speakers=[f"s{fold if number < 40 else (fold + 1) % 3}" for number in range(80)],
                targets=targets,
                labels=LABELS,
                probabilities=np.eye(2)[answered],
            ),
        )
        (folder / "results.json").write_text("no score of the test is read: this would not be JSON")

    def stop(self):
        pass


@pytest.fixture
def tune(tmp_path, monkeypatch):
    """`tune(name, trials, ...)` -> (the engine, with what it ran; the tuning)."""
    from emorec_lobes.experiments import cross_validation, tuning

    monkeypatch.setattr(cross_validation, "check_claim", lambda *_: None)  # the engine writes no settings
    for name in ("history_figure", "importance_figure"):  # half a second each
        monkeypatch.setattr(tuning, name, lambda drawn, path: None)

    def run(name="study", trials=6, engine=None, overrides=OVERRIDES, tries=TRIES, folds=None, prune=False, at_once=1):
        engine = engine or Recipe()
        search = tuning.make_search(
            Path("IEMOCAP/train_svm.py"), HPARAMS, overrides, tries, None, 1, folds, tmp_path / name, threads=1
        )
        return engine, tuning.tune(search, trials, engine, at_once, prune)

    return run


def best(tuning):
    return tuning.ranking()[0]


def report(folder):
    return (folder / "results.md").read_text()


def test_the_best_trial_has_the_highest_pooled_score_of_validation_rows(tune, tmp_path):
    _, tuning = tune()
    found = {}
    for trial in tuning.trials:
        tables = [read_predictions(tmp_path / f"study/{trial.folder}/seed_1/fold_{k}/predictions.csv") for k in FOLDS]
        right = np.concatenate([(each.targets == each.predicted)[each.splits == "valid"] for each in tables])
        truth = np.concatenate([each.targets[each.splits == "valid"] for each in tables])
        found[trial.number] = np.mean([right[truth == label].mean() for label in (0, 1)])  # UAR by hand
        assert trial.score == pytest.approx(found[trial.number])
    assert len(found) == 6 and len(set(found.values())) > 1
    assert best(tuning).number == max(found, key=found.get)


def test_the_choice_and_the_report_are_the_same_whatever_stands_in_the_test_rows(tune, tmp_path):
    _, first = tune("first", trials=4, engine=Recipe(test_answer=0))
    _, second = tune("second", trials=4, engine=Recipe(test_answer=1))
    paths = [tmp_path / name / "trial_0/seed_1/fold_1/predictions.csv" for name in ("first", "second")]
    tested = [read_predictions(path).only("test") for path in paths]
    assert (tested[0].predicted != tested[1].predicted).all()
    assert [trial.score for trial in first.trials] == [trial.score for trial in second.trials]
    assert best(first) == best(second) and report(tmp_path / "first") == report(tmp_path / "second")


def test_no_score_of_the_test_stands_in_the_report(tune, tmp_path):
    _, tuning = tune(engine=Recipe(test_answer=1))
    shown = re.findall(r"0\.\d{3}\b", report(tmp_path / "study") + tuning_text(tuning))
    assert set(shown) <= {f"{trial.score:.3f}" for trial in tuning.trials} | {
        text for trial in tuning.trials for text in trial.overrides.values()
    }


@pytest.mark.parametrize("dies_at", [1, 8])
def test_a_killed_study_goes_on_and_ends_as_one_that_was_left_alone(tune, tmp_path, dies_at):
    whole, _ = tune("whole", trials=3)
    with pytest.raises(Killed):
        tune("killed", trials=3, engine=(killed := Recipe(dies_at=dies_at)))
    rest, _ = tune("killed", trials=3)
    assert killed.ran[:-1] + [name for name in rest.ran if name not in killed.ran[:-1]] == whole.ran
    finished = [name for name in killed.ran[:-1] if "fold" in name]
    assert not set(finished) & set(rest.ran)
    assert report(tmp_path / "killed") == report(tmp_path / "whole")


def test_a_finished_study_runs_nothing_more_and_more_trials_go_on_from_it(tune):
    _, first = tune(trials=4)
    engine, again = tune(trials=4)
    assert engine.ran == [] and again.trials == first.trials
    engine, more = tune(trials=5)
    assert {name.split(",")[0] for name in engine.ran} == {"trial 4"} and list(more.trials[:4]) == list(first.trials)


def test_equal_values_are_trained_once(tune):
    engine, tuning = tune(tries=["normalise=none,speaker"], overrides=(*OVERRIDES, "--tolerance=0.1"), trials=5)
    assert len(engine.ran) == 2 * 4 and len(tuning.trials) == 5
    assert {trial.folder for trial in tuning.trials if trial.overrides["normalise"] == "none"} == {
        next(trial.folder for trial in tuning.trials if trial.overrides["normalise"] == "none")
    }


def test_only_the_folds_that_are_asked_for_are_run_and_named(tune, tmp_path):
    engine, tuning = tune(folds=[1, 3], trials=1)
    assert engine.ran == ["trial 0, preparation", "trial 0, fold 1", "trial 0, fold 3"]
    assert {fold: list(each.speakers) for fold, each in tuning.validation.items()} == {"1": ["s0"], "3": ["s2"]}
    assert "--folds 1,3" in tuning.best_command()
    with pytest.raises(ConfigError, match="`folds` must be one of all, 1, 2, 3, but is '9'"):
        tune("other", folds=[9])


def test_a_trial_below_the_median_of_five_others_is_given_up_and_cannot_win(tune):
    engine, tuning = tune(trials=9, prune=True)
    given_up = [trial for trial in tuning.trials if trial.partial is not None]
    assert given_up and all(trial.score is None and trial.number >= 5 for trial in given_up)
    assert all(f"trial {trial.number}, fold 3" not in engine.ran for trial in given_up)
    assert best(tuning).score == max(trial.score for trial in tuning.trials if trial.score is not None)


def test_a_failed_trial_stops_no_other_and_is_replaced_in_the_next_call(tune, tmp_path):
    failing = Recipe(fails=lambda options: options["normalise"] == "speaker" and options["fold"] == "2")
    _, first = tune(engine=failing, trials=3)
    failures = [trial for trial in first.trials if trial.failure]
    assert failures and all("`tolerance` is bad. Change it. (trial " in trial.failure for trial in failures)
    _, second = tune(trials=3)
    assert len([trial for trial in second.trials if trial.failure is None]) == 3
    assert "## Failed trials" in report(tmp_path / "study")


def test_when_trial_after_trial_fails_it_ends_with_the_reason(tune):
    failing = Recipe(fails=lambda options: True)
    with pytest.raises(
        DataError, match=r"^r.py: `tolerance` is bad.*the last of 3 trials that failed one after another"
    ):
        tune(engine=failing, trials=9)
    assert len(failing.ran) == 3


def test_trials_that_were_validated_on_other_utterances_are_not_compared(tune, monkeypatch):
    tune(trials=1)
    monkeypatch.setitem(globals(), "FOLDS", ("1", "3", "2"))
    with pytest.raises(ConfigError, match="on the same utterances, but fold 3 has others than before"):
        tune(trials=2)


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"tries": TRIES[:1]}, r"holds another study \(tried: normalise was none, speaker, is None\)"),
        ({"overrides": (*OVERRIDES, "--max_iterations=4")}, r"\(settings: max_iterations was 100000, is 4\)"),
        ({"folds": [1]}, r"\(folds was all, is \[1\]\)"),
    ],
)
def test_a_folder_of_another_study_is_refused(tune, changed, complaint):
    tune(trials=1)
    with pytest.raises(ConfigError, match=complaint):
        tune(trials=1, **changed)


def test_a_folder_with_something_else_or_a_broken_study_is_refused(tune, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other/notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match="other must be new or hold this study, but holds something else"):
        tune("other")
    tune(trials=1)
    (tmp_path / "study/study.db").write_text("not a database")
    with pytest.raises(DataError, match=r"study\.db cannot be read") as caught:
        tune(trials=1)
    assert "\n" not in str(caught.value)


def test_without_validation_speakers_there_is_nothing_to_tune_on(tune, tmp_path):
    with pytest.raises(ProtocolError, match=r"^`protocol` must be strict to tune, but is paper instead") as caught:
        tune(overrides=("--data_folder=x", "--protocol=paper", "--c_values=[0.1]"))
    assert "\n" not in str(caught.value) and not (tmp_path / "study").exists()


def test_a_value_that_its_key_does_not_take_is_refused_before_anything_is_run(tune, tmp_path):
    with pytest.raises(ConfigError, match="`max_iterations` must be a whole number from 1 up, but is 0 instead"):
        tune(tries=["max_iterations=0..4"])
    assert not (tmp_path / "study").exists()


def test_the_command_for_the_best_has_all_that_was_given_and_found(tune):
    _, tuning = tune()
    words = tuning.best_command().split()
    assert words[:4] == ["emorec", "cv", "IEMOCAP/train_svm.py", "svm_resemblyzer.yaml"]
    assert set(OVERRIDES) <= set(words)
    assert {f"--{key}={text}" for key, text in best(tuning).overrides.items()} <= set(words)


def test_scores_are_those_of_the_recipes_own_validation_score(tune, tmp_path):
    _, tuning = tune(overrides=(*OVERRIDES, "--validation_score=macro_f1"), trials=1)
    tables = [
        read_predictions(tmp_path / f"study/trial_0/seed_1/fold_{k}/predictions.csv").only("valid") for k in FOLDS
    ]
    pooled = Predictions.concatenate(tables)
    assert best(tuning).score == scores(pooled.targets, pooled.predicted, pooled.labels)["macro_f1"]
