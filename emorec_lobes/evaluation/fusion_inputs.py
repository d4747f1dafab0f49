"""Several models' predictions of the same utterances, row beside row."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from emorec_lobes.errors import ConfigError, DataError
from emorec_lobes.evaluation.predictions import Predictions, read_predictions
from emorec_lobes.files import read_json

_NUM_SHOWN = 3


@dataclass(frozen=True, eq=False)
class Aligned:
    """Rows that at least one input has, by fold, `valid` before `test`, and id: whatever order the inputs had."""

    names: tuple[str, ...]  # of the M inputs
    labels: tuple[str, ...]
    ids: np.ndarray  # (N,), as are the next four
    folds: np.ndarray
    splits: np.ndarray
    speakers: np.ndarray
    targets: np.ndarray
    probabilities: np.ndarray  # (M, N, K), NaN where an input lacks the row

    @property
    def present(self) -> np.ndarray:
        """Whether an input has a row, (M, N)."""
        return ~np.isnan(self.probabilities[..., 0])

    @property
    def fallbacks(self) -> list[dict[str, Any]]:
        """The rows that some input lacks: `id`, `fold`, `split` and `missing`, the inputs' names."""
        present = self.present
        return [
            {
                "id": str(self.ids[row]),
                "fold": str(self.folds[row]),
                "split": str(self.splits[row]),
                "missing": [name for name, has in zip(self.names, present[:, row], strict=True) if not has],
            }
            for row in np.flatnonzero(~present.all(axis=0))
        ]

    def table(self, probabilities: np.ndarray, rows: np.ndarray | slice = slice(None)) -> Predictions:
        """Predictions with other probabilities, (N, K), of all rows or of some."""
        columns = (self.ids, self.folds, self.splits, self.speakers, self.targets)
        return Predictions(*(column[rows] for column in columns), self.labels, probabilities[rows])


@dataclass(frozen=True)
class Source:
    """A predictions file: what it is called beside the others, what is in it, and how its run was won."""

    name: str
    path: Path
    sha256: str
    stamp: Mapping[str, Any]  # of results.json beside a predictions.csv; empty where there is none


def read_sources(paths: Sequence[Path]) -> tuple[tuple[Source, ...], dict[str, Predictions]]:
    """Reads predictions files.

    Arguments
    ---------
    paths : sequence of Path
        At least two files, of other content each.

    Returns
    -------
    tuple
        Where each table comes from; name -> table.

    Raises
    ------
    ConfigError
        If there are fewer than two files, or two are the same.
    DataError
        If one cannot be read.
    """
    if len(paths) < 2:
        raise ConfigError(
            f"Fusion must have at least two predictions files, but has {len(paths)} instead. Name another."
        )
    paths = [Path(path) for path in paths]
    tables = [read_predictions(path) for path in paths]
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    for place, digest in enumerate(digests):
        if digest in digests[:place]:
            raise ConfigError(f"{paths[digests.index(digest)]} and {paths[place]} are the same table. Leave one out.")
    names = short_names(paths)
    sources = zip(names, paths, digests, map(_stamp_beside, paths), strict=True)
    return tuple(Source(*source) for source in sources), dict(zip(names, tables, strict=True))


def _stamp_beside(path: Path) -> Mapping[str, Any]:
    record = path.with_name("results.json")
    if path.name != "predictions.csv" or not record.is_file():
        return {}
    return read_json(record, "the recipe", needed=("stamp",))["stamp"]


def short_names(paths: Sequence[Path]) -> list[str]:
    """The last part in which the paths differ; a run is called by its folder, not by its predictions.csv.

    Example
    -------
    >>> short_names([Path("results/ser/seed_1/predictions.csv"), Path("results/ter/seed_1/predictions.csv")])
    ['ser', 'ter']
    >>> short_names([Path("a/speech.csv"), Path("text.csv")])
    ['speech', 'text']
    """
    absolute = [path.absolute() for path in paths]
    parts = [(path.parent if path.name == "predictions.csv" else path.with_suffix("")).parts for path in absolute]
    while min(map(len, parts)) > 1 and len({each[-1] for each in parts}) == 1:
        parts = [each[:-1] for each in parts]
    names = [each[-1] for each in parts]
    return names if len(set(names)) == len(names) else [str(path) for path in paths]


def align(tables: Mapping[str, Predictions], fallback: bool = True) -> Aligned:
    """Puts tables side by side, if they answer the same test.

    Arguments
    ---------
    tables : mapping
        Name -> predictions, at least two.
    fallback : bool
        Whether an input may lack rows that others have.

    Returns
    -------
    Aligned

    Raises
    ------
    DataError
        If labels or folds differ; if an utterance has several targets, speakers or test folds, or is in both splits
        of a fold; if inputs share no utterance of a fold, or, without fallback, one lacks any.
    """
    _check_labels(tables)
    rows = {name: _rows(table) for name, table in tables.items()}
    keys = sorted({key for held in rows.values() for key in held}, key=_order)
    _check_folds(rows)
    _check_agreement(tables)
    _check_shared(rows, keys, fallback)
    labels = next(iter(tables.values())).labels
    probabilities = np.full((len(tables), len(keys), len(labels)), np.nan)
    targets, speakers = np.empty(len(keys), dtype=np.int64), [""] * len(keys)
    for place, (name, table) in enumerate(tables.items()):
        for row, key in enumerate(keys):
            if key in rows[name]:
                here = rows[name][key]
                probabilities[place, row] = table.probabilities[here]
                targets[row] = table.targets[here]
                speakers[row] = str(table.speakers[here]) or speakers[row]
    folds, splits, ids = (np.array(column) for column in zip(*keys, strict=True))
    return Aligned(tuple(tables), labels, ids, folds, splits, np.array(speakers), targets, probabilities)


Key = tuple[str, str, str]  # fold, split, id


def _rows(table: Predictions) -> dict[Key, int]:
    columns = (table.folds.tolist(), table.splits.tolist(), table.ids.tolist())
    return {key: row for row, key in enumerate(zip(*columns, strict=True))}


def _order(key: Key) -> tuple[int, str, bool, str]:
    """Fold 10 after fold 2, and `valid` before `test`."""
    fold, split, utterance_id = key
    return len(fold), fold, split == "test", utterance_id


def _check_labels(tables: Mapping[str, Predictions]) -> None:
    everywhere = {label for table in tables.values() for label in table.labels}
    lacking = {name: sorted(everywhere - set(table.labels)) for name, table in tables.items()}
    if any(lacking.values()):
        raise DataError(f"All inputs must have the same labels, but {_listed(lacking)}. Use runs on the same labels.")


def _check_folds(rows: Mapping[str, Mapping[Key, int]]) -> None:
    held = {name: {(fold, split) for fold, split, _ in keys} for name, keys in rows.items()}
    everywhere = sorted(set().union(*held.values()), key=lambda each: _order((*each, "")))
    lacking = {
        name: [f"fold {fold} ({split})" for fold, split in everywhere if (fold, split) not in own]
        for name, own in held.items()
    }
    if any(lacking.values()):
        shown = _listed(lacking, most=len(everywhere))
        raise DataError(f"All inputs must have the same folds and splits, but {shown}. Use runs of the same folds.")


def _check_agreement(tables: Mapping[str, Predictions]) -> None:
    """What an utterance is must not depend on who answers it."""
    # What -> utterance -> value -> the inputs that say so.
    said: dict[str, dict[str, dict[str, list[str]]]] = {
        what: {} for what in ("target", "speaker", "test fold", "split")
    }
    for name, table in tables.items():
        columns = (table.ids.tolist(), table.folds.tolist(), table.splits.tolist(), table.speakers.tolist())
        for each, fold, split, speaker, target in zip(*columns, table.targets, strict=True):
            facts = {"target": (each, table.labels[target]), "split": (f"{each} in fold {fold}", split)}
            facts |= {"speaker": (each, speaker)} if speaker else {}
            facts |= {"test fold": (each, fold)} if split == "test" else {}
            for what, (item, value) in facts.items():
                names = said[what].setdefault(item, {}).setdefault(value, [])
                names += [] if name in names else [name]
    for what, items in said.items():
        differing = sorted(item for item, values in items.items() if len(values) > 1)
        shown = [
            f"{item} ({', '.join(f'{value} in {_and(names)}' for value, names in items[item].items())})"
            for item in differing
        ]
        if differing:
            raise DataError(
                f"An utterance must have one {what} in all inputs, but {len(differing)} have several: {_few(shown)}. "
                "Use runs of the same manifest and folds."
            )


def _check_shared(rows: Mapping[str, Mapping[Key, int]], keys: Iterable[Key], fallback: bool) -> None:
    parts: dict[tuple[str, str], list[Key]] = defaultdict(list)
    for key in keys:
        parts[key[:2]].append(key)
    for (fold, split), members in parts.items():
        lacking = {name: [key[2] for key in members if key not in held] for name, held in rows.items()}
        if not any(all(key in held for held in rows.values()) for key in members):
            raise DataError(
                f"Fold {fold} ({split}) must have an utterance that all inputs have, but {_listed(lacking)}. "
                "Use runs of the same manifest."
            )
        if not fallback and any(lacking.values()):
            raise DataError(
                f"All inputs must have every utterance of fold {fold} ({split}), but {_listed(lacking)}. "
                "Evaluate these too, or let them fall back."
            )


def _listed(lacking: Mapping[str, Sequence[str]], most: int = _NUM_SHOWN) -> str:
    return "; ".join(f"{name} lacks {_few(items, most)}" for name, items in lacking.items() if items)


def _few(items: Sequence[str], most: int = _NUM_SHOWN) -> str:
    rest = f" and {len(items) - most} more" if len(items) > most else ""
    return ", ".join(items[:most]) + rest


def _and(names: Sequence[str]) -> str:
    return " and ".join(names)
