"""GoEmotions (Demszky et al. 2020) in its Ekman grouping: single comments of Reddit, text alone."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from emorec_lobes.corpora.manifest import SPLITS, Utterance
from emorec_lobes.corpora.rows import Row, read_text
from emorec_lobes.corpora.splits import SplitRow, check_splits, read_splits
from emorec_lobes.errors import DataError, not_one_of
from emorec_lobes.labels import EKMAN, canonical, ordered

FILES = {"train": "train.tsv", "valid": "dev.tsv", "test": "test.tsv"}

OFFICIAL_COUNTS = {"train": 43410, "valid": 5426, "test": 5427}

COLUMNS = ("text", "emotions", "id")


def read(
    data_folder: Path,
    labels: Collection[str] | None = None,
    allow_incomplete: bool = False,
    multi_label: bool = False,
) -> tuple[list[Utterance], list[str]]:
    """Reads GoEmotions in its official split.

    Arguments
    ---------
    data_folder : Path
        The folder that holds `labels.txt`, `train.tsv`, `dev.tsv` and `test.tsv` of the Ekman grouping.
    labels : collection of str, optional
        Canonical emotions to keep; all seven without it. A row of several labels stays if all of them do.
    allow_incomplete : bool
        Whether missing files, and counts other than the official ones, are warnings.
    multi_label : bool
        Whether training rows of several labels stay, with all of them in `emotions`; `emotion` is then the first in
        class order. Those of validation and test are always left out: their scores need one answer a row.

    Returns
    -------
    tuple
        The utterances by split in the files' order, and the warnings, which count the rows left out.

    Raises
    ------
    DataError
        If a file is missing, a row is not as released, or a count differs.
    """
    rows = read_splits(data_folder, FILES, _read_file, "GoEmotions", allow_incomplete)
    names = _label_names(data_folder / "labels.txt")
    drafts = [_draft(row, names) for row in rows]
    warnings = check_splits(rows, drafts, OFFICIAL_COUNTS, "GoEmotions", allow_incomplete)
    dropped = Counter(item.fold for item in drafts if _is_dropped(item, multi_label))
    if dropped:
        counts = ", ".join(f"{split} {dropped[split]}" for split in SPLITS)
        warnings.append(f"{dropped.total()} of {len(drafts)} rows have several labels and are left out ({counts}).")
    kept = [item for item in drafts if not _is_dropped(item, multi_label)]
    return [item for item in kept if labels is None or {item.emotion, *(item.emotions or ())} <= set(labels)], warnings


def _is_dropped(item: Utterance, multi_label: bool) -> bool:
    return item.emotions is not None and not (multi_label and item.fold == "train")


def _read_file(path: Path) -> list[Row]:
    """Text, label numbers and id of each line; quotes are part of the text, and there is no header."""
    rows = []
    for number, line in enumerate(_lines(path), start=1):
        cells = [cell.strip() for cell in line.split("\t")]
        if len(cells) != len(COLUMNS):
            raise DataError(
                f"{path}, row {number} must be text, label numbers and id, separated by tabs, "
                f"but has {len(cells)} cells instead. Restore the official file."
            )
        rows.append(dict(zip(COLUMNS, cells, strict=True)))
    return rows


def _lines(path: Path) -> Sequence[str]:
    return read_text(path).removesuffix("\n").split("\n")


def _label_names(path: Path) -> Mapping[str, str]:
    """Label number -> name, from `labels.txt`, whose order numbers them."""
    names = [line.strip() for line in _lines(path)]
    if sorted(names) != sorted(EKMAN):
        raise DataError(
            f"{path} must list {', '.join(sorted(EKMAN))}, but lists {', '.join(names)} instead. "
            "Pass the folder of the Ekman grouping."
        )
    return {str(number): name for number, name in enumerate(names)}


def _draft(row: SplitRow, names: Mapping[str, str]) -> Utterance:
    numbers = row.cells["emotions"].split(",")
    unknown = next((number for number in numbers if number not in names), None)
    if unknown is not None:
        raise DataError(f"{row.where}: {not_one_of('label number', unknown, names)} Restore the official file.")
    emotions = ordered(canonical(names[number]) for number in numbers)
    return Utterance(
        id=f"goemotions_{row.text('id')}",
        wav="",
        duration=0.0,
        emotion=emotions[0],
        raw_emotion="|".join(names[number] for number in numbers),
        emotions=list(emotions) if len(emotions) > 1 else None,
        text=row.text("text"),
        fold=row.split,
    )
