import json
import re
import statistics
import subprocess
import sys

import numpy as np
import pytest

from emorec_lobes.errors import ProtocolError
from emorec_lobes.evaluation.metrics import METRICS, from_confusion, scores
from emorec_lobes.evaluation.predictions import Predictions
from emorec_lobes.evaluation.report import markdown_table, results_record, terminal_table, versions

STAMP = {
    "corpus": "emodb",
    "protocol": "strict",
    "num_folds": 5,
    "refit": False,
    "selection": None,
    "warnings": [],
    "chosen_update": [300, None],
    "notes": ["342 of 535\nfiles"],
}


@pytest.fixture
def record(answers):
    return results_record(answers(), STAMP, {"config": "0f3a", "data": "77c1"})


def with_folds(folds, targets, answered):
    size = len(folds)
    return Predictions(
        [f"u{number}" for number in range(size)], folds, ["test"] * size, ["x", "y"] * (size // 2) + ["x"] * (size % 2),
        targets, ("angry", "sad"), np.eye(2)[answered],
    )  # fmt: skip


def test_a_record_is_plain_json_without_nan(record):
    assert json.loads(json.dumps(record, allow_nan=False)) == record


def test_a_record_is_the_same_for_the_same_answers(answers, record):
    assert results_record(answers(), STAMP, {"config": "0f3a", "data": "77c1"}) == record


def test_the_tables_are_made_of_the_record_alone(record):
    stored = json.loads(json.dumps(record))
    assert terminal_table(stored) == terminal_table(record)
    assert markdown_table(stored) == markdown_table(record)


def test_the_headline_is_pooled_and_each_fold_has_its_own_row():
    record = results_record(with_folds(["1", "1", "1", "1", "2"], [0, 0, 1, 1, 0], [0, 0, 1, 1, 1]), {}, {})
    assert [(row["fold"], row["num_utterances"], row["accuracy"]) for row in record["folds"]] == [
        ("1", 4, 1.0),
        ("2", 1, 0.0),
    ]
    assert record["fold_mean"]["accuracy"] == pytest.approx(0.5)
    assert record["accuracy"] == pytest.approx(0.8)


def test_mean_and_deviation_over_folds_are_those_of_the_standard_library(answers, record):
    table = answers()
    for name in METRICS:
        per_fold = []
        for fold in "12345":
            rows = table.folds == fold
            per_fold.append(scores(table.targets[rows], table.predicted[rows], table.labels)[name])
        assert record["fold_mean"][name] == pytest.approx(statistics.mean(per_fold))
        assert record["fold_deviation"][name] == pytest.approx(statistics.stdev(per_fold))


def test_validation_answers_are_never_scored(answers):
    test = answers(60)
    valid = answers(60, split="valid", seed=1)
    both = Predictions.concatenate([valid, test])
    assert results_record(both, STAMP, {}) == results_record(test, STAMP, {})
    with pytest.raises(ProtocolError, match="`test` rows"):
        results_record(valid, STAMP, {})


def test_folds_stand_in_the_order_of_their_numbers_then_of_their_names():
    folds = ["10", "b", "2", "a", "1"]
    record = results_record(with_folds(folds, [0, 1, 0, 1, 0], [0, 1, 0, 1, 0]), {}, {})
    assert [row["fold"] for row in record["folds"]] == ["1", "2", "10", "a", "b"]


@pytest.mark.parametrize("name", METRICS)
def test_every_score_can_be_had_from_the_speakers_counts(answers, record, name):
    total = np.sum(list(record["confusion_by_speaker"].values()), axis=0)
    assert total.tolist() == record["confusion"]
    assert from_confusion(total)[name] == pytest.approx(record[name])


def test_a_speakers_counts_are_those_of_the_speakers_rows_and_unknown_ones_stand_together():
    table = with_folds(["1"] * 5, [0, 1, 0, 1, 1], [0, 0, 1, 1, 0])
    speakers = ["y", "", "x", None, "x"]
    columns = (table.ids, table.folds, table.splits, speakers, table.targets, table.labels, table.probabilities)
    record = results_record(Predictions(*columns), {}, {})
    assert list(record["confusion_by_speaker"].items()) == [
        ("", [[0, 0], [1, 1]]),
        ("x", [[0, 1], [1, 0]]),
        ("y", [[1, 0], [0, 0]]),
    ]


def test_each_fold_names_the_speakers_it_tested():
    record = results_record(with_folds(["1", "2", "1", "1"], [0, 1, 0, 1], [0, 1, 1, 1]), {}, {})
    assert [fold["speakers"] for fold in record["folds"]] == [["x", "y"], ["y"]]


def test_the_command_is_kept_where_there_is_one(answers):
    command = {"recipe": "recipes/X/train.py", "hparams": "x.yaml", "overrides": {"lr": "0.1"}, "fingerprint": "00"}
    assert results_record(answers(), STAMP, {}, command)["command"] == command
    assert results_record(answers(), STAMP, {})["command"] is None


def test_one_fold_has_no_deviation_and_no_summary_rows():
    record = results_record(with_folds(["1"] * 4, [0, 1, 0, 1], [0, 1, 1, 1]), STAMP, {})
    assert set(record["fold_deviation"].values()) == {None}
    assert not re.search(r"^(mean|± sd|pooled)", terminal_table(record), re.MULTILINE)


def test_the_table_shows_the_numbers_of_the_record(record):
    table = terminal_table(record)
    pooled = next(line.split() for line in table.splitlines() if line.startswith("pooled"))
    assert pooled[1:] == ["120", *(f"{record[name]:.3f}" for name in METRICS)]
    always = next(line.split() for line in table.splitlines() if line.startswith("always"))
    assert always[-4:] == [f"{record['baseline'][name]:.3f}" for name in METRICS]
    band = record["interval"]
    assert f"UAR {record['uar']:.3f}, 95% interval {band['low']:.3f} to {band['high']:.3f}" in table
    for label, counts in zip(record["labels"], record["confusion"], strict=True):
        row = f"{label} {' '.join(map(str, counts))} {record['per_class_recall'][label]:.3f}"
        assert row in re.sub(" +", " ", table)


def test_the_columns_of_the_terminal_table_are_aligned(record):
    for block in terminal_table(record).split("\n\n"):
        lines = block.splitlines()
        assert len(lines) == 1 or len({len(line) for line in lines}) == 1, block


def test_what_each_input_says_alone_has_a_row_and_its_validation_answers_are_not_scored():
    both = with_folds(["1", "1", "2", "2"], [0, 1, 0, 1], [0, 1, 0, 1])
    tested = with_folds(["1", "1", "2"], [0, 1, 0], [0, 1, 1])  # one utterance lacks this input
    valid = Predictions(["u9"], ["1"], ["valid"], ["z"], [0], ("angry", "sad"), [[1.0, 0.0]])
    record = results_record(both, STAMP, {}, one_input={"text": Predictions.concatenate([valid, tested])})
    row = record["with_one_input"]["text"]
    assert (row["num_utterances"], row["accuracy"], row["uar"]) == (3, pytest.approx(2 / 3), 0.75)
    assert set(row) == {"num_utterances", *METRICS} and record["uar"] == 1.0
    shown = next(line for line in terminal_table(record).splitlines() if line.startswith("text alone"))
    assert shown.split()[2:] == ["3", *(f"{row[name]:.3f}" for name in METRICS)]
    assert "| text alone | 3 | 0.667 | 0.750 |" in markdown_table(record)


def test_a_model_of_one_input_has_no_such_row(record):
    assert "with_one_input" not in record and "alone" not in terminal_table(record)


def test_both_tables_show_the_same_numbers(record):
    numbers = [re.findall(r"\d+\.\d{3}|\d+", table(record)) for table in (terminal_table, markdown_table)]
    assert numbers[0] == numbers[1]


def test_every_row_of_the_markdown_has_as_many_cells_as_its_heading():
    record = results_record(with_folds(["a|b", "c"], [0, 1], [0, 1]), STAMP, {})
    for block in markdown_table(record).split("\n\n"):
        rows = [re.sub(r"\\.", "", line) for line in block.splitlines() if line.startswith("|")]
        assert len({row.count("|") for row in rows}) <= 1, block


def test_the_stamp_is_one_line_in_words(record):
    assert terminal_table(record).splitlines()[-1] == (
        "Protocol stamp: corpus = emodb; protocol = strict; num folds = 5; refit = no; selection = none; "
        "warnings = none; chosen update = 300 / none; notes = 342 of 535 files"
    )


@pytest.mark.parametrize("table", [terminal_table, markdown_table])
def test_the_synthetic_corpus_is_called_so_in_the_title_and_no_other_is(answers, table):
    for corpus, synthetic in (("synthetic", True), ("emodb", False)):
        title = table(results_record(answers(), {"corpus": corpus}, {})).splitlines()[0]
        assert ("synthetic corpus" in title) is synthetic
        assert corpus in title


def test_a_class_without_a_test_utterance_is_named_under_the_table():
    record = results_record(with_folds(["1", "1"], [0, 0], [0, 1]), STAMP, {})
    assert "not in UAR and macro F1: sad." in terminal_table(record)
    assert re.search(r"^sad +0 +0 +-$", terminal_table(record), re.MULTILINE)


def test_versions_name_python_and_installed_libraries():
    found = versions()
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert found["numpy"] == np.__version__
    assert all(found.values())


def test_evaluation_loads_neither_torch_nor_global_plotting_state():
    code = """if True:
        import sys
        from emorec_lobes.evaluation import figures, report
        report.versions()
        print([name for name in ("torch", "speechbrain", "transformers", "matplotlib.pyplot") if name in sys.modules])
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
