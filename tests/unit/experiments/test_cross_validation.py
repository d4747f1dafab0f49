"""What a cross-validation runs, and what not, with an engine that does a recipe's work without a process."""

from collections import Counter
from pathlib import Path

import pytest

from emorec_lobes.errors import ConfigError, DataError, ProtocolError
from emorec_lobes.evaluation.seed_table import seed_table
from emorec_lobes.experiments.cross_validation import cross_validate, numbers, seed_runs
from emorec_lobes.experiments.engines import Outcome
from emorec_lobes.experiments.settings import read_settings
from emorec_lobes.files import read_json, write_json

HPARAMS = Path(__file__).parents[3] / "hparams/ser_mel.yaml"
OVERRIDES = ("--corpus=emodb", "--data_folder=x", "--device=cpu")


class Recipe:
    """An engine whose jobs write a recipe's files at once; `fails` names those that fail."""

    def __init__(self, write_run, fails=()):
        self.write_run, self.fails = write_run, set(fails)
        self.ran = []

    def submit(self, job):
        self.ran.append(job.name)
        if job.name in self.fails:
            job.log.parent.mkdir(parents=True, exist_ok=True)
            job.log.write_text("epoch 1\ntrain_ser.py: `lr` is too high. Lower it.\n")
            return Outcome(2, 0.0)
        options = dict(word.removeprefix("--").split("=", 1) for word in job.words[2:] if "=" in word)
        folder, seed, fold = Path(options["output_folder"]), int(options["seed"]), options["fold"]
        if fold == "all":
            self.write_run(folder, seed)
        elif fold == "none":
            settings = read_settings(HPARAMS, {key: options[key] for key in ("corpus", "data_folder")} | {"seed": seed})
            folder.mkdir(parents=True, exist_ok=True)
            write_json(folder / "config.json", {"settings": settings.identity(), "folds": ["1", "2", "3"]})
        else:
            self.write_fold(folder, seed, fold)
        return Outcome(0, 0.0)

    def write_fold(self, folder, seed, fold):
        record = dict(read_json(self.write_run(folder / f"fold_{fold}", seed) / "results.json", "the test"))
        record["folds"] = [row for row in record["folds"] if row["fold"] == fold]
        write_json(folder / f"fold_{fold}" / "results.json", record)

    def stop(self):
        pass


@pytest.fixture
def cv(tmp_path, write_run):
    """`cv(seeds, folds, fails, overrides)` -> the engine, with what it ran, and what the cross-validation left."""

    def run(seeds=(1, 2), folds=None, fails=(), overrides=OVERRIDES):
        engine = Recipe(write_run, fails)
        runs = seed_runs(Path("train_ser.py"), HPARAMS, overrides, seeds, tmp_path / "runs", threads=1)
        return engine, cross_validate(runs, folds, engine, at_once=2)

    return run


def names(*seeds, folds=(1, 2, 3)):
    return Counter(f"seed {seed}, fold {fold}" for seed in seeds for fold in folds)


def test_every_fold_of_every_seed_is_run_after_its_preparation_and_pooled_at_the_end(cv):
    engine, done = cv()
    assert engine.ran[:2] == ["seed 1, preparation", "seed 2, preparation"]
    assert Counter(engine.ran[2:8]) == names(1, 2)
    assert sorted(engine.ran[8:]) == ["seed 1, pooling", "seed 2, pooling"]
    assert done.failures == {} and done.folds == ["1", "2", "3"]


def test_a_second_call_runs_nothing_and_makes_the_same_table(cv):
    _, first = cv()
    engine, second = cv()
    assert engine.ran == []
    assert seed_table(first.folders, first.folds) == seed_table(second.folders, second.folds)


def test_a_failed_fold_leaves_the_others_and_is_the_only_one_to_run_again(cv):
    engine, done = cv(fails=["seed 1, fold 2"])
    assert [(job.name, reason) for job, reason in done.failures.items()] == [
        ("seed 1, fold 2", "train_ser.py: `lr` is too high. Lower it.")
    ]
    assert "seed 2, pooling" in engine.ran and "seed 1, pooling" not in engine.ran
    engine, done = cv()
    assert engine.ran == ["seed 1, preparation", "seed 1, fold 2", "seed 1, pooling"] and done.failures == {}


def test_some_folds_are_pooled_when_the_last_of_all_is_finished(cv):
    engine, done = cv(seeds=(1,), folds=(1, 3))
    assert engine.ran[0] == "seed 1, preparation" and Counter(engine.ran[1:]) == names(1, folds=(1, 3))
    assert done.folds == ["1", "3"]
    engine, _ = cv(seeds=(1,), folds=(2,))
    assert engine.ran == ["seed 1, preparation", "seed 1, fold 2", "seed 1, pooling"]


def test_a_pooled_record_of_other_folds_is_made_again(cv, tmp_path):
    cv(seeds=(1,))
    path = tmp_path / "runs/seed_1/fold_2/results.json"
    record = dict(read_json(path, "the test"))
    record["folds"][0]["uar"] = 0.123
    write_json(path, record)
    assert cv(seeds=(1,))[0].ran == ["seed 1, pooling"]


def test_an_unknown_fold_is_one_line_that_lists_them(cv):
    with pytest.raises(ConfigError, match=r"^`folds` must be one of all, 1, 2, 3, but is '9' instead\.$"):
        cv(folds=(1, 9))
    with pytest.raises(ConfigError, match="`folds` must be one of all, 1, 2, 3"):  # now before anything is run
        cv(folds=(9,))


def test_a_failed_preparation_is_its_own_last_line_and_ends_it(cv):
    with pytest.raises(DataError, match=r"^train_ser.py: `lr` is too high\. Lower it\. \(seed 1, preparation; log: "):
        cv(fails=["seed 1, preparation"])


def test_a_folder_of_a_run_with_other_settings_is_refused(cv):
    cv(seeds=(1,))
    with pytest.raises(ConfigError, match=r"seed_1 holds a run with other settings \(lr was"):
        cv(seeds=(1,), overrides=(*OVERRIDES, "--lr=0.5"))


def test_a_fold_that_was_begun_with_another_precision_is_refused(cv, tmp_path):
    cv(seeds=(1,))
    write_json(tmp_path / "runs/seed_1/fold_3/fingerprint.json", {"config": "", "run": {"precision": "bf16"}})
    with pytest.raises(ConfigError, match="fold_3 was begun with other values of config, run"):
        cv(seeds=(1,))


@pytest.mark.parametrize(
    ("override", "option"), [("--seed=1", "--seeds"), ("--fold", "--folds"), ("--output_folder=x", "--to")]
)
def test_what_the_command_decides_itself_is_no_override(cv, override, option):
    with pytest.raises(ConfigError, match=f"must be left to this command, but is given. Use {option}.$"):
        cv(overrides=(*OVERRIDES, override))


def test_an_override_that_names_no_key_is_refused_before_anything_is_run(cv, tmp_path):
    with pytest.raises(ConfigError, match=r"has no key `lrr`\. Did you mean --lr"):
        cv(overrides=(*OVERRIDES, "--lrr=1"))
    assert not (tmp_path / "runs").exists()


def test_a_recipe_without_folds_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="must be of a recipe with folds"):
        seed_runs(Path("r.py"), HPARAMS.with_name("speaker_resnet18.yaml"), ["--data_folder=x"], [1], tmp_path, 1)


@pytest.mark.parametrize(
    ("text", "expected"), [("1", [1]), ("1-3", [1, 2, 3]), ("1,2", [1, 2]), ("0, 5-6", [0, 5, 6]), ("7-7", [7])]
)
def test_numbers_are_read_one_by_one_and_as_ranges(text, expected):
    assert numbers("seeds", text) == expected


@pytest.mark.parametrize(
    "text", ["", "x", "1-", "-1", "3-1", "1,,2", "1.5", "1-2-3", "1,1", "1-3,2", "1-99999999", "²"]
)
def test_what_is_no_list_of_numbers_is_one_line_that_quotes_it(text):
    with pytest.raises(ConfigError) as caught:
        numbers("seeds", text)
    assert repr(text) in str(caught.value) and "\n" not in str(caught.value)


def test_seeds_that_were_tested_on_other_data_are_in_no_table_together(cv, tmp_path, write_run):
    _, done = cv()
    write_run(tmp_path / "runs/seed_2", 2, fingerprint={"data": "other"})
    with pytest.raises(ProtocolError, match="differ in data"):
        seed_table(done.folders, done.folds)
