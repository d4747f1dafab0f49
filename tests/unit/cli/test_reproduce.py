"""`emorec reproduce`: what it refuses, and that a dry run leaves nothing."""

import pytest

from emorec_lobes.cli.main import main

GOOD = ("reproduce", "xi2022", "--data_folder", "x", "--dry-run")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("reproduce", "xi2021", "--data_folder", "x"), "Did you mean 'xi2022'?"),
        (("reproduce", "xi2022"), "`data_folder` must be given: add --data_folder DIR, or --corpus synthetic"),
        ((*GOOD, "--corpus", "emodb"), "`corpus` must be one of iemocap, synthetic, but is 'emodb' instead."),
        ((*GOOD, "--corpus", "synthetic"), "`data_folder` must be left out, since a rehearsal makes its own."),
        ((*GOOD, "--jobs", "0"), "`jobs` must be 1 or more, but is 0 instead."),
        ((*GOOD, "--seeds", "1-"), "`seeds` must be numbers such as 1-3 or 1,2,5, but is '1-' instead."),
        ((*GOOD, "--engine", "slurm"), "`engine` must be one of "),
        ((*GOOD, "--pretrained", "y"), "`--pretrained` must be left to the paper's rows, but is given."),
        ((*GOOD, "--lrr", "1"), "has no key `lrr`."),
        ((*GOOD, "--seed", "1"), "`--seed` must be left to this command, but is given. Use --seeds."),
        ((*GOOD, "y"), "An option must begin with --, but 'y' does not."),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(words, complaint, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("emorec: ") and printed.count("\n") == 1 and complaint in printed
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_lists_the_jobs_and_leaves_nothing(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["reproduce", "xi2022", "--corpus", "synthetic", "--dry-run", "--seeds", "1,2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "# resnet18_pretrained_ad: seed 1 to do, seed 2 to do, after speakers" in lines
    assert sum(line.startswith("emorec cv IEMOCAP/train_ad.py") for line in lines) == 5
    assert list(tmp_path.iterdir()) == []
