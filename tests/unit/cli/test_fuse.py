"""`emorec fuse`: files in, files out, and what every one of them says about how the weights were chosen."""

import argparse
import hashlib
import json

import pytest
from matplotlib.image import imread
from sklearn.metrics import recall_score

from emorec_lobes.cli.fuse import add_arguments
from emorec_lobes.cli.main import main
from emorec_lobes.evaluation.fusion import DEFAULT_METHOD, METHODS
from emorec_lobes.evaluation.predictions import read_predictions, write_predictions

FILES = ["figures/confusion.png", "figures/reliability.png", "figures/uar_over_weight.png"]
FILES += ["predictions.csv", "results.json", "results.md"]


@pytest.fixture
def inputs(strict_run, tmp_path):
    paths = [tmp_path / "in/speech.csv", tmp_path / "in/text.csv"]
    for seed, path in enumerate(paths):
        write_predictions(path, strict_run(1.5, seed=seed, num_utterances=120))
    return paths


def fuse(*words):
    return main(["fuse", *map(str, words)])


def files_in(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_it_writes_the_files_of_a_run_and_says_how_it_fused(inputs, tmp_path, capsys):
    folder = tmp_path / "fused"
    assert fuse(*inputs, "--to", folder) == 0
    assert files_in(folder) == FILES
    assert capsys.readouterr().out == (folder / "results.md").read_text()
    record = json.loads((folder / "results.json").read_text())
    stamp, held = record["stamp"], read_predictions(folder / "predictions.csv")
    assert (stamp["corpus"], stamp["method"], stamp["peeked"]) == ("emodb", "stacking", False)
    assert stamp["weights_chosen_on"] == "valid rows of each fold (log loss)"
    assert len(stamp["weights"]) == len(record["fusion"]["folds"]) == 3
    assert stamp["fallbacks"] == ["0 of 120 test rows", "0 of 120 valid rows"]
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in inputs]
    assert stamp["inputs"] == [f"{path.stem} (sha256 {digest})" for path, digest in zip(inputs, digests, strict=True)]
    tested = held.only("test")
    assert record["accuracy"] == (tested.predicted == tested.targets).mean() and len(held.only("valid")) == 120
    for name in FILES[:3]:
        assert min(imread(folder / name).shape[:2]) >= 400


def test_the_table_has_each_input_beside_the_fusion_and_lists_who_fell_back(inputs, tmp_path):
    rows = inputs[1].read_text().splitlines(keepends=True)
    inputs[1].write_text("".join(row for row in rows if "emodb_0012" not in row))
    assert fuse(*inputs, "--to", tmp_path / "fused", "--method", "grid", "--calibrate") == 0
    text = (tmp_path / "fused/results.md").read_text()
    assert "An input lacks 1 of 120 test rows and 1 of 120 valid rows" in text
    assert "- emodb_0012, fold 2 (test): text" in text
    assert "| temperature of speech | temperature of text |" in text
    record = json.loads((tmp_path / "fused/results.json").read_text())
    speech, other = record["fusion"]["beside"]
    assert (speech["num_utterances"], other["num_utterances"]) == (120, 119)
    assert speech["fused_uar"] == record["uar"]
    assert other["interval"]["difference"] == pytest.approx(other["difference"])
    assert set(record["fusion"]["calibration"]["text"]) == {"as given", "calibrated"}


def test_inputs_and_fusion_can_be_chosen_by_what_they_say_on_validation(inputs, tmp_path):
    assert fuse(*inputs, "--to", tmp_path / "fused", "--weights", "1", "1") == 0
    found = json.loads((tmp_path / "fused/results.json").read_text())["fusion"]["validation"]
    files = [*inputs, tmp_path / "fused/predictions.csv"]
    for (name, row), path in zip(found.items(), files, strict=True):
        valid = read_predictions(path).only("valid")
        expected = recall_score(valid.targets, valid.predicted, average="macro")
        assert (row["num_utterances"], row["uar"]) == (120, pytest.approx(expected)), name
    text = (tmp_path / "fused/results.md").read_text()
    assert "| on valid rows | utterances | UAR |" in text and "chose the weights" not in text
    assert fuse(*inputs, "--to", tmp_path / "fused") == 0
    assert "| on valid rows, which chose the weights |" in (tmp_path / "fused/results.md").read_text()


def test_an_oracle_is_called_one_wherever_its_scores_are_shown(inputs, tmp_path, capsys):
    assert fuse(*inputs, "--to", tmp_path / "oracle", "--method", "oracle") == 0
    text = (tmp_path / "oracle/results.md").read_text()
    assert text.startswith("### Results: emodb, ORACLE (chosen on the test)\n")
    assert "peeked = yes" in text and "upper bound, not a result" in text
    stamp = json.loads((tmp_path / "oracle/results.json").read_text())["stamp"]
    assert stamp["peeked"] is True and stamp["protocol"] == "peeked"
    assert "ORACLE" in capsys.readouterr().out


def test_what_is_fused_with_an_oracle_has_peeked_too(inputs, tmp_path):
    assert fuse(*inputs, "--to", tmp_path / "oracle", "--method", "oracle") == 0
    assert fuse(inputs[0], tmp_path / "oracle/predictions.csv", "--to", tmp_path / "again") == 0
    stamp = json.loads((tmp_path / "again/results.json").read_text())["stamp"]
    assert stamp["peeked"] is True and stamp["inputs_that_peeked"] == ["oracle"]


def test_weights_are_taken_as_given_and_the_papers_where_none_are(inputs, tmp_path):
    for words, expected in (
        (["--weights", "1", "3"], [1, 3]),
        (["--method", "weights"], [0.6, 1]),
    ):
        assert fuse(*inputs, "--to", tmp_path / "fused", *words) == 0
        folds = json.loads((tmp_path / "fused/results.json").read_text())["fusion"]["folds"]
        assert [fold["weights"] for fold in folds] == [expected] * 3


def test_the_same_command_leaves_the_same_bytes(inputs, tmp_path):
    contents = []
    for _ in range(2):
        assert fuse(*inputs, "--to", tmp_path / "fused") == 0
        contents.append({name: (tmp_path / "fused" / name).read_bytes() for name in FILES})
    assert contents[0] == contents[1]


def test_every_method_can_be_asked_for():
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    (method,) = (action for action in parser._actions if action.dest == "method")
    assert method.choices == tuple(METHODS) and f"{DEFAULT_METHOD} (default)" in method.help


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("p_sad", "p_bored", "speech lacks bored; text lacks sad"),
        (",1,", ",9,", "text lacks fold 1 (valid), fold 1 (test)"),
        ("emodb_s0", "emodb_s9", "must have one speaker"),
        (None, None, "the sum of the probabilities must be 1"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(inputs, tmp_path, capsys, old, new, said):
    text = inputs[1].read_text()
    if old is None:
        first = text.splitlines()[1]
        text = text.replace(first, ",".join([*first.split(",")[:-1], "0.9"]))
    text = text.replace(old or "", new or "") if old else text
    if old == "p_sad":
        text = text.replace(",sad", ",bored")
    inputs[1].write_text(text)
    assert fuse(*inputs, "--to", tmp_path / "fused") == 2
    captured = capsys.readouterr()
    assert said in captured.err and captured.err.count("\n") == 1 and captured.out == ""
    assert not (tmp_path / "fused").exists()


def test_runs_without_valid_rows_are_refused_in_one_line(strict_run, tmp_path, capsys):
    paths = [tmp_path / "a.csv", tmp_path / "b.csv"]
    for seed, path in enumerate(paths):
        write_predictions(path, strict_run(seed=seed, num_utterances=60, splits=("test",)))
    assert fuse(*paths, "--to", tmp_path / "fused") == 2
    err = capsys.readouterr().err
    assert "`method` stacking must have `valid` rows" in err and err.count("\n") == 1
    assert not (tmp_path / "fused").exists()
    assert fuse(*paths, "--to", tmp_path / "fused", "--weights", "0.6", "1") == 0


def test_the_results_of_a_run_are_never_written_over(inputs, tmp_path, capsys):
    before = inputs[0].read_bytes()
    run = inputs[0].rename(inputs[0].with_name("predictions.csv"))
    assert fuse(run, inputs[1], "--to", run.parent) == 2
    assert "must be new or hold a fusion" in capsys.readouterr().err
    assert run.read_bytes() == before and files_in(run.parent) == ["predictions.csv", "text.csv"]
