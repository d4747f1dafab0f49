"""MELD (Poria et al. 2019): dialogues of a TV series with Ekman's emotions; read for its text alone."""

from collections.abc import Collection
from functools import partial
from pathlib import Path

from emorec_lobes.corpora.manifest import Utterance
from emorec_lobes.corpora.splits import SplitRow, check_splits, read_columns, read_splits
from emorec_lobes.labels import EKMAN, canonical

FILES = {
    "train": "train_sent_emo.csv",
    "valid": "dev_sent_emo.csv",
    "test": "test_sent_emo.csv",
}

OFFICIAL_COUNTS = {"train": 9989, "valid": 1109, "test": 2610}

COLUMNS = ("Utterance", "Speaker", "Emotion", "Dialogue_ID", "Utterance_ID")

# The first release has the codes of Western Windows where characters should be: quotes, dashes, three dots, a blank.
_REPAIRS = {code: bytes([code]).decode("cp1252", errors="ignore") for code in range(0x80, 0xA0)} | {0xA0: " "}


def read(
    data_folder: Path, labels: Collection[str] | None = None, allow_incomplete: bool = False
) -> tuple[list[Utterance], list[str]]:
    """Reads MELD in its official split.

    Arguments
    ---------
    data_folder : Path
        The folder that holds `train_sent_emo.csv`, `dev_sent_emo.csv` and `test_sent_emo.csv`.
    labels : collection of str, optional
        Canonical emotions to keep; all seven without it.
    allow_incomplete : bool
        Whether missing files, and counts other than the official ones, are warnings.

    Returns
    -------
    tuple
        The utterances by split, dialogue and turn, and the warnings. Texts are the same from either release.

    Raises
    ------
    DataError
        If a file or a column is missing, a row is not as released, or a count differs.
    """
    read_file = partial(read_columns, columns=COLUMNS, repairs=_REPAIRS)
    rows = read_splits(data_folder, FILES, read_file, "MELD", allow_incomplete)
    drafts = [_draft(row) for row in rows]
    warnings = check_splits(rows, drafts, OFFICIAL_COUNTS, "MELD", allow_incomplete)
    return [item for item in drafts if labels is None or item.emotion in labels], warnings


def _draft(row: SplitRow) -> Utterance:
    turn = row.number("Utterance_ID")
    dialog = f"meld_{row.split}_dia{row.number('Dialogue_ID')}"  # each split numbers its dialogues from 0
    emotion = row.one_of("Emotion", EKMAN)
    return Utterance(
        id=f"{dialog}_utt{turn}",
        wav="",
        duration=0.0,
        emotion=canonical(emotion),
        raw_emotion=emotion,
        speaker=f"meld_{row.text('Speaker')}",
        text=row.text("Utterance"),
        dialog=dialog,
        turn=turn,
        fold=row.split,
    )
