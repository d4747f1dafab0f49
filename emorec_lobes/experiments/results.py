"""The results of finished folds on the disk, and all folds pooled."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from speechbrain.utils.distributed import if_main_process

from emorec_lobes.corpora.manifest import Utterance
from emorec_lobes.errors import DataError
from emorec_lobes.evaluation.figures import confusion_figure
from emorec_lobes.evaluation.predictions import Predictions, read_predictions, write_predictions
from emorec_lobes.evaluation.raters import Ratings
from emorec_lobes.evaluation.report import markdown_table, results_record
from emorec_lobes.evaluation.units import DIALOGS, UTTERANCES, Units
from emorec_lobes.files import read_json, write_atomically, write_json


def write_results(folder: Path, record: dict[str, Any]) -> None:
    """Writes results.md, the confusion matrix and results.json, in that order."""
    (folder / "figures").mkdir(exist_ok=True)
    confusion_figure(record, folder / "figures" / "confusion.png")
    write_atomically(folder / "results.md", markdown_table(record))
    write_json(folder / "results.json", record)


def drawn_units(stamp: Mapping[str, Any], utterances: Mapping[str, Utterance]) -> Units | None:
    """What intervals draw in place of speakers, None for speakers.

    Where tested speakers are in training too, or are unknown, it is not speakers that a test samples: dialogues are
    drawn then, and single utterances where neither is known.
    """
    if stamp["speaker_independent"]:
        return None
    dialogs = {key: item.dialog for key, item in utterances.items() if item.dialog is not None}
    if len(dialogs) == len(utterances):
        return Units(DIALOGS, dialogs)
    return Units(UTTERANCES, {key: key for key in utterances}) if stamp["speaker_independent"] is None else None


def pool(
    folder: Path,
    stamp: Mapping[str, Any],
    command: Mapping[str, Any],
    fold_folders: Sequence[Path],
    units: Units | None = None,
    ratings: Ratings | None = None,
) -> dict[str, Any]:
    """One predictions.csv and one record above the folds; nothing is trained."""
    predictions = Predictions.concatenate([fold_predictions(path) for path in fold_folders])
    records = [read_record(path) for path in fold_folders]
    one_input = _pool_one_input(fold_folders, records)
    data = "".join(record["fingerprint"]["data"] for record in records)
    fingerprint = {
        **records[0]["fingerprint"],
        "data": hashlib.sha256(data.encode()).hexdigest()[:12],
    }
    keys = [key for key in records[0]["stamp"] if key not in stamp]
    chosen = {key: [record["stamp"][key] for record in records] for key in keys}
    tested, stamped = predictions.only("test"), {**stamp, **chosen}
    record = results_record(tested, stamped, fingerprint, command, units=units, one_input=one_input, ratings=ratings)
    if if_main_process():
        write_predictions(folder / "predictions.csv", predictions)
        for name, table in one_input.items():
            write_predictions(folder / one_input_file(name), table)
        write_results(folder, record)
    return record


def _pool_one_input(fold_folders: Sequence[Path], records: Sequence[Mapping[str, Any]]) -> dict[str, Predictions]:
    """The answers by each input alone, of the folds that have such."""
    parts: dict[str, list[Predictions]] = {}
    for folder, record in zip(fold_folders, records, strict=True):
        for name in record.get("with_one_input", {}):
            parts.setdefault(name, []).append(fold_predictions(folder, one_input_file(name)))
    return {name: Predictions.concatenate(tables) for name, tables in parts.items()}


def one_input_file(name: str) -> str:
    """The file of the answers by one input alone.

    Example
    -------
    >>> one_input_file("speech")
    'predictions_speech_only.csv'
    """
    return f"predictions_{name}_only.csv"


def read_record(folder: Path) -> dict[str, Any]:
    """The results record of a finished fold."""
    return dict(read_json(folder / "results.json", "the recipe", needed=("fingerprint", "stamp")))


def fold_predictions(folder: Path, name: str = "predictions.csv") -> Predictions:
    """The predictions of a finished fold."""
    try:
        return read_predictions(folder / name)
    except DataError as error:
        raise DataError(f"{error} Before that, delete {folder / 'results.json'}.") from None
