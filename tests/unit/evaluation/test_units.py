"""Answers that a record keeps by dialogue or one by one give back the very counts they were made of."""

import json

import numpy as np
import pytest

from emorec_lobes.evaluation.metrics import scores
from emorec_lobes.evaluation.predictions import Predictions
from emorec_lobes.evaluation.report import results_record
from emorec_lobes.evaluation.runs import difference_over_runs
from emorec_lobes.evaluation.units import Units, confusion_by_unit, unit_name


def told_by(answers, num_dialogs, num_classes=13):
    table = answers(200, num_classes=num_classes)
    return table, Units("dialogues", {item: f"d{number % num_dialogs}" for number, item in enumerate(table.ids)})


def recorded(table, units):
    """As it is after a way through a file."""
    return json.loads(json.dumps(results_record(table, {}, {}, units=units)))


def test_the_counts_of_each_dialogue_are_those_of_its_utterances(answers):
    table, units = told_by(answers, 9)
    counts = confusion_by_unit(recorded(table, units))
    dialogs = np.array([units.of[item] for item in table.ids])
    assert len(counts) == 9
    for count, dialog in zip(counts.values(), np.unique(dialogs), strict=True):
        rows = dialogs == dialog
        expected = scores(table.targets[rows], table.predicted[rows], table.labels)["confusion"]
        assert np.asarray(count).tolist() == expected


def test_the_order_of_the_rows_changes_nothing_but_the_pairing_would(answers):
    table, units = told_by(answers, 9)
    order = np.random.default_rng(1).permutation(len(table))
    columns = (table.ids, table.folds, table.splits, table.speakers, table.targets)
    shuffled = Predictions(*(column[order] for column in columns), table.labels, table.probabilities[order])
    assert recorded(shuffled, units)["units"] == recorded(table, units)["units"]


def test_without_units_speakers_are_drawn_and_the_record_has_no_further_field(answers):
    record = recorded(answers(), None)
    assert unit_name(record) == "speakers" and "units" not in record
    assert confusion_by_unit(record) == record["confusion_by_speaker"]


def test_a_records_own_interval_draws_the_same_units(answers):
    table, units = told_by(answers, 9)
    assert recorded(table, units)["interval"]["method"].startswith("bootstrap over 9 dialogues")


def test_over_single_utterances_the_interval_of_a_difference_is_that_of_paired_means(answers):
    """Accuracy's difference is a mean over utterances, whose standard error is known."""
    one = answers(200, num_classes=2)
    one_by_one = Units("utterances", {item: item for item in one.ids})
    other = Predictions(
        one.ids, one.folds, one.splits, one.speakers, one.targets, one.labels, np.eye(2)[np.arange(200) % 2]
    )
    sides = [[confusion_by_unit(recorded(table, one_by_one))] for table in (one, other)]
    band = difference_over_runs(*sides, metric="accuracy", num_resamples=20_000, unit="utterances")
    paired = (one.predicted == one.targets).astype(float) - (other.predicted == other.targets)
    half = 1.96 * paired.std() / np.sqrt(200)
    assert band["difference"] == pytest.approx(paired.mean())
    assert [band["low"], band["high"]] == pytest.approx([paired.mean() - half, paired.mean() + half], abs=0.01)
