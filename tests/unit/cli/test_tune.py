"""`emorec tune`: what it refuses, each in one line, before anything is run."""

import sys

import pytest

from emorec_lobes.cli.main import main

BARE = ("tune", "IEMOCAP/train_ser.py", "ser_mel", "--data_folder", "x", "--protocol", "strict")
PLACE = ("--trials", "2", "--to", "study")
TRY = ("--try", "lr=1e-4..1e-2:log")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ((*BARE, *TRY, "--to", "study"), "the following arguments are required: --trials"),
        ((*BARE, *PLACE), "There must be something to try, but is nothing."),
        ((*BARE, *PLACE, "--try", "lrr=1..2"), "`key to try` must be one of "),
        ((*BARE, *PLACE, "--try", "lr=2..1"), "The range of `lr` must go up, but is '2..1' instead."),
        ((*BARE, *PLACE, "--try", "batch_size=0..4"), "`batch_size` must be a whole number from 1 up, but is 0"),
        ((*BARE, *PLACE, "--space", "space.yaml"), "space.yaml does not exist."),
        ((*BARE, *PLACE, *TRY, "--lr", "1"), "`lr` must be tried or given, but is both."),
        ((*BARE, *PLACE, *TRY, "--lrr", "1"), "has no key `lrr`. Did you mean --lr?"),
        ((*BARE[:-2], *PLACE, *TRY), "`protocol` must be strict to tune, but is paper instead"),
        ((*BARE, *PLACE, *TRY, "--fold", "1"), "`--fold` must be left to this command, but is given. Use --folds."),
        ((*BARE, *PLACE, *TRY, "--folds", "x"), "`folds` must be numbers such as 1-3 or 1,2,5, but is 'x' instead."),
        ((*BARE, *PLACE, *TRY, "--engine", "slurm"), "`engine` must be one of local, ray, but is 'slurm' instead."),
        ((*BARE, *PLACE, *TRY, "--jobs", "0"), "`jobs` must be 1 or more, but is 0 instead."),
        ((*BARE, *TRY, "--to", "study", "--trials", "0"), "`trials` must be 1 or more, but is 0 instead."),
        ((*BARE, *TRY, "--to", "study", "--trials", "1", "--seed", "-1"), "`seed` must be a whole number from 0 up"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(words, complaint, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("emorec: ") and printed.count("\n") == 1 and complaint in printed
    assert list(tmp_path.iterdir()) == []


def test_without_optuna_it_is_one_line_with_what_installs_it(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert main((*BARE, *PLACE, *TRY)) == 2
    assert "emorec: `optuna` is not installed. Run pip install 'emorec[tune]'.\n" in capsys.readouterr().err
