"""What the inflation meter asks of a recipe, and what it refuses."""

from pathlib import Path

import pytest

from emorec_lobes.errors import ConfigError
from emorec_lobes.experiments.cross_validation import seed_runs
from emorec_lobes.experiments.inflation import check_watched, inflation_kinds, random_run, watching
from emorec_lobes.files import write_json

HPARAMS = Path(__file__).parents[3] / "hparams/ser_resemblyzer.yaml"
OVERRIDES = [
    "--data_folder=x",
    "--num_groups",
    "null",
    '--speaker_groups=[["a"], ["b"]]',
    "--lr",
    "0.5",
    "--device=cpu",
]


@pytest.fixture
def run(tmp_path):
    """A prepared run of five folds."""
    [run] = seed_runs(Path("train_ser.py"), HPARAMS, watching(OVERRIDES, ["best-epoch"]), [3], tmp_path, threads=1)
    run.folder.mkdir(parents=True)
    write_json(run.folder / "config.json", {"settings": run.settings.identity(), "folds": list("12345")})
    return run


def test_the_random_split_has_as_many_folds_in_a_folder_inside_and_all_else_alike(run):
    split = random_run(run)
    assert split.folder == run.folder / "inflation_random_split"
    identity, own = split.settings.identity(), run.settings.identity()
    differing = {key for key in own if own[key] != identity[key]}
    assert differing == {"scheme", "num_groups", "speaker_groups", "output_folder"} & own.keys()
    assert split.settings["scheme"] == "random_shared_speakers" and split.settings["num_groups"] == 5
    assert split.settings["speaker_groups"] is None and split.settings["lr"] == 0.5
    assert split.settings["watch_test"] is True and split.seed == 3
    assert split.job("1", "fold 1").name == "seed 3, random split, fold 1"


def test_a_split_with_other_settings_in_its_place_is_refused(run):
    (run.folder / "inflation_random_split").mkdir()
    write_json(run.folder / "inflation_random_split/config.json", {"settings": {"lr": "1"}})
    with pytest.raises(ConfigError, match="inflation_random_split holds a run with other settings"):
        random_run(run)


def test_only_best_epochs_need_the_test_watched():
    assert watching(["--watch_test", "False"], ["best-epoch"]) == ["--watch_test=True"]
    assert watching(["--lr=1"], ["random-split"]) == ["--lr=1"]


def test_a_fold_that_is_finished_without_having_been_watched_is_refused_before_anything_is_run(run):
    folder = run.folder / "fold_2"
    folder.mkdir(parents=True)
    write_json(folder / "results.json", {})
    write_json(folder / "history.json", {"rows": [{"update": 10}], "chosen_update": 10})
    check_watched([run], ["random-split"])
    with pytest.raises(ConfigError, match=r"fold_2 must be trained with --watch_test True .* but is finished without"):
        check_watched([run], ["best-epoch"])


@pytest.mark.parametrize("text", ["", "best", "best-epoch,random"])
def test_an_unknown_habit_is_one_line_that_lists_them(text):
    with pytest.raises(ConfigError, match=r"`inflation` must be one of best-epoch, random-split, but is '"):
        inflation_kinds(text)
