"""EmoDB, the Berlin database of emotional speech (Burkhardt et al. 2005): ten German speakers."""

import re
from collections import Counter
from collections.abc import Collection
from pathlib import Path

from emorec_lobes.corpora.audio import with_durations
from emorec_lobes.corpora.counts import check_counts
from emorec_lobes.corpora.manifest import DATA_ROOT, Utterance
from emorec_lobes.errors import DataError

# 03a01Fa.wav: speaker 03, sentence a01, emotion F, take a.
_NAME = re.compile(r"(?P<speaker>\d\d)(?P<sentence>[ab]\d\d)(?P<letter>[A-Z])(?P<take>[a-z])")

# The first letters of the German words: Wut, Langeweile, Ekel, Angst, Freude, Trauer, neutral.
EMOTIONS = {
    "W": "angry",
    "N": "neutral",
    "F": "happy",
    "T": "sad",
    "A": "fearful",
    "E": "disgusted",
    "L": "bored",
}

OFFICIAL_COUNTS = {
    "angry": 127,
    "neutral": 79,
    "happy": 71,
    "sad": 62,
    "fearful": 69,
    "disgusted": 46,
    "bored": 81,
}

GENDERS = {
    "03": "male",
    "08": "female",
    "09": "female",
    "10": "male",
    "11": "male",
    "12": "male",
    "13": "female",
    "14": "female",
    "15": "male",
    "16": "female",
}

SENTENCES = {
    "a01": "Der Lappen liegt auf dem Eisschrank.",
    "a02": "Das will sie am Mittwoch abgeben.",
    "a04": "Heute abend könnte ich es ihm sagen.",
    "a05": "Das schwarze Stück Papier befindet sich da oben neben dem Holzstück.",
    "a07": "In sieben Stunden wird es soweit sein.",
    "b01": "Was sind denn das für Tüten, die da unter dem Tisch stehen.",
    "b02": "Sie haben es gerade hochgetragen und jetzt gehen sie wieder runter.",
    "b03": "An den Wochenenden bin ich jetzt immer nach Hause gefahren und habe Agnes besucht.",
    "b09": "Ich will das eben wegbringen und dann mit Karl was trinken gehen.",
    "b10": "Die wird auf dem Platz sein, wo wir sie immer hinlegen.",
}


def read(
    data_folder: Path, labels: Collection[str] | None = None, allow_incomplete: bool = False
) -> tuple[list[Utterance], list[str]]:
    """Reads EmoDB: every file of `wav/`, labelled by its name.

    Arguments
    ---------
    data_folder : Path
        The folder that holds `wav/`.
    labels : collection of str, optional
        Canonical emotions to keep; all seven without it.
    allow_incomplete : bool
        Whether counts other than the official ones of the kept labels are a warning.

    Returns
    -------
    tuple
        The utterances by file name, and the warnings.

    Raises
    ------
    DataError
        If `wav/` is missing, a name is not EmoDB's, a count differs or audio cannot be read.
    """
    paths = sorted(path for path in _wav_folder(data_folder).glob("*.wav") if not path.name.startswith("."))
    drafts = [_draft(path) for path in paths]
    kept = [item for item in drafts if labels is None or item.emotion in labels]
    expected = {label: number for label, number in OFFICIAL_COUNTS.items() if labels is None or label in labels}
    warnings = check_counts(Counter(item.emotion for item in kept), expected, "EmoDB", allow_incomplete)
    return with_durations(kept, data_folder), warnings


def _wav_folder(data_folder: Path) -> Path:
    folder = data_folder / "wav"
    if folder.is_dir():
        return folder
    is_inside = data_folder.name == "wav" and data_folder.is_dir()
    cure = f"Pass its parent, {data_folder.parent}." if is_inside else "Pass the folder EmoDB was unpacked to."
    raise DataError(f"`--data-folder` must hold EmoDB's folder `wav`, but {data_folder} does not. {cure}")


def _draft(path: Path) -> Utterance:
    name = _NAME.fullmatch(path.stem)
    if not (name and name["speaker"] in GENDERS and name["sentence"] in SENTENCES and name["letter"] in EMOTIONS):
        raise DataError(
            f"{path} must be named like 03a01Fa.wav (speaker, sentence, one of {''.join(EMOTIONS)}, take), "
            f"but is not. Move it elsewhere if it is not part of EmoDB, or read it with the corpus `table`."
        )
    return Utterance(
        id=f"emodb_{path.stem}",
        wav=f"{DATA_ROOT}/wav/{path.name}",
        duration=0.0,
        emotion=EMOTIONS[name["letter"]],
        raw_emotion=name["letter"],
        speaker=f"emodb_{name['speaker']}",
        gender=GENDERS[name["speaker"]],
        text=SENTENCES[name["sentence"]],
    )
