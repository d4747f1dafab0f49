"""Any corpus that comes with a table: CSV, TSV, JSON or JSONL with a path and a label in each row."""

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from emorec_lobes.corpora.audio import keep_existing, with_durations
from emorec_lobes.corpora.manifest import DATA_ROOT, Utterance, rooted
from emorec_lobes.corpora.ratings import parse_ratings
from emorec_lobes.corpora.rows import Row, read_rows
from emorec_lobes.errors import ConfigError, DataError, not_one_of
from emorec_lobes.labels import CANONICAL, canonical

GENDERS = {"f": "female", "female": "female", "w": "female", "m": "male", "male": "male"}
KINDS = {"improvised": "improvised", "impro": "improvised", "scripted": "scripted", "script": "scripted"}


def read(
    data_folder: Path,
    labels: Collection[str] | None = None,
    allow_incomplete: bool = False,
    table: Path | str | None = None,
    corpus_name: str = "table",
    label_map: Mapping[str, str] | None = None,
    path_column: str = "path",
    label_column: str = "label",
    id_column: str | None = None,
    speaker_column: str | None = None,
    gender_column: str | None = None,
    session_column: str | None = None,
    text_column: str | None = None,
    fold_column: str | None = None,
    kind_column: str | None = None,
    ratings_column: str | None = None,
) -> tuple[list[Utterance], list[str]]:
    """Reads a corpus from a table.

    Arguments
    ---------
    data_folder : Path
        The folder of the table's relative paths; or the table itself, if that is its own folder.
    labels : collection of str, optional
        Canonical emotions to keep; all without it.
    allow_incomplete : bool
        Whether rows without an audio file are left out with a warning.
    table : Path or str, optional
        The table: a path, or a name inside `data_folder`.
    corpus_name : str
        What ids and speakers begin with.
    label_map : mapping, optional
        The table's label -> canonical emotion, for labels that are not usual spellings of one.
    path_column, label_column : str
        Columns every row must fill.
    id_column : str, optional
        Without it the column `id` if there is one, and the file's stem where that is empty.
    speaker_column, gender_column, session_column, text_column, fold_column, kind_column, ratings_column : str, optional
        Without it the column `speaker`, `gender`, ... if there is one. In `ratings` stands the label that each rater
        gave, like angry;angry;sad, or nothing.

    Returns
    -------
    tuple
        The utterances in the table's order, and the warnings.

    Raises
    ------
    ConfigError
        If no table or a column that is not there is named, or the corpus name or the map cannot be used.
    DataError
        If the table, a row or an audio file is not what it should be.
    """
    if not re.fullmatch(r"[\w-]+", corpus_name):
        raise ConfigError(f"`corpus_name` must be letters, digits, - and _, but is {corpus_name!r} instead. Rename it.")
    _check_map(label_map or {})
    path, root = _find_table(data_folder, table)
    rows = read_rows(path)
    given = {
        "path": path_column,
        "label": label_column,
        "id": id_column,
        "speaker": speaker_column,
        "gender": gender_column,
        "session": session_column,
        "text": text_column,
        "fold": fold_column,
        "kind": kind_column,
        "ratings": ratings_column,
    }
    columns = _choose_columns(path, rows, given)
    cells = [{field: row.get(column, "") for field, column in columns.items()} for row in rows]
    drafts = [
        _draft(row, f"{path}, row {number}", root, corpus_name, label_map) for number, row in enumerate(cells, start=1)
    ]
    wanted = [item for item in drafts if labels is None or item.emotion in labels]
    kept, warnings = keep_existing(wanted, root, allow_incomplete)
    return with_durations(kept, root), warnings


def parse_label_map(text: str) -> dict[str, str]:
    """A label map as the command line writes it.

    Example
    -------
    >>> parse_label_map("W=angry, L=bored")
    {'W': 'angry', 'L': 'bored'}
    """
    pairs = [pair.partition("=") for pair in text.split(",")]
    for raw, _, name in pairs:
        if not (raw.strip() and name.strip()):
            raise ConfigError(f"`label_map` must look like W=angry,L=bored, but is {text!r} instead. Write it so.")
    return {raw.strip(): name.strip() for raw, _, name in pairs}


def _check_map(label_map: Mapping[str, str]) -> None:
    for raw, name in label_map.items():
        try:
            canonical(name)
        except DataError:
            raise ConfigError(not_one_of(f"label_map[{raw}]", name, CANONICAL)) from None


def _find_table(data_folder: Path, table: Path | str | None) -> tuple[Path, Path]:
    """The table's path and the folder its relative paths start from."""
    if table is None:
        if data_folder.is_file():
            return data_folder, data_folder.parent
        raise ConfigError("`--table` must name the table, but is not given. Pass e.g. --table labels.csv.")
    if data_folder.is_file():
        raise ConfigError(f"`--data-folder` must be a folder beside --table, but is the file {data_folder} instead.")
    inside = data_folder / table
    return (inside if inside.is_file() else Path(table)), data_folder


def _choose_columns(path: Path, rows: Sequence[Row], given: Mapping[str, str | None]) -> dict[str, str]:
    """Field -> column, for the fields the table has."""
    present = list(dict.fromkeys(name for row in rows for name in row))
    columns = {}
    for field, column in given.items():
        if column is None and field not in present:
            continue
        columns[field] = field if column is None else column
        if columns[field] not in present:
            option = f"--{field}-column"
            raise ConfigError(not_one_of(option, columns[field], present) + f" These are the columns of {path}.")
    return columns


def _draft(row: Row, where: str, root: Path, corpus_name: str, label_map: Mapping[str, str] | None) -> Utterance:
    for needed in ("path", "label"):
        if not row[needed]:
            raise DataError(f"{where} must have a {needed}, but it is empty. Fill it in, or delete the row.")
    try:
        emotion = canonical(row["label"], label_map)
    except DataError as error:
        raise DataError(f"{where}: {error}") from None
    wav = root / row["path"].replace("\\", "/").removeprefix(f"{DATA_ROOT}/")
    return Utterance(
        id=_prefixed(row.get("id") or wav.stem, corpus_name),
        wav=rooted(wav, root),
        duration=0.0,
        emotion=emotion,
        raw_emotion=row["label"],
        speaker=_prefixed(row["speaker"], corpus_name) if row.get("speaker") else None,
        gender=_one_of(GENDERS, "gender", row, where),
        session=row.get("session") or None,
        text=row.get("text") or None,
        kind=_one_of(KINDS, "kind", row, where),
        fold=row.get("fold") or None,
        ratings=parse_ratings(row.get("ratings", ""), label_map, where),
    )


def _prefixed(name: str, corpus_name: str) -> str:
    return name if name.startswith(f"{corpus_name}_") else f"{corpus_name}_{name}"


def _one_of(names: Mapping[str, str], field: str, row: Row, where: str) -> str | None:
    cell = row.get(field)
    if not cell:
        return None
    if cell.lower() not in names:
        raise DataError(f"{where}: {not_one_of(field, cell, names)}")
    return names[cell.lower()]
