"""What any model answered, whoever made the file: our predictions, or a table of ids and emotions."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from emorec_lobes.corpora.rows import Row, read_rows, read_text
from emorec_lobes.errors import ConfigError, DataError, not_one_of
from emorec_lobes.evaluation.predictions import COLUMNS, read_predictions
from emorec_lobes.evaluation.report import peeked_mark
from emorec_lobes.files import read_json
from emorec_lobes.labels import CANONICAL, canonical, ordered
from emorec_lobes.names import natural

# What others call their columns, the likelier name first.
USUAL = {
    "id": ("id", "key", "utterance", "utt_id", "name", "file", "filename", "path", "wav", "audio"),
    "prediction": ("prediction", "predicted", "pred", "predict", "hyp"),
    "target": ("target", "truth", "true", "label", "emotion", "emo", "ref"),
    "speaker": ("speaker", "spk", "speaker_id"),
}
TABLES = (".csv", ".tsv", ".json", ".jsonl")
_NOTHING = {"", "nan", "none", "null", "na", "n/a", "<na>"}
_AUDIO = re.compile(r"\.(wav|flac|mp3|ogg|opus|m4a|aac|webm)$", re.IGNORECASE)


@dataclass(frozen=True)
class Reading:
    """How to read a file that is not ours.

    Arguments
    ---------
    columns : mapping
        "id", "prediction", "target" or "speaker" -> the column's name, where it is none of `USUAL`.
    label_map : mapping
        A label as the file spells it -> canonical emotion. It is applied to our files too: `excited=happy` merges.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    label_map: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Answers:
    """One file, by id; emotions are canonical."""

    path: Path
    predictions: Mapping[str, str]
    targets: Mapping[str, str]  # empty where the file does not say
    speakers: Mapping[str, str]  # only those that are known
    labels: tuple[str, ...] | None  # all classes, where the file says which
    columns: Mapping[str, str] = field(default_factory=dict)  # that were read, of a file that is not ours


def read_system(place: Path, reading: Reading | None = None) -> list[Answers]:
    """Reads the answers of one system: a file, a run's folder, or a folder of runs under several seeds.

    Raises
    ------
    ConfigError
        If the folder holds no predictions of all folds, or a column is named that is not there.
    DataError
        If a file is missing, or a row has no id, no answer, or one that is no emotion, or an id twice.
    """
    return [read_answers(path, reading or Reading()) for path in _files(Path(place))]


def _files(place: Path) -> list[Path]:
    if not place.is_dir():
        return [place]
    if (place / "predictions.csv").is_file():
        return [place / "predictions.csv"]
    seeds = sorted(place.glob("seed_*/predictions.csv"), key=lambda path: natural(path.parent.name))
    if not seeds:
        raise ConfigError(
            f"{place} must hold predictions.csv of all folds, or seed_<n> folders with one each, but holds none. "
            "Name a run's folder, or run the recipe with --fold all."
        )
    return seeds


def marks(files: Sequence[Answers]) -> list[str]:
    """How the runs that left these files peeked at the test; nothing for honest ones and for other toolkits' files."""
    records = [file.path.parent / "results.json" for file in files if file.path.name == "predictions.csv"]
    found = [peeked_mark(read_json(path, "the recipe").get("stamp", {})) for path in records if path.is_file()]
    return list(dict.fromkeys(filter(None, found)))


def read_answers(path: Path, reading: Reading, what: str = "prediction") -> Answers:
    """Reads one file.

    Arguments
    ---------
    path : Path
        A predictions.csv of ours, of which the test rows count; a table (.csv with any usual separator, .tsv, .json,
        .jsonl) with a column of ids, or of paths whose stems are the ids; or lines of an id and an emotion.
    reading : Reading
    what : str
        "prediction" or "target": what the file must have, and what the emotion of a line is.

    Raises
    ------
    ConfigError, DataError
        As `read_system`.

    Example
    -------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "test_fold1_predict.txt")
    ...     _ = path.write_text("Ses01F_impro01_F000 neu\\nSes01F_impro01_F001 glad\\n")
    ...     read_answers(path, Reading(label_map={"glad": "happy"})).predictions
    {'Ses01F_impro01_F000': 'neutral', 'Ses01F_impro01_F001': 'happy'}
    """
    if path.name.endswith("results.json"):
        raise ConfigError(f"{path} is a record, which keeps no answers. Name the predictions.csv of its run.")
    if path.suffix.lower() not in TABLES:
        rows, columns = _read_lines(path, what), {"id": "id", what: what}
    elif path.suffix.lower() == ".csv" and read_text(path).startswith(",".join(COLUMNS)):
        return _ours(path, reading.label_map)
    else:
        rows = read_rows(path)
        columns = _choose(path, rows, reading.columns, what)
    return _answers(path, rows, columns, reading.label_map)


def _ours(path: Path, label_map: Mapping[str, str]) -> Answers:
    table = read_predictions(path).only("test")
    names = [canonical(label, label_map) for label in table.labels]
    ids = table.ids.tolist()
    return Answers(
        path,
        {item: names[answer] for item, answer in zip(ids, table.predicted.tolist(), strict=True)},
        {item: names[target] for item, target in zip(ids, table.targets.tolist(), strict=True)},
        {item: speaker for item, speaker in zip(ids, table.speakers.tolist(), strict=True) if speaker},
        ordered(names),
    )


def _read_lines(path: Path, what: str) -> list[Row]:
    rows = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        words = line.split()
        if len(words) not in (0, 2):
            raise DataError(
                f"{path}, line {number} must be an id and an emotion, but is {line!r:.60} instead. "
                f"Save a table as one of {', '.join(TABLES)}."
            )
        rows += [{"id": words[0], what: words[1]}] if words else []
    if not rows:
        raise DataError(f"{path} must hold at least one line, but holds none. Check the file.")
    return rows


def _choose(path: Path, rows: Sequence[Row], given: Mapping[str, str], what: str) -> dict[str, str]:
    """Field -> column, for the fields that the table has."""
    present = list(dict.fromkeys(name for row in rows for name in row))
    by_lower_case = {name.lower(): name for name in reversed(present)}
    columns = {}
    for name, usual in USUAL.items():
        # A file that lacks the named column may stand beside one that has it: see `check_columns`.
        found = [given[name]] if given.get(name) in present else []
        found += [by_lower_case[each] for each in usual if each in by_lower_case]
        columns |= {name: found[0]} if found else {}
    for name in ("id", what):
        if name not in columns:
            raise ConfigError(
                f"{path} must have a column of {name}s, e.g. `{name}`, but has {', '.join(present)} instead. "
                f"Name it with --{name}-column."
            )
    return columns


def check_columns(files: Sequence[Answers], reading: Reading) -> None:
    """Refuses the name of a column that none of the files has, with a `ConfigError`."""
    for name, column in reading.columns.items():
        used = [file.columns.get(name) for file in files]
        if column not in used:
            raise ConfigError(
                f"`--{name}-column` must be a column of one of the files, but is {column!r} instead. "
                f"Look at the header of {files[-1].path}."
            )


def _answers(path: Path, rows: Sequence[Row], columns: Mapping[str, str], label_map: Mapping[str, str]) -> Answers:
    held: dict[str, dict[str, str]] = {name: {} for name in ("prediction", "target", "speaker")}
    seen: dict[str, int] = {}
    for number, row in enumerate(rows, start=1):
        item = id_of(row.get(columns["id"], ""))
        if item.lower() in _NOTHING:
            raise DataError(f"{path}, row {number} must have an id, but has {item!r} instead. Fill it in.")
        if item in seen:
            raise DataError(
                f"{path}, row {number} (id {item!r}) must be the only one of its id, but row {seen[item]} has it too. "
                "Leave one out, or name another column with --id-column."
            )
        seen[item] = number
        for name in held.keys() & columns.keys():
            cell = row.get(columns[name], "")
            if name == "speaker":
                held[name] |= {} if cell.lower() in _NOTHING else {item: cell}
            else:
                held[name][item] = _emotion(cell, label_map, f"{path}, row {number} (id {item!r})", name)
    return Answers(path, held["prediction"], held["target"], held["speaker"], None, columns)


def id_of(cell: str) -> str:
    """An id, or the stem of an audio file's path.

    Example
    -------
    >>> id_of("data/emodb/wav/03a01Fa.wav"), id_of("emodb_03a01Fa")
    ('03a01Fa', 'emodb_03a01Fa')
    """
    return _AUDIO.sub("", re.split(r"[/\\]", cell.strip())[-1])


def _emotion(cell: str, label_map: Mapping[str, str], where: str, name: str) -> str:
    if cell.lower() in _NOTHING and cell not in label_map:
        raise DataError(f"{where} must have a {name}, but has {cell!r} instead. Fill it in, or delete the row.")
    try:
        return canonical(cell, label_map)
    except DataError:
        cure = f"Map it with --map {cell}=EMOTION."
        raise DataError(f"{where}: {not_one_of(name, cell, CANONICAL)} {cure}") from None
