"""The table over folds and seeds, against scores worked out from the records by hand."""

import json

import numpy as np
import pytest

from emorec_lobes.evaluation.runs import interval_over_runs
from emorec_lobes.evaluation.seed_table import seed_table


@pytest.fixture
def folders(tmp_path, write_run):
    """Three seeds with all their folds, as recipes leave them."""
    found = {}
    for seed in (1, 2, 3):
        folder = found[seed] = write_run(tmp_path / f"seed_{seed}", seed)
        record = json.loads((folder / "results.json").read_text())
        for row in record["folds"]:
            single = folder / f"fold_{row['fold']}"
            single.mkdir()
            (single / "results.json").write_text(json.dumps({**record, "folds": [row], "uar": row["uar"]}))
    return found


def records(folders):
    return [json.loads((folder / "results.json").read_text()) for folder in folders.values()]


def cells(table):
    return {line.split("  ")[0].strip(): line.split()[-6:] for line in table.splitlines()[4:9]}


def test_rows_are_seeds_and_the_last_two_are_over_them(folders):
    table = cells(seed_table(folders, ["1", "2", "3"]))
    scores = []
    for seed, record in zip(folders, records(folders), strict=True):
        uars = [row["uar"] for row in record["folds"]]
        scores.append([*uars, np.mean(uars), np.std(uars, ddof=1), record["uar"]])
        assert table[str(seed)] == [f"{value:.3f}" for value in scores[-1]]
    assert table["mean"] == [f"{value:.3f}" for value in np.mean(scores, axis=0)]
    assert table["± sd"] == [f"{value:.3f}" for value in np.std(scores, axis=0, ddof=1)]


def test_the_interval_is_that_over_seeds_and_speakers(folders):
    found = records(folders)
    band = interval_over_runs([record["confusion_by_speaker"] for record in found])
    mean = np.mean([record["uar"] for record in found])
    last = seed_table(folders, ["1", "2", "3"]).splitlines()[-1]
    assert last == (
        f"Pooled UAR, mean over seeds 1, 2, 3: {mean:.3f}, 95 % interval {band['low']:.3f} to {band['high']:.3f} "
        "(bootstrap over 3 seeds and 6 speakers, Student's t)."
    )


def test_a_seed_that_lacks_a_fold_has_no_pooled_score_and_no_part_in_the_interval(folders):
    (folders[2] / "fold_3/results.json").unlink()
    table = seed_table(folders, ["1", "2", "3"])
    row = cells(table)["2"]
    assert row[2] == "-" and row[-1] == "-" and "-" not in (row[0], row[1], row[3], row[4])
    assert "mean over seeds 1, 3:" in table


def test_of_some_folds_there_is_no_pooled_score(folders):
    table = seed_table(folders, ["1", "3"])
    assert "fold 2" not in table and table.endswith("No pooled score: no seed has all folds.\n")


def test_a_single_seed_has_no_rows_over_seeds(folders):
    table = seed_table({1: folders[1]}, ["1", "2", "3"])
    assert "\nmean" not in table and "bootstrap over 1 seed and 6 speakers" in table


def test_without_a_finished_fold_that_is_said(tmp_path):
    assert seed_table({1: tmp_path}, ["1"]) == "No fold is finished.\n"
