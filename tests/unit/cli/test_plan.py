"""`emorec plan`: what it refuses, each in one line, and leaves nothing behind."""

import pytest

from emorec_lobes.cli.main import main

GOOD = ("plan", "IEMOCAP/train_ser.py", "ser_mel")
SPEAKER = ("plan", "VoxCeleb/train_speaker.py")
CORPUS = ("--corpus", "emodb", "--data_folder", "nowhere", "--scheme", "speakers")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("plan", "IEMOCAP/train_sre.py", "ser_mel"), "`recipe` must be one of IEMOCAP/train_ad.py, "),
        (("plan", "IEMOCAP/train_ser.py", "ser_mell"), "Did you mean 'ser_mel.yaml'?"),
        ((*GOOD, "--jobs", "0"), "`jobs` must be 1 or more, but is 0 instead."),
        ((*GOOD, "--seeds", "1-"), "`seeds` must be numbers such as 1-3 or 1,2,5, but is '1-' instead."),
        ((*GOOD, "--data_folder", "x", "--lrr", "1"), "has no key `lrr`. Did you mean --lr?"),
        ((*GOOD, *CORPUS), "nowhere"),
        ((*SPEAKER, "speaker_resnet18", "--data_folder", "x"), "must be of a recipe with folds"),
        ((*SPEAKER, "ser_mel", *CORPUS), "`recipe` must be one with folds, but "),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_and_exit_code_2(words, complaint, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert main(words) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("emorec: ") and printed.count("\n") == 1 and complaint in printed
    assert list(tmp_path.iterdir()) == []
