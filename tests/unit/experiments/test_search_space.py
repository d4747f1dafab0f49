"""What a user may write for a tuning to try."""

from pathlib import Path

import pytest

from emorec_lobes.errors import ConfigError
from emorec_lobes.experiments.search_space import Choice, Range, parse, read_space
from emorec_lobes.experiments.settings import read_settings

HPARAMS = Path(__file__).parents[3] / "hparams/ser_mel.yaml"


@pytest.fixture
def settings():
    return read_settings(HPARAMS, {"data_folder": "x", "batch_size": 4})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1e-5..1e-2:log", Range(1e-5, 1e-2, log=True, whole=False)),
        ("2..16", Range(2, 16, log=False, whole=True)),
        ("-0.5...5", Range(-0.5, 0.5, log=False, whole=False)),
        ("2..16.0", Range(2, 16, log=False, whole=False)),
        (" 1..64:log ", Range(1, 64, log=True, whole=True)),
        ("none,speaker", Choice(("none", "speaker"))),
        ("null, balanced", Choice(("null", "balanced"))),
        ("[0.1],[0.1, 1]", Choice(("[0.1]", "[0.1, 1]"))),
        (["none", None, [1, 2]], Choice(("none", "null", "[1, 2]"))),
        ("../a,../b", Choice(("../a", "../b"))),
    ],
)
def test_a_range_has_two_dots_and_a_choice_has_commas(text, expected):
    assert parse("key", text) == expected


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("1..1", "must go up"),
        ("2..1", "must go up"),
        ("0..1e999", "must go up"),
        ("0..1:log", "must begin above 0 for :log"),
        ("1..2:lin", "must be tried on LOW..HIGH"),
        ("a..b", "must be tried on LOW..HIGH"),
        ("1", "two values or more"),
        ("", "two values or more"),
        ("1,1", "all different"),
        ("[1,2", "must be tried on"),
        (3, "must be tried on"),
        ([], "must be tried on"),
        (None, "must be tried on"),
    ],
)
def test_what_leaves_nothing_to_try_is_one_line_that_names_the_key(text, complaint):
    with pytest.raises(ConfigError) as caught:
        parse("lr", text)
    assert complaint in str(caught.value) and "`lr`" in str(caught.value) and "\n" not in str(caught.value)


def test_numbers_are_rounded_and_never_leave_their_range():
    assert Range(1e-5, 0.0123456, log=True, whole=False).text(0.00031415926) == "0.0003142"
    assert Range(1e-5, 0.0123456, log=True, whole=False).text(0.0123456) == "0.0123456"
    assert Range(1, 64, log=True, whole=True).text(7) == "7"


def test_what_is_tried_reads_as_it_was_written():
    texts = ("1e-05..0.01:log", "2..16", "none, speaker")
    assert tuple(str(parse("key", text)) for text in texts) == texts


def test_a_file_and_the_command_line_are_one_space(settings, tmp_path):
    file = tmp_path / "space.yaml"
    file.write_text("lr: 1e-5..1e-2:log\nnormalise: [none, speaker]\n")
    space = read_space(["num_convs=1..3"] if "num_convs" in settings.tree else ["conv_channels=8..64"], file, settings)
    assert list(space) == ["lr", "normalise", "conv_channels"]
    assert space["lr"].log and space["normalise"].values == ("none", "speaker") and space["conv_channels"].whole


def test_a_key_that_is_no_whole_number_is_not_tried_on_whole_numbers_only(settings):
    space = read_space(["postnet_gain=0..1", "conv_channels=8..16"], None, settings)
    assert (space["postnet_gain"].whole, space["conv_channels"].whole) == (False, True)


@pytest.mark.parametrize(
    ("tries", "complaint"),
    [
        ([], "There must be something to try"),
        (["lr"], "`--try` must be KEY="),
        (["lrr=1..2"], "Did you mean 'lr'?"),
        (["lr=1..2", "lr=1..3"], "`lr` must be given once to try"),
        (["batch_size=2,4"], "`batch_size` must be tried or given, but is both"),
        (["num_workers=1,2"], "changes nothing that is trained"),
        (["seed=1,2"], "decides what is scored"),
        (["protocol=paper,strict"], "decides what is scored"),
    ],
)
def test_a_key_that_cannot_be_tried_is_one_line(settings, tries, complaint):
    with pytest.raises(ConfigError) as caught:
        read_space(tries, None, settings)
    assert complaint in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["[lr]", "lr: [", "1: [2, 3]", "lr: 1..2\nlr: 1..3", ""])
def test_a_broken_file_is_one_line_that_names_it(settings, tmp_path, content):
    file = tmp_path / "space.yaml"
    file.write_text(content)
    with pytest.raises(ConfigError, match=r"space\.yaml") as caught:
        read_space([], file, settings)
    assert "\n" not in str(caught.value)
