"""The command that a record keeps is the one that was given, and gives the same settings again."""

import shlex
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from emorec_lobes.experiments.command import command, recipe_path, yaml_text
from emorec_lobes.experiments.run import parse_arguments
from emorec_lobes.experiments.settings import read_settings

HPARAMS = Path(__file__).parents[3] / "hparams/ser_resemblyzer.yaml"


@pytest.fixture
def asked(monkeypatch):
    """What is kept of a command line that follows the hyperparameter file, and the settings it makes."""
    monkeypatch.setattr(sys, "argv", ["/somewhere/emorec/recipes/IEMOCAP/train_ser.py"])

    def ask(*words):
        path, run_opts, overrides = parse_arguments([str(HPARAMS), "--data_folder=/corpora/emodb", *words])
        settings = read_settings(Path(path), overrides)
        return command(settings, run_opts), settings

    return ask


def test_it_names_recipe_file_and_options(asked):
    kept, _ = asked("--normalise", "speaker", "--refit", "True", "--seed=2")
    assert (kept["recipe"], kept["hparams"]) == ("recipes/IEMOCAP/train_ser.py", "ser_resemblyzer.yaml")
    assert kept["overrides"] == {"normalise": "speaker", "refit": "True", "seed": "2"}


def test_what_changes_no_result_is_left_out(asked):
    words = ["--num_workers=0", "--output_folder=/x", "--feature_folder=/y", "--fold=2", "--tensorboard=True"]
    kept, _ = asked(*words, "--device=cpu", "--noprogressbar")
    assert kept == asked()[0] and kept["overrides"] == {}


def test_options_of_the_framework_that_change_the_result_are_kept(asked):
    assert asked("--precision", "bf16", "--device", "cpu")[0]["overrides"] == {"precision": "bf16"}


def test_the_authors_switches_are_kept_as_the_one_option_that_was_given(asked):
    assert asked("--authors", "True")[0]["overrides"] == {"authors": "True"}
    kept, settings = asked("--authors", "True", "--masked", "True")
    assert kept["overrides"] == {"authors": "True", "masked": "True"} and settings["masked"] is True


def test_its_fingerprint_changes_with_every_hyperparameter_but_the_seed(asked):
    prints = [asked(*words)[0]["fingerprint"] for words in ([], ["--seed=2"], ["--lr=0.1"], ["--num_workers=1"])]
    assert prints[0] == prints[1] == prints[3] != prints[2]


@pytest.mark.parametrize(
    "words",
    [
        ["--labels", "[angry, sad]", "--num_classes", "2"],
        ["--speaker_groups", '[["03", "08"], ["09", "10"]]', "--num_groups", "null"],
        ["--corpus_options", "{label_column: my label, label_map: {W: angry}}"],
        ["--lr", "1e-05", "--enrolment_options", "{renormalise: True}"],
    ],
)
def test_pasted_as_it_stands_it_gives_the_same_settings(asked, words):
    kept, settings = asked(*words)
    line = " ".join(f"--{key} {shlex.quote(value)}" for key, value in kept["overrides"].items())
    again, same = asked(*shlex.split(line))
    assert again == kept and same.identity() == settings.identity()


@pytest.mark.parametrize(
    "value",
    ["03", "a: b: c", "true", "", "x # y", "[", [], {}, [["03"], ["a"]], {"a": {"b": "1"}}, -0.5, 1e-9, float("-inf")],
)
def test_a_value_is_written_as_it_is_read(value):
    assert YAML(typ="safe").load(yaml_text(value)) == value


def test_a_script_that_is_no_recipe_is_named_by_its_file():
    assert recipe_path("/usr/bin/train.py") == "train.py"
