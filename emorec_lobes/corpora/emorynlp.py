"""EmoryNLP emotion detection (Zahiri and Choi 2018): transcripts of a TV series, text alone."""

import re
from collections.abc import Collection
from functools import partial
from pathlib import Path

from emorec_lobes.corpora.manifest import Utterance
from emorec_lobes.corpora.splits import SplitRow, check_splits, read_columns, read_splits
from emorec_lobes.errors import DataError
from emorec_lobes.labels import canonical

FILES = {
    "train": "emorynlp_train_final.csv",
    "valid": "emorynlp_dev_final.csv",
    "test": "emorynlp_test_final.csv",
}

OFFICIAL_COUNTS = {"train": 7551, "valid": 954, "test": 984}

EMOTIONS = ("Mad", "Neutral", "Joyful", "Sad", "Scared", "Peaceful", "Powerful")

COLUMNS = ("Utterance", "Speaker", "Emotion", "Scene_ID", "Utterance_ID", "Season", "Episode")

# Speakers stand as a list in Python's spelling: ['Ross Geller', "Phoebe's Assistant"].
_QUOTED = r"""'[^']+'|"[^"]+\""""
_SPEAKERS = re.compile(rf"\[(?:{_QUOTED})(?:, (?:{_QUOTED}))*\]")


def read(
    data_folder: Path, labels: Collection[str] | None = None, allow_incomplete: bool = False
) -> tuple[list[Utterance], list[str]]:
    """Reads EmoryNLP in its official split: joyful is happy here, mad is angry, scared is fearful.

    Arguments
    ---------
    data_folder : Path
        The folder that holds `emorynlp_train_final.csv` and the like.
    labels : collection of str, optional
        Canonical emotions to keep; all seven without it.
    allow_incomplete : bool
        Whether missing files, and counts other than the official ones, are warnings.

    Returns
    -------
    tuple
        The utterances by split, scene and turn, and the warnings. Turns the release leaves out leave a gap.

    Raises
    ------
    DataError
        If a file or a column is missing, a row is not as released, or a count differs.
    """
    read_file = partial(read_columns, columns=COLUMNS)
    rows = read_splits(data_folder, FILES, read_file, "EmoryNLP", allow_incomplete)
    drafts = [_draft(row) for row in rows]
    warnings = check_splits(rows, drafts, OFFICIAL_COUNTS, "EmoryNLP", allow_incomplete)
    return [item for item in drafts if labels is None or item.emotion in labels], warnings


def _draft(row: SplitRow) -> Utterance:
    season, episode, scene, turn = map(row.number, ("Season", "Episode", "Scene_ID", "Utterance_ID"))
    dialog = f"emorynlp_s{season:02}_e{episode:02}_c{scene:02}"
    emotion = row.one_of("Emotion", EMOTIONS)
    return Utterance(
        id=f"{dialog}_u{turn:03}",
        wav="",
        duration=0.0,
        emotion=canonical(emotion),
        raw_emotion=emotion,
        speaker=f"emorynlp_{_speaker(row)}",
        text=row.text("Utterance"),
        dialog=dialog,
        turn=turn,
        fold=row.split,
    )


def _speaker(row: SplitRow) -> str:
    """The speaker; those who speak together are one of their own."""
    cell = row.cells["Speaker"]
    if not _SPEAKERS.fullmatch(cell):
        raise DataError(
            f"{row.where}: `Speaker` must be like ['Ross Geller'], but is {cell!r:.40} instead. "
            "Restore the official file."
        )
    return " & ".join(name[1:-1] for name in re.findall(_QUOTED, cell))
