"""`emorec cv`: what it refuses, each in one line, before anything is run."""

import sys

import pytest

from emorec_lobes.cli.main import main

GOOD = ("cv", "IEMOCAP/train_ser.py", "ser_mel")

FULL = (*GOOD, "--data_folder", "x")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("cv", "IEMOCAP/train_sre.py", "ser_mel"), "`recipe` must be one of IEMOCAP/train_ad.py, "),
        (("cv", "IEMOCAP/train_ser.py", "ser_mell"), "Did you mean 'ser_mel.yaml'?"),
        (("cv", "IEMOCAP/train_ser.py", __file__), "`hparams` must be a file that ends in .yaml, but is "),
        ((*GOOD, "--seeds", "1-"), "`seeds` must be numbers such as 1-3 or 1,2,5, but is '1-' instead."),
        ((*GOOD, "--folds", "first"), "`folds` must be numbers such as 1-3 or 1,2,5, but is 'first' instead."),
        ((*GOOD, "--jobs", "0"), "`jobs` must be 1 or more, but is 0 instead."),
        ((*GOOD, "--threads", "-2"), "`threads` must be 1 or more, but is -2 instead."),
        ((*FULL, "--engine", "slurm"), "`engine` must be one of local, ray, but is 'slurm' instead."),
        ((*FULL, "--gpus-per-job", "1"), "`--cpus-per-job` and `--gpus-per-job` must come with --engine ray."),
        ((*FULL, "--engine", "ray", "--cpus-per-job", "0"), "`cpus_per_job` must be 1 or more, but is 0 instead."),
        ((*FULL, "--engine", "ray", "--gpus-per-job", "1.5"), "such as 0.5, or a whole number, but is 1.5 instead."),
        ((*FULL, "--engine", "ray", "--gpus-per-job", "nan"), "such as 0.5, or a whole number, but is nan instead."),
        ((*GOOD, "--inflation", "best"), "`inflation` must be one of best-epoch, random-split, but is 'best' instead."),
        (
            (*GOOD, "--inflation", "best-epoch", "--folds", "1"),
            "`--inflation` must come with all folds, but comes with",
        ),
        (GOOD, "`data_folder` must be given: add --data_folder FOLDER."),
        ((*GOOD, "--data_folder", "x", "--lrr", "1"), "has no key `lrr`. Did you mean --lr?"),
        ((*GOOD, "--data_folder", "x", "--seed", "1"), "`--seed` must be left to this command, but is given."),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(words, complaint, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("emorec: ") and printed.count("\n") == 1 and complaint in printed
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("address", ["127.0.0.1:1", "127.0.0.1:99999"])
def test_a_cluster_that_does_not_answer_is_one_line(capsys, tmp_path, monkeypatch, address):
    pytest.importorskip("ray")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAY_ADDRESS", address)
    assert main((*FULL, "--engine", "ray")) == 2
    printed = capsys.readouterr().err
    assert printed.startswith(f"emorec: Ray: the cluster at {address}, which RAY_ADDRESS names, cannot be reached (")
    assert printed.count("\n") == 1


def test_without_ray_its_engine_is_one_line_with_what_installs_it(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "ray", None)
    assert main((*FULL, "--engine", "ray")) == 2
    assert capsys.readouterr().err == "emorec: `ray` is not installed. Run pip install 'emorec[scale]'.\n"
