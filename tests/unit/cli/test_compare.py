"""`emorec compare`: two files in, a verdict out."""

import json

import pytest

from emorec_lobes.cli.main import main
from emorec_lobes.evaluation.predictions import read_predictions, write_predictions


@pytest.fixture
def inputs(strict_run, tmp_path):
    """Two runs of the same test."""
    paths = [tmp_path / name / "predictions.csv" for name in ("one", "other")]
    for seed, path in enumerate(paths):
        write_predictions(path, strict_run(1.0 + seed, seed=seed, num_utterances=120))
    return paths


def compare(*words):
    return main(["compare", *map(str, words)])


def test_it_prints_a_verdict_a_table_and_what_lies_behind(inputs, capsys):
    assert compare(inputs[0].parent, inputs[1]) == 0
    out = capsys.readouterr().out
    tables = [read_predictions(path).only("test") for path in inputs]
    right = [table.predicted == table.targets for table in tables]
    only_a, only_b = (right[0] & ~right[1]).sum(), (right[1] & ~right[0]).sum()
    assert "points UAR (95 % interval" in out.splitlines()[0] and "speakers)" in out.splitlines()[0]
    assert f"| accuracy | {right[0].mean():.3f} | {right[1].mean():.3f} |" in out
    assert f"A alone is right {only_a} times, B alone {only_b} times" in out


def test_json_says_the_same_in_a_file_and_on_the_terminal(inputs, tmp_path, capsys):
    assert compare(*inputs, "--json", tmp_path / "c.json", "--format", "json", "--score", "macro_f1") == 0
    record = json.loads(capsys.readouterr().out)
    assert record == json.loads((tmp_path / "c.json").read_text())
    assert record["metric"] == "macro_f1" and "macro F1" in record["verdict"]
    assert set(record["scores"]["uar"]) == {"a", "b", "difference", "over_speakers", "over_utterances"}


def test_another_toolkits_lines_are_compared_with_a_run(inputs, tmp_path, capsys):
    table = read_predictions(inputs[0]).only("test")
    short = {"angry": "ang", "neutral": "neu", "happy": "glad", "sad": "sad"}
    names = [short[table.labels[answer]] for answer in table.predicted]
    lines = [f"{item.removeprefix('emodb_')} {name}" for item, name in zip(table.ids, names, strict=True)]
    (tmp_path / "predict.txt").write_text("\n".join(lines))
    assert compare(inputs[0], tmp_path / "predict.txt", "--map", "glad=happy") == 0
    assert "B and A score alike" in capsys.readouterr().out


def test_targets_may_come_from_another_file_than_the_answers(inputs, tmp_path, capsys):
    table = read_predictions(inputs[0]).only("test")
    lines = [f"{item} {table.labels[answer]}" for item, answer in zip(table.ids, table.predicted, strict=True)]
    (tmp_path / "predict.txt").write_text("\n".join(lines))
    assert compare(tmp_path / "predict.txt", inputs[1]) == 2
    assert "predict.txt must have targets" in capsys.readouterr().err
    outputs = []
    for words in ([tmp_path / "predict.txt", inputs[1], "--targets", inputs[0]], inputs):
        assert compare(*words, "--format", "json") == 0
        outputs.append(json.loads(capsys.readouterr().out)["scores"])
    assert outputs[0] == outputs[1]


def test_folders_of_seeds_are_compared_by_their_means(inputs, strict_run, tmp_path, capsys):
    for seed in (1, 2):
        write_predictions(tmp_path / f"many/seed_{seed}/predictions.csv", strict_run(seed=seed, num_utterances=120))
    assert compare(inputs[0], tmp_path / "many") == 0
    assert "means over seeds (1 of A, 2 of B)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--score", "war"], "`metric` must be one of accuracy"),
        (["--id-column", "utt"], "`--id-column` must be a column of one of the files"),
        (["--map", "hap"], "'hap'"),
        (["--labels", "angry", "glad"], "glad"),
    ],
)
def test_an_option_that_means_nothing_is_one_line(inputs, capsys, words, said):
    assert compare(*inputs, *words) == 2
    captured = capsys.readouterr()
    assert said in captured.err and captured.err.count("\n") == 1 and captured.out == ""


def test_files_that_do_not_match_are_one_line_and_leave_nothing(inputs, tmp_path, capsys):
    rows = inputs[1].read_text().splitlines(keepends=True)
    inputs[1].write_text("".join(row for row in rows if "emodb_0012" not in row))
    assert compare(*inputs, "--json", tmp_path / "c.json") == 2
    captured = capsys.readouterr()
    assert f"{inputs[1]} must have the 120 ids" in captured.err and "'emodb_0012'" in captured.err
    assert captured.err.count("\n") == 1 and captured.out == "" and not (tmp_path / "c.json").exists()
    assert compare(*inputs, "--common") == 0
    assert "1 ids of A are left out" in capsys.readouterr().out


def test_a_probability_that_is_no_number_is_one_line(inputs, capsys):
    first = inputs[1].read_text().splitlines()[1]
    broken = ",".join([*first.split(",")[:-1], "nan"])
    inputs[1].write_text(inputs[1].read_text().replace(first, broken))
    assert compare(*inputs) == 2
    assert str(inputs[1]) in (err := capsys.readouterr().err) and "nan" in err and err.count("\n") == 1


def test_a_side_that_peeked_is_marked_right_under_the_verdict(inputs, capsys):
    stamp = {"protocol": "peeked", "peeked": "speakers shared"}
    (inputs[1].parent / "results.json").write_text(json.dumps({"stamp": stamp}))
    (inputs[0].parent / "results.json").write_text(json.dumps({"stamp": {"protocol": "strict"}}))
    assert compare(*inputs) == 0
    marked = [line for line in capsys.readouterr().out.splitlines() if "no result" in line]
    assert marked == ["B is INFLATED (speakers shared): no result, and no fair comparison."]
