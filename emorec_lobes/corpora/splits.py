"""Corpora of text alone that come as one file a split: what their readers share."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from emorec_lobes.corpora.counts import check_counts
from emorec_lobes.corpora.manifest import Utterance
from emorec_lobes.corpora.rows import Row, read_rows
from emorec_lobes.errors import DataError, not_one_of

_CURE = "Restore the official file."


@dataclass(frozen=True)
class SplitRow:
    """One row of an official file."""

    split: str  # train | valid | test
    where: str  # file and row, for messages
    cells: Row

    def text(self, column: str) -> str:
        """A cell that must not be empty."""
        if not self.cells[column]:
            raise DataError(f"{self.where} must have a text in `{column}`, but it is empty. {_CURE}")
        return self.cells[column]

    def number(self, column: str) -> int:
        """A cell that must be a whole number from 0 up."""
        cell = self.cells[column]
        if not (cell.isascii() and cell.isdecimal()):
            raise DataError(f"{self.where}: `{column}` must be a whole number, but is {cell!r:.40} instead. {_CURE}")
        return int(cell)

    def one_of(self, column: str, valid: Collection[str]) -> str:
        """A cell of a closed set."""
        if self.cells[column] not in valid:
            raise DataError(f"{self.where}: {not_one_of(column, self.cells[column], valid)} {_CURE}")
        return self.cells[column]


def read_columns(path: Path, columns: Sequence[str], repairs: Mapping[int, str] | None = None) -> list[Row]:
    """The rows of a table that has certain columns, and perhaps others; `repairs` as in `rows.read_rows`.

    Raises
    ------
    DataError
        As `rows.read_rows`, or if a column is missing.
    """
    rows = read_rows(path, repairs)
    missing = next((name for name in columns if name not in rows[0]), None)
    if missing:
        raise DataError(f"{path} must have the column {missing}, but has only {', '.join(rows[0])}. {_CURE}")
    return rows


def read_splits(
    data_folder: Path,
    files: Mapping[str, str],
    read_file: Callable[[Path], list[Row]],
    corpus: str,
    allow_incomplete: bool,
) -> list[SplitRow]:
    """The rows of a corpus's files, split by split.

    Arguments
    ---------
    data_folder : Path
        The folder that holds the files.
    files : mapping
        Split -> name of its file.
    read_file : callable
        Reads one file.
    corpus : str
        The corpus's name, for messages.
    allow_incomplete : bool
        Whether files may be missing, as long as there is one.

    Raises
    ------
    DataError
        If a file is missing, or as `read_file`.
    """
    paths = {split: data_folder / name for split, name in files.items()}
    found = {split: path for split, path in paths.items() if path.is_file()}
    if not found or (len(found) < len(paths) and not allow_incomplete):
        missing = next(path for split, path in paths.items() if split not in found)
        inner = sorted(data_folder.glob(f"*/{missing.name}"))
        cure = f"Pass {inner[0].parent}." if inner else f"Pass the folder {corpus}'s official files were put in."
        raise DataError(f"`--data-folder` must hold {corpus}'s file {missing.name}, but {data_folder} does not. {cure}")
    return [
        SplitRow(split, f"{path}, row {number}", cells)
        for split, path in found.items()
        for number, cells in enumerate(read_file(path), start=1)
    ]


def check_splits(
    rows: Iterable[SplitRow],
    utterances: Sequence[Utterance],
    official_counts: Mapping[str, int],
    corpus: str,
    allow_incomplete: bool,
) -> list[str]:
    """Refuses two utterances of one id, and counts other than the official ones.

    Arguments
    ---------
    rows, utterances : SplitRow, Utterance
        The rows and what each was made into.
    official_counts : mapping
        Split -> rows of the official file.
    corpus, allow_incomplete
        As in `check_counts`.

    Returns
    -------
    list of str
        The warning, if there is one.

    Raises
    ------
    DataError
        Names the second row of an id and the first, or the counts.
    """
    first: dict[str, str] = {}
    for row, utterance in zip(rows, utterances, strict=True):
        if utterance.id in first:
            raise DataError(
                f"{row.where} must have an id of its own, but {utterance.id!r} is also {first[utterance.id]}. {_CURE}"
            )
        first[utterance.id] = row.where
    return check_counts(Counter(item.fold or "" for item in utterances), official_counts, corpus, allow_incomplete)
