import numpy as np
import pytest

from emorec_lobes import files
from emorec_lobes.errors import DataError, ProtocolError
from emorec_lobes.evaluation.predictions import Predictions, read_predictions, write_predictions

TABLE = """id,fold,split,speaker,target,prediction,p_angry,p_neutral,p_sad
a,1,valid,x,angry,angry,0.8,0.1,0.1
a,2,valid,x,angry,sad,0.2,0.1,0.7
a,3,test,x,angry,angry,0.5,0.25,0.25
b,1,test,,sad,neutral,0.1,0.6,0.3
"""


def one(**changes):
    columns = {
        "ids": ["a", "b"],
        "folds": ["1", "1"],
        "splits": ["test", "test"],
        "speakers": ["x", None],
        "targets": [0, 1],
        "labels": ("angry", "sad"),
        "probabilities": [[0.9, 0.1], [0.4, 0.6]],
    }
    return Predictions(**(columns | changes))


def assert_same(left, right):
    assert left.labels == right.labels
    for name in ("ids", "folds", "splits", "speakers", "targets", "probabilities"):
        np.testing.assert_array_equal(getattr(left, name), getattr(right, name), err_msg=name)


def test_a_hand_written_file_is_read_as_it_says(tmp_path):
    path = tmp_path / "predictions.csv"
    path.write_text(TABLE)
    table = read_predictions(path)
    assert table.labels == ("angry", "neutral", "sad")
    assert table.ids.tolist() == ["a", "a", "a", "b"]
    assert table.folds.tolist() == ["1", "2", "3", "1"]
    assert table.splits.tolist() == ["valid", "valid", "test", "test"]
    assert table.speakers.tolist() == ["x", "x", "x", ""]
    assert table.targets.tolist() == [0, 0, 0, 2]
    assert table.predicted.tolist() == [0, 2, 0, 1]
    assert table.probabilities[3].tolist() == [0.1, 0.6, 0.3]


def test_writing_a_read_file_gives_the_same_bytes(tmp_path):
    (tmp_path / "first.csv").write_text(TABLE)
    write_predictions(tmp_path / "second.csv", read_predictions(tmp_path / "first.csv"))
    assert (tmp_path / "second.csv").read_text() == TABLE


def test_a_table_is_the_same_after_writing_and_reading(tmp_path, answers):
    table = answers(num_utterances=500, num_classes=13)
    write_predictions(tmp_path / "new" / "predictions.csv", table)
    assert_same(read_predictions(tmp_path / "new" / "predictions.csv"), table)


def test_a_near_tie_is_decided_alike_before_writing_and_after_reading(tmp_path):
    table = one(probabilities=[[0.4999999999, 0.5000000001], [0.5000000001, 0.4999999999]])
    write_predictions(tmp_path / "p.csv", table)
    assert read_predictions(tmp_path / "p.csv").predicted.tolist() == table.predicted.tolist() == [0, 0]


def test_tiny_probabilities_keep_their_significant_digits(tmp_path):
    write_predictions(tmp_path / "p.csv", one(probabilities=[[1.0, 1.2345678e-20], [0.5, 0.5]]))
    assert read_predictions(tmp_path / "p.csv").probabilities[0, 1] == 1.2345678e-20


def test_rounding_errors_of_single_precision_are_no_fault():
    table = one(probabilities=np.array([[1.0000001, 0.0], [0.3333, 0.6666]], dtype=np.float32))
    assert table.predicted.tolist() == [0, 1]


def test_ids_may_hold_commas_quotes_and_line_breaks(tmp_path):
    table = one(ids=['say "no", now', "two\r\nlines"], speakers=["Zoë", "x,y"])
    write_predictions(tmp_path / "p.csv", table)
    assert_same(read_predictions(tmp_path / "p.csv"), table)


def test_a_byte_order_mark_is_read_over(tmp_path):
    (tmp_path / "p.csv").write_text(TABLE, encoding="utf-8-sig")
    assert read_predictions(tmp_path / "p.csv").ids[0] == "a"


def test_a_failed_write_keeps_the_old_file_and_leaves_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "predictions.csv"
    path.write_text(TABLE)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_predictions(path, one())
    assert [entry.name for entry in tmp_path.iterdir()] == ["predictions.csv"]
    assert path.read_text() == TABLE


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("speaker,", "", ["`speaker`"]),
        (",p_angry,p_neutral,p_sad", ",p_angry,p_neutral,p_bitter", ["bitter", "angry, neutral"]),
        (",p_angry,p_neutral,p_sad", ",p_neutral,p_angry,p_sad", ["p_angry,p_neutral,p_sad"]),
        (",p_angry,p_neutral,p_sad", ",p_angry,p_sad,p_sad", ["the header must be"]),
        (",p_angry,p_neutral,p_sad", "", ["`p_<label>`"]),
        (",p_angry,p_neutral,p_sad", ',p_angry,"p_\n",p_sad', ["label"]),
        ("id,fold,split", "id,split,fold", ["id,fold,split", "id,split,fold"]),
        ("0.5,0.25,0.25", "0.5,0.25,0.15", ["row 3 (id 'a')", "sum", "0.9"]),
        ("0.5,0.25,0.25", "0.5,0.25,nan", ["row 3 (id 'a')", "nan"]),
        ("0.5,0.25,0.25", "0.5,0.75,-0.25", ["row 3 (id 'a')", "-0.25"]),
        ("0.5,0.25,0.25", "inf,0.25,0.25", ["row 3 (id 'a')", "inf"]),
        ("0.5,0.25,0.25", "0.5,0.25,high", ["row 3 (id 'a')", "`p_sad`", "'high'"]),
        ("0.5,0.25,0.25", "0.5,0.25", ["row 3 (id 'a')", "9", "8"]),
        ("0.5,0.25,0.25", "0.5,0.25,0.25,1", ["row 3 (id 'a')", "9", "10"]),
        ("x,angry,angry,0.5", "x,angy,angry,0.5", ["row 3 (id 'a')", "`target`", "'angy'"]),
        ("x,angry,angry,0.5", "x,angry,happy,0.5", ["row 3 (id 'a')", "`prediction`", "'happy'"]),
        ("x,angry,angry,0.5", "x,angry,sad,0.5", ["row 3 (id 'a')", "`prediction`", "angry", "'sad'"]),
        ("a,3,test", "a,3,dev", ["row 3 (id 'a')", "`split`", "'dev'"]),
        ("a,3,test", "a,,test", ["row 3 (id 'a')", "`fold`"]),
        ("a,3,test", ",3,test", ["row 3 (id '')", "`id`"]),
        ("b,1,test", "a,1,test", ["row 3 (id 'a')", "split", "2"]),
        ("a,2,valid", "a,1,valid", ["row 1 (id 'a')", "split", "2"]),
        ("b,1,test", '"b,1,test', ["CSV"]),
        ("\nb,1", "\n\nb,1", ["row 4", "cells"]),
        (TABLE, "", ["empty"]),
        (TABLE[TABLE.index("\n") + 1 :], "", ["no row"]),
    ],
)
def test_a_broken_file_is_refused_in_one_line_that_names_it_the_row_and_the_cure(tmp_path, old, new, said):
    path = tmp_path / "broken.csv"
    assert TABLE.count(old) == 1
    path.write_text(TABLE.replace(old, new))
    with pytest.raises(DataError) as caught:
        read_predictions(path)
    message = str(caught.value)
    assert "\n" not in message
    for part in [str(path), *said]:
        assert part in message
    assert message.endswith(".") and message.count(". ") + message.count("? ") >= 1, "a cure follows the complaint"


def test_bytes_that_are_not_utf8_are_refused_by_name(tmp_path):
    (tmp_path / "latin.csv").write_bytes(TABLE.replace("b,1", "é,1").encode("latin-1"))
    with pytest.raises(DataError, match=r"latin\.csv must be UTF-8"):
        read_predictions(tmp_path / "latin.csv")


def test_a_missing_file_and_a_folder_are_refused_by_name(tmp_path):
    with pytest.raises(DataError, match=r"nowhere\.csv .*No such file"):
        read_predictions(tmp_path / "nowhere.csv")
    with pytest.raises(DataError, match="directory"):
        read_predictions(tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"probabilities": [[0.9, 0.1]]},
        {"probabilities": [[0.9, np.nan], [0.4, 0.6]]},
        {"targets": [0, 2]},
        {"targets": [0]},
        {"labels": ("sad", "angry")},
        {"labels": ("angry", "bitter")},
        {"ids": ["a", "a"]},
    ],
)
def test_a_broken_table_cannot_be_made_in_memory_either(changes):
    with pytest.raises(DataError):
        one(**changes)


def test_only_one_split_is_kept_in_order(tmp_path):
    (tmp_path / "p.csv").write_text(TABLE)
    tested = read_predictions(tmp_path / "p.csv").only("test")
    assert tested.ids.tolist() == ["a", "b"]
    assert tested.probabilities.tolist() == [[0.5, 0.25, 0.25], [0.1, 0.6, 0.3]]


def test_a_run_without_validation_refuses_to_be_fitted_on_it():
    with pytest.raises(ProtocolError, match="`valid` rows"):
        one().only("valid")


def test_folds_pool_in_the_given_order(answers):
    first, second = answers(20), one(ids=["y", "z"], folds=["2", "2"])
    wide = Predictions(
        second.ids, second.folds, second.splits, second.speakers, [0, 3], first.labels, np.eye(4)[[0, 3]]
    )
    pooled = Predictions.concatenate([first, wide])
    assert len(pooled) == 22
    assert pooled.ids.tolist() == [*first.ids.tolist(), "y", "z"]
    np.testing.assert_array_equal(pooled.probabilities[:20], first.probabilities)


def test_folds_of_other_labels_or_of_the_same_utterances_do_not_pool(answers):
    with pytest.raises(DataError, match="labels"):
        Predictions.concatenate([one(), answers(5)])
    with pytest.raises(DataError, match="'a'"):
        Predictions.concatenate([one(), one(folds=["2", "2"])])
    with pytest.raises(DataError, match="at least one"):
        Predictions.concatenate([])
