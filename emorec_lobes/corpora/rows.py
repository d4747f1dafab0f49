"""Rows of a CSV, TSV, JSON or JSONL file, every cell as text."""

import csv
import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from emorec_lobes.errors import DataError, not_one_of

Row = Mapping[str, str]


def read_rows(path: Path, repairs: Mapping[int, str] | None = None) -> list[Row]:
    """Reads a table by its suffix.

    Arguments
    ---------
    path : Path
        .csv (separated by whichever of `,`, `;`, tab and `|` its header has most) or .tsv with a header line; .json
        with a list of objects, or with an object of objects whose keys are the ids; .jsonl with an object a line.
        UTF-8.
    repairs : mapping, optional
        Codes of wrong characters -> what to read in their place.

    Returns
    -------
    list of mapping
        Column -> cell; `null` is an empty cell. A row of JSON may lack columns that others have.

    Raises
    ------
    DataError
        If the file is missing, has another suffix, cannot be parsed or has no row.
    """
    suffix = path.suffix.lower()
    if suffix not in _READERS:
        raise DataError(f"{path}: {not_one_of('suffix of the table', suffix, _READERS)} Save the table as one of them.")
    # Before cells are stripped: some wrong characters pass for blanks.
    rows = _READERS[suffix](read_text(path).translate(repairs or {}), path)
    if not rows:
        raise DataError(f"{path} must hold at least one row, but holds none. Check the file.")
    return rows


def read_text(path: Path) -> str:
    """A UTF-8 file, with or without a byte order mark; every kind of line end is a newline.

    Raises
    ------
    DataError
        If the file cannot be read or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} must be UTF-8 text, but is not ({error}). Save it as UTF-8.") from None
    except OSError as error:
        raise DataError(f"{path} must be a text file, but cannot be read ({error.strerror}). Check the path.") from None


def _read_separated(text: str, path: Path, separator: str) -> list[Row]:
    try:
        lines = [line for line in csv.reader(io.StringIO(text), delimiter=separator) if line]
    except csv.Error as error:
        raise DataError(f"{path} must be text in rows and columns, but is not ({error}). Save it again.") from None
    if not lines:
        return []
    names = [name.strip() for name in lines[0]]
    if len(set(names)) < len(names):
        raise DataError(f"{path} must name each column once, but its header is {', '.join(names)}. Rename one.")
    for number, line in enumerate(lines[1:], start=1):
        if len(line) != len(names):
            raise DataError(
                f"{path}, row {number} must have {len(names)} cells as the header has, but has {len(line)} instead. "
                "Quote a cell that holds the separator."
            )
    return [dict(zip(names, (cell.strip() for cell in line), strict=True)) for line in lines[1:]]


def _read_csv(text: str, path: Path) -> list[Row]:
    # Spreadsheets of many countries write semicolons; the header says which it is.
    header = text.partition("\n")[0]
    return _read_separated(text, path, max(",;\t|", key=header.count))


def _read_tsv(text: str, path: Path) -> list[Row]:
    return _read_separated(text, path, "\t")


def _read_json(text: str, path: Path) -> list[Row]:
    content = _parse(text, str(path))
    if isinstance(content, dict):
        content = [{"id": key, **row} if isinstance(row, dict) else row for key, row in content.items()]
    if not isinstance(content, list):
        raise DataError(f"{path} must hold a list of objects, but holds {content!r:.40} instead. Check --table.")
    return [_as_text(row, f"{path}, row {number}") for number, row in enumerate(content, start=1)]


def _read_jsonl(text: str, path: Path) -> list[Row]:
    lines = [line for line in text.split("\n") if line.strip()]
    places = [f"{path}, row {number}" for number in range(1, len(lines) + 1)]
    return [_as_text(_parse(line, place), place) for line, place in zip(lines, places, strict=True)]


_READERS: dict[str, Callable[[str, Path], list[Row]]] = {
    ".csv": _read_csv,
    ".tsv": _read_tsv,
    ".json": _read_json,
    ".jsonl": _read_jsonl,
}


def _parse(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(f"{where} must be JSON, but is not ({error}). Correct it.") from None


def _as_text(row: Any, where: str) -> Row:
    if not isinstance(row, dict):
        raise DataError(f"{where} must be an object, but is {row!r:.40} instead. Check --table.")
    return {name: "" if cell is None else str(cell).strip() for name, cell in row.items()}
