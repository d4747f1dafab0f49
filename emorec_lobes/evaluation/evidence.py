"""What finished runs leave beside their records: every answer, and how they learned."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from emorec_lobes.errors import DataError, ProtocolError
from emorec_lobes.evaluation.comparison import Table
from emorec_lobes.evaluation.metrics import count_confusions
from emorec_lobes.evaluation.predictions import Predictions, read_predictions
from emorec_lobes.evaluation.report import Record
from emorec_lobes.evaluation.systems import System, is_part_of_a_run
from emorec_lobes.files import read_json
from emorec_lobes.names import natural


@dataclass(frozen=True)
class Curve:
    """How one fold of one seed learned."""

    seed: int
    fold: str
    rows: Sequence[Mapping[str, Any]]  # each with `update`, `train` and `valid`, as a history has them
    chosen_update: int


@dataclass(frozen=True)
class Evidence:
    """A system with all its answers."""

    system: System
    tested: Mapping[int, Predictions]  # by seed: the test rows, sorted by id, the same ids in all seeds and systems
    curves: Sequence[Curve]  # empty where nothing was trained step by step


def read_evidence(table: Table) -> list[Evidence]:
    """The answers and curves of a table's systems, in its order, from the folders of their records.

    Raises
    ------
    DataError
        If a run's predictions.csv is missing, is broken or is not what its record was made of; or if a history is
        broken.
    ProtocolError
        If two runs did not test the same utterances, or not with the same true classes.
    """
    found = [
        Evidence(
            row.system,
            {seed: _tested(row.system.places[seed], record) for seed, record in row.system.runs.items()},
            [curve for seed in row.system.runs for curve in _curves(row.system.places[seed].parent, seed)],
        )
        for row in table.rows
    ]
    runs = [(each.system.places[seed], tested) for each in found for seed, tested in each.tested.items()]
    first, tested = runs[0]
    for path, another in runs[1:]:
        if not (np.array_equal(tested.ids, another.ids) and np.array_equal(tested.targets, another.targets)):
            raise ProtocolError(
                f"{first} and {path} must be of the same test utterances with the same classes, but are not. "
                "Leave one of them out."
            )
    return found


def _tested(path: Path, record: Record) -> Predictions:
    place = path.parent / "predictions.csv"
    if not place.is_file():
        raise DataError(f"{place} must be there beside {path.name}, but is not. Name the run's own folder.")
    table = read_predictions(place).only("test")
    rows = np.argsort(table.ids)
    columns = (table.ids, table.folds, table.splits, table.speakers, table.targets)
    tested = Predictions(*(column[rows] for column in columns), table.labels, table.probabilities[rows])
    counts = count_confusions(tested.targets, tested.predicted, len(tested.labels))[0].tolist()
    if list(tested.labels) != record["labels"] or counts != record["confusion"]:
        raise DataError(f"{place} must be what {path.name} was made of, but is not. Run the recipe again.")
    return tested


def _curves(folder: Path, seed: int) -> Iterable[Curve]:
    for path in sorted(folder.glob("fold_*/history.json"), key=lambda path: natural(path.parent.name)):
        history = read_json(path, "the recipe", needed=("rows", "chosen_update"))
        rows = history["rows"]
        try:
            numbers = [float(number) for row in rows for number in (row["update"], row["train"]["loss"])]
        except (KeyError, TypeError, ValueError):
            numbers = []
        if not numbers or not all(map(math.isfinite, numbers)):
            raise DataError(f"{path} must hold a finite training loss in each row, but does not. Run the recipe again.")
        yield Curve(seed, path.parent.name.removeprefix("fold_"), rows, history["chosen_update"])


def manifest_of(table: Table) -> Path | None:
    """The manifest in the first run folder that has one."""
    places = (path.parent / "manifest.json" for row in table.rows for path in row.system.places.values())
    return next((place for place in places if place.is_file()), None)


def unfinished(places: Iterable[Path]) -> list[Path]:
    """Run folders in or below these that hold folds, but no result of all of them."""
    folds = [path for place in places for path in Path(place).rglob("fold_*") if path.is_dir()]
    runs = {path.parent for path in folds if not is_part_of_a_run(path.parent)}
    return sorted(run for run in runs if not (run / "results.json").exists())
