"""predictions.csv: one row an utterance, with its true class and the probability of every class.

Columns: `id,fold,split,speaker,target,prediction,p_<label>...`, labels in canonical order. `split`
is `valid` or `test`; `speaker` is empty where it is unknown. A cross-validation pools its folds in
one such file: an id is tested once, and may be a validation row once a fold.
"""

import csv
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emorec_lobes.errors import DataError, ProtocolError, not_one_of
from emorec_lobes.files import write_atomically
from emorec_lobes.labels import CANONICAL, ordered

COLUMNS = ("id", "fold", "split", "speaker", "target", "prediction")
SPLITS = ("valid", "test")
SUM_TOLERANCE = 1e-3
_CURE = "Make it again with the recipe."


@dataclass(frozen=True, eq=False)
class Predictions:
    """Answers of a model, checked when they are made, whether in memory or from a file.

    Probabilities are kept to the eight significant digits a file holds, so that a score
    is the same before writing and after reading.

    Arguments
    ---------
    ids : sequence of str, (N,)
    folds : sequence of str, (N,)
        The fold in which the utterance was held out.
    splits : sequence of str, (N,)
        `valid` or `test`.
    speakers : sequence of str or None, (N,)
        None or "" where it is unknown; kept as "".
    targets : sequence of int, (N,)
        Indices into `labels`.
    labels : sequence of str, (K,)
        The classes, in canonical order.
    probabilities : array, (N, K)
        Each in [0, 1], a row summing to 1.

    Raises
    ------
    DataError
        If a row breaks one of the rules above, or is there twice.

    Example
    -------
    >>> answers = Predictions(["a", "b"], ["1", "1"], ["test"] * 2, ["x", None], [0, 1],
    ...                       ("angry", "sad"), [[0.9, 0.1], [0.8, 0.2]])
    >>> answers.predicted, answers.speakers
    (array([0, 0]), array(['x', ''], dtype='<U1'))
    """

    ids: np.ndarray
    folds: np.ndarray
    splits: np.ndarray
    speakers: np.ndarray
    targets: np.ndarray
    labels: tuple[str, ...]
    probabilities: np.ndarray

    def __post_init__(self) -> None:
        columns = {
            "ids": np.asarray(self.ids, dtype=str),
            "folds": np.asarray(self.folds, dtype=str),
            "splits": np.asarray(self.splits, dtype=str),
            "speakers": np.asarray(["" if speaker is None else speaker for speaker in self.speakers], dtype=str),
            "targets": np.asarray(self.targets, dtype=np.int64),
            "labels": tuple(self.labels),
            "probabilities": np.vectorize(lambda number: float(f"{number:.8g}"), otypes=[float])(self.probabilities),
        }
        for name, value in columns.items():
            object.__setattr__(self, name, value)
        _check(self)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def predicted(self) -> np.ndarray:
        """Indices of the most probable classes, (N,); the first of equals."""
        return self.probabilities.argmax(axis=1)

    def only(self, split: str) -> "Predictions":
        """The rows of one split.

        Raises
        ------
        ProtocolError
            If there are none: a run without validation has nothing to choose or fit on.
        """
        rows = self.splits == split
        if not rows.any():
            cure = "Run with `protocol: strict`." if split == "valid" else "Evaluate the run first."
            raise ProtocolError(f"The predictions must have `{split}` rows, but have none. {cure}")
        columns = (self.ids, self.folds, self.splits, self.speakers, self.targets)
        return Predictions(*(column[rows] for column in columns), self.labels, self.probabilities[rows])

    @staticmethod
    def concatenate(parts: Sequence["Predictions"]) -> "Predictions":
        """One table of several, rows in the given order.

        Raises
        ------
        DataError
            If there is none, their labels differ, or a row would be there twice.
        """
        if not parts:
            raise DataError("Predictions to pool must be at least one fold's, but are none. Run a fold first.")
        labels = parts[0].labels
        for part in parts:
            if part.labels != labels:
                raise DataError(
                    f"Pooled predictions must share the labels {', '.join(labels)}, but fold {part.folds[0]} has "
                    f"{', '.join(part.labels)} instead. Evaluate every fold on the same manifest."
                )
        names = ("ids", "folds", "splits", "speakers", "targets", "probabilities")
        columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
        return Predictions(labels=labels, **columns)


def as_csv(predictions: Predictions) -> str:
    """The text of a predictions file; the same table always gives the same text."""
    labels, stream = predictions.labels, io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([*COLUMNS, *(f"p_{label}" for label in labels)])
    columns = (predictions.ids, predictions.folds, predictions.splits, predictions.speakers)
    classes = zip(predictions.targets, predictions.predicted, strict=True)
    for *row, (target, answer), numbers in zip(*columns, classes, predictions.probabilities, strict=True):
        writer.writerow([*row, labels[target], labels[answer], *(f"{number:.8g}" for number in numbers)])
    return stream.getvalue()


def write_predictions(path: Path, predictions: Predictions) -> None:
    """Writes the table whole or not at all."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, as_csv(predictions))


def read_predictions(path: Path) -> Predictions:
    """Reads and checks a predictions file.

    Raises
    ------
    DataError
        If the file is missing, is not such a table, or a row breaks a rule of `Predictions` or names as its
        prediction a class that is not its most probable one. The message names the file and the row.
    """
    try:
        return _parse(Path(path).read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}). {_CURE}") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path} must be UTF-8 text, but byte {error.start} is not. {_CURE}") from None
    except DataError as error:
        raise DataError(f"{path}: {error}") from None


def _parse(text: str) -> Predictions:
    try:
        lines = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error as error:
        raise DataError(f"must be CSV, but is not ({error}). {_CURE}") from None
    if not lines:
        raise DataError(f"the file is empty. {_CURE}")
    header, *rows = lines
    labels = _labels_of(header)
    for row_number, row in enumerate(rows, start=1):
        _check_cells(row_number, row, header, labels)
    table = {name: [row[place] for row in rows] for place, name in enumerate(header)}
    targets = [labels.index(target) for target in table["target"]]
    probabilities = np.array([row[len(COLUMNS) :] for row in rows], dtype=np.float64).reshape(len(rows), len(labels))
    predictions = Predictions(*(table[name] for name in COLUMNS[:4]), targets, labels, probabilities)
    for row_number, (best, row) in enumerate(zip(predictions.predicted, rows, strict=True), start=1):
        answer = row[COLUMNS.index("prediction")]
        if answer != labels[best]:
            raise _broken(row_number, row[0], f"`prediction` must be its most probable class, {labels[best]}", answer)
    return predictions


def _labels_of(header: Sequence[str]) -> tuple[str, ...]:
    labels = tuple(name.removeprefix("p_") for name in header if name.startswith("p_"))
    for name in (*COLUMNS, *([] if labels else ["p_<label>"])):
        if name not in header:
            raise DataError(f"lacks the column `{name}`. {_CURE}")
    for label in labels:
        if label not in CANONICAL:
            raise DataError(f"{not_one_of('label', label, CANONICAL)} Rename its `p_` column.")
    expected = ",".join([*COLUMNS, *(f"p_{label}" for label in ordered(labels))])
    if ",".join(header) != expected:
        raise DataError(f"the header must be {expected!r}, but is {','.join(header)!r} instead. {_CURE}")
    return labels


def _check_cells(row_number: int, row: Sequence[str], header: Sequence[str], labels: Sequence[str]) -> None:
    utterance_id = row[0] if row else ""
    if len(row) != len(header):
        raise _broken(row_number, utterance_id, f"the number of cells must be {len(header)}", len(row))
    for name, value in zip(header, row, strict=True):
        if name in ("target", "prediction") and value not in labels:
            raise _broken(row_number, utterance_id, f"`{name}` must be one of {', '.join(labels)}", value)
        if name.startswith("p_"):
            try:
                float(value)
            except ValueError:
                raise _broken(row_number, utterance_id, f"`{name}` must be a number", value) from None


def _check(table: Predictions) -> None:
    shapes = {column.shape for column in (table.ids, table.folds, table.splits, table.speakers, table.targets)}
    if len(shapes) > 1 or table.probabilities.shape != (len(table), len(table.labels)):
        expected = f"`probabilities` must be (rows, labels), ({len(table)}, {len(table.labels)})"
        raise DataError(f"{expected}, but is {table.probabilities.shape} beside {sorted(shapes)} instead. {_CURE}")
    if not len(table):
        raise DataError(f"there is no row. {_CURE}")
    if table.labels != ordered(table.labels):
        raise DataError(f"`labels` must be {ordered(table.labels)}, but is {table.labels} instead. Sort them.")
    for broken, rule, values in _rules(table):
        if broken.any():
            row = int(broken.argmax())
            raise _broken(row + 1, table.ids[row], rule, values[row].tolist())


def _rules(table: Predictions) -> list[tuple[np.ndarray, str, np.ndarray]]:
    """What every row must be: which rows are not, the rule, and what they are instead."""
    numbers, last = table.probabilities, len(table.labels) - 1
    total = numbers.sum(axis=1).round(6)
    negative = ~(numbers >= 0).all(axis=1)  # so is a NaN
    keys = list(zip(table.ids, table.splits, np.where(table.splits == "test", "", table.folds), strict=True))
    occurrences = Counter(keys)
    rows_of_id = np.array([occurrences[key] for key in keys])
    return [
        (table.ids == "", "`id` must not be empty", table.ids),
        (table.folds == "", "`fold` must name the fold that held it out", table.folds),
        (~np.isin(table.splits, SPLITS), "`split` must be valid or test", table.splits),
        ((table.targets < 0) | (table.targets > last), f"`target` must be in 0..{last}", table.targets),
        (negative, "probabilities must be in [0, 1]", numbers),
        (abs(total - 1) > SUM_TOLERANCE, "the sum of the probabilities must be 1", total),
        (rows_of_id > 1, "the number of rows of this id in its split must be 1", rows_of_id),
    ]


def _broken(row_number: int, utterance_id: str, rule: str, value: object) -> DataError:
    return DataError(f"row {row_number} (id {str(utterance_id)!r}): {rule}, but is {value!r} instead. {_CURE}")
