"""Inflated scores are those of answers that somebody might really have picked, and say that they are no results."""

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import recall_score

from emorec_lobes.errors import DataError, ProtocolError
from emorec_lobes.evaluation.inflation import (
    BEST_EPOCH,
    BOTH,
    RANDOM_SPLIT,
    best_epoch,
    inflation_record,
    markdown_inflation,
    terminal_inflation,
    watched_file,
    write_inflation,
)
from emorec_lobes.evaluation.predictions import Predictions, write_predictions
from emorec_lobes.evaluation.report import results_record
from emorec_lobes.evaluation.systems import SPLIT_FOLDER, read_records

LABELS = ("angry", "sad")
UPDATES = (10, 20, 30, 40)
SPLIT = {"protocol": "peeked", "peeked": "speakers shared between training and test"}


def answers(fold, right, speakers=("s1", "s2")):
    """20 answers to a fold's test, these many of them right."""
    targets = np.arange(20) % 2
    answered = np.where(np.arange(20) < right, targets, 1 - targets)
    names = [speakers[number // 2 % len(speakers)] + fold for number in range(20)]
    ids = [f"{fold}_{number}" for number in range(20)]
    return Predictions(ids, [fold] * 20, ["test"] * 20, names, targets, LABELS, np.eye(2)[answered])


def write_watched_run(folder, rights, chosen=40, stamp=None, seed=1):
    """A finished run of folds that were right so many times at each update; `chosen` is the honest one."""
    own = {fold: answers(fold, dict(zip(UPDATES, each, strict=True))[chosen]) for fold, each in rights.items()}
    for fold, each in rights.items():
        place = folder / f"fold_{fold}"
        for update, right in zip(UPDATES, each, strict=True):
            write_predictions(watched_file(place, update), answers(fold, right))
        write_predictions(place / "predictions.csv", own[fold])
        rows = [{"update": update} for update in UPDATES]
        (place / "history.json").write_text(json.dumps({"rows": rows, "chosen_update": chosen}))
    said = {"corpus": "emodb", "protocol": "strict", "num_folds": len(rights), "seed": seed}
    said |= {"checkpoint_chosen_on": "validation uar", **(stamp or {})}
    command = {"recipe": "r.py", "hparams": "ser.yaml", "overrides": {"seed": str(seed)}, "fingerprint": "0f3a"}
    record = results_record(Predictions.concatenate(list(own.values())), said, {"data": "1"}, command)
    (folder / "results.json").write_text(json.dumps(record))
    return folder


@pytest.fixture
def run(tmp_path):
    """Two folds, whose best epochs are the second and, of equals, the later one; and the same on a random split."""
    run = write_watched_run(tmp_path / "seed_1", {"1": (10, 18, 12, 14), "2": (16, 11, 16, 12)})
    write_watched_run(run / SPLIT_FOLDER, {"1": (17, 18, 16, 16), "2": (19, 11, 16, 18)}, stamp=SPLIT)
    return run


def test_the_best_epoch_is_the_one_with_the_highest_score_on_the_test_and_the_latest_of_equals(run):
    for fold, update, right in (("1", 20, 18), ("2", 30, 16)):
        table, found = best_epoch(run / f"fold_{fold}", "uar")
        assert found == update and (table.predicted == table.targets).sum() == right


def test_the_inflated_score_is_that_of_all_folds_best_answers_pooled(run):
    rows = inflation_record(run, [BEST_EPOCH, RANDOM_SPLIT])["inflation"]
    for name, picked in {"honest": (14, 12), BEST_EPOCH: (18, 16), RANDOM_SPLIT: (16, 18), BOTH: (18, 19)}.items():
        tables = [answers(fold, right) for fold, right in zip("12", picked, strict=True)]
        targets = np.concatenate([table.targets for table in tables])
        predicted = np.concatenate([table.predicted for table in tables])
        assert rows[name]["uar"] == pytest.approx(recall_score(targets, predicted, average="macro"))
        assert rows[name]["fold_mean"]["accuracy"] == pytest.approx(sum(picked) / 40)


def test_all_but_the_honest_row_are_stamped_peeked_with_what_they_peeked_at(run):
    rows = inflation_record(run, [BEST_EPOCH, RANDOM_SPLIT])["inflation"]
    assert [row["stamp"]["protocol"] for row in rows.values()] == ["strict", "peeked", "peeked", "peeked"]
    assert "peeked" not in rows["honest"]["stamp"]
    assert rows[BEST_EPOCH]["stamp"]["peeked"] == "checkpoint of each fold chosen on its own test"
    assert rows[BEST_EPOCH]["stamp"]["checkpoint_chosen_on"] == "test uar"
    assert rows[BEST_EPOCH]["stamp"]["chosen_update"] == [20, 30]
    both = rows[BOTH]["stamp"]["peeked"]
    assert "shared" in both and "own test" in both


def test_only_what_is_asked_for_is_measured(run):
    assert list(inflation_record(run, [BEST_EPOCH])["inflation"]) == ["honest", BEST_EPOCH]
    assert list(inflation_record(run, [RANDOM_SPLIT])["inflation"]) == ["honest", RANDOM_SPLIT]


def test_the_table_marks_each_inflated_row_and_shows_what_it_adds(run):
    record = write_inflation(run, [BEST_EPOCH, RANDOM_SPLIT])
    table = markdown_inflation([record])
    assert (run / "inflation.md").read_text() == table
    assert json.loads((run / "inflation.json").read_text()) == record
    honest, *inflated = [line.split(" | ") for line in table.splitlines() if line.startswith("| ")][2:]
    assert honest[0] == "| honest" and all(row[0].startswith("| INFLATED") for row in inflated)
    assert [row[4] for row in (honest, *inflated)] == ["-", "+0.200", "+0.200", "+0.275"]
    assert "is no result" in table and "is no result" in terminal_inflation([record])


def test_several_seeds_give_their_mean_and_other_systems_are_refused(run, tmp_path):
    other = write_watched_run(tmp_path / "seed_2", {"1": (10, 20, 12, 14), "2": (16, 11, 16, 12)}, seed=2)
    records = [inflation_record(each, [BEST_EPOCH]) for each in (run, other)]
    table = terminal_inflation(records)
    assert "seeds 1, 2" in table and "+0.225" in table
    records[1]["command"] = {**records[1]["command"], "fingerprint": "another"}
    with pytest.raises(ProtocolError, match="of one system and its seeds"):
        terminal_inflation(records)


def test_an_epoch_that_was_not_watched_is_refused(run):
    watched_file(run / "fold_2", 10).unlink()
    with pytest.raises(DataError, match=r"fold_2 must be trained with --watch_test True from the start"):
        inflation_record(run, [BEST_EPOCH])


def test_answers_of_another_training_are_refused(run):
    write_predictions(watched_file(run / "fold_1", 40), answers("1", 3))
    with pytest.raises(DataError, match="must be of the training that was scored"):
        inflation_record(run, [BEST_EPOCH])


def test_a_report_of_a_folder_leaves_the_random_split_in_it_out(run):
    assert list(read_records([run.parent])) == [run / "results.json"]
    assert Path(next(iter(read_records([run / SPLIT_FOLDER])))).parent.name == SPLIT_FOLDER
