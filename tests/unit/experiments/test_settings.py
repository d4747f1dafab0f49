"""A hyperparameter file is read without building it; what cannot be used is one line."""

import pytest

from emorec_lobes.errors import ConfigError
from emorec_lobes.experiments.settings import read_settings

TEXT = """
seed: 1
data_folder: !PLACEHOLDER
output_folder: !ref results/<seed>
fold: all
fold_folder: !ref <output_folder>/fold_<fold>
batch_size: 2
double: !ref 2 * <batch_size>
padding: centred
masked: True
authors: False
authors_switches: {padding: authors, masked: False}
log: !new:collections.Counter {path: !ref <fold_folder>/log}
"""


@pytest.fixture()
def file(tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text(TEXT)
    return path


def read(file, **overrides):
    return read_settings(file, {"data_folder": "/corpus", **overrides})


def test_references_follow_overrides(file):
    settings = read(file, batch_size=8)
    assert settings["double"] == 16 and settings["output_folder"] == "results/1"


def test_nothing_is_built_until_asked(file):
    file.write_text(TEXT + "bomb: !apply:os.mkdir [/nonexistent/folder]\n")
    assert read(file)["batch_size"] == 2


def test_building_fills_in_the_fold(file):
    hparams = read(file, seed=5).build(fold="3")
    assert hparams["log"] == {"path": "results/5/fold_3/log"}


def test_the_command_lines_text_and_a_mapping_mean_the_same(file):
    assert read_settings(file, "data_folder: /corpus\nbatch_size: 8").values == read(file, batch_size=8).values


def test_where_things_lie_does_not_change_the_fingerprint_but_what_is_trained_does(file):
    same = [read(file), read(file, data_folder="/other"), read(file, output_folder="x"), read(file, fold=2)]
    assert len({settings.fingerprint() for settings in same}) == 1
    different = [read(file), read(file, batch_size=4), read(file, seed=2), read(file, authors=True)]
    assert len({settings.fingerprint() for settings in different}) == 4


def test_authors_turns_on_every_switch_and_an_explicit_override_goes_before_it(file):
    settings = read(file, authors=True)
    assert (settings["padding"], settings["masked"]) == ("authors", False)
    settings = read(file, authors=True, masked=True)
    assert (settings["padding"], settings["masked"]) == ("authors", True)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"batchsize": 4}, "has no key `batchsize`. Did you mean --batch_size?"),
        ({"zzz": 4}, "has no key `zzz`. Its keys stand at the start of its lines."),
        ("data_folder: a: b", "An override cannot be read"),
        ("just words", "Overrides must be --key value"),
    ],
)
def test_an_override_that_fits_nothing_is_refused(file, overrides, message):
    with pytest.raises(ConfigError) as caught:
        read_settings(file, overrides)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_a_missing_data_folder_names_the_option_and_the_demo(file):
    with pytest.raises(ConfigError, match=r"`data_folder` must be given: add --data_folder.*make demo"):
        read_settings(file, {})


def test_a_missing_file_names_those_there_are(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere.yaml does not exist. Hyperparameter files here:"):
        read_settings(tmp_path / "nowhere.yaml")


def test_a_file_that_is_not_yaml_is_one_line(file):
    file.write_text("a: [1, 2\nb: }")
    with pytest.raises(ConfigError, match="is not valid YAML") as caught:
        read_settings(file)
    assert "\n" not in str(caught.value)


def test_a_key_a_recipe_needs_and_the_file_lacks_is_named(file):
    with pytest.raises(ConfigError, match="must have the key `scheme`"):
        read(file)["scheme"]
