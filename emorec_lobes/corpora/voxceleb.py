"""VoxCeleb1's lists: the identification split, and verification trials. Paths in them begin with the speaker.

Source: Nagrani, Chung, Zisserman, "VoxCeleb: a large-scale speaker identification dataset", 2017: `iden_split.txt` has
lines `1 id10001/1zcIwhmdeo4/00001.wav` (1 train, 2 dev, 3 test), `veri_test.txt` lines `1 A.wav B.wav` (1 one speaker).
"""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from emorec_lobes.corpora.speaker_folder import (
    Recording,
    SpeakerSplit,
    Trials,
    check_speakers,
    check_trials,
    probed,
)
from emorec_lobes.errors import DataError
from emorec_lobes.units import Seconds

_PATH = r"(\S+?/\S+)"
_SPLIT_LINE = re.compile(rf"([123])\s+{_PATH}")
_TRIAL_LINE = re.compile(rf"([01])\s+{_PATH}\s+{_PATH}")


def wave_root(data_folder: Path) -> Path:
    """Where the speakers' folders lie: `wav` in the official layout, or the folder itself."""
    official = Path(data_folder) / "wav"
    return official if official.is_dir() else Path(data_folder)


def read_split_list(path: Path, data_folder: Path, min_duration: Seconds) -> SpeakerSplit:
    """Reads an identification split list.

    Arguments
    ---------
    path : Path
        As `iden_split.txt`.
    data_folder : Path
        Holds `wav/SPEAKER/...`, or `SPEAKER/...`.
    min_duration : float
        One analysis window.

    Returns
    -------
    SpeakerSplit

    Raises
    ------
    DataError
        If a line has another form, a file is named twice, absent or too short, or dev or test have a speaker whom
        train has not.

    Example
    -------
    >>> read_split_list(Path("nowhere.txt"), Path("."), 0.04)
    Traceback (most recent call last):
    emorec_lobes.errors.DataError: nowhere.txt must be a list of files, but does not exist. Name another.
    """
    root = wave_root(data_folder)
    listed = list(_rows(path, _SPLIT_LINE, "`1 SPEAKER/.../FILE.wav` with 1 train, 2 dev or 3 test"))
    found = _locate([name for _, name in listed], root, path, min_duration)
    parts = {number: [found[name] for split, name in listed if split == number] for number in "123"}
    split = SpeakerSplit(parts["1"], parts["2"], parts["3"], f"the list {Path(path).name}")
    if len(found) < len(listed):
        twice = Counter(name for _, name in listed).most_common(1)[0][0]
        raise DataError(
            f"{path} must name each file once, but names {twice} again. Take one of the lines off the list."
        )
    for what, items in (("dev", split.dev), ("test", split.test)):
        alone = sorted({item.speaker for item in items} - set(split.speakers))
        if alone:
            raise DataError(
                f"{path}: each speaker of {what} must have an utterance in train, but {alone[0]!r} has not "
                f"({len(alone)} such). Add one, or take the speaker off the list."
            )
    if not split.dev:
        raise DataError(f"{path} must name dev utterances (lines that begin with 2), but names none. Add some.")
    check_speakers(split.speakers)
    return split


def read_trials(path: Path, data_folder: Path, min_duration: Seconds) -> Trials:
    """Reads a verification trial list.

    Arguments
    ---------
    path : Path
        As `veri_test.txt`.
    data_folder, min_duration
        Of `read_split_list`.

    Returns
    -------
    Trials

    Raises
    ------
    DataError
        If a line has another form or calls two speakers one, a file is absent or too short, or all trials are of one
        kind.
    """
    listed = list(_rows(path, _TRIAL_LINE, "`1 SPEAKER/.../A.wav SPEAKER/.../B.wav` with 1 one speaker or 0 two"))
    found = _locate([name for row in listed for name in row[1:]], wave_root(data_folder), path, min_duration)
    place = {name: number for number, name in enumerate(found)}
    for kind, first, second in listed:
        if (kind == "1") != (found[first].speaker == found[second].speaker):
            raise DataError(
                f"{path}: `{kind} {first} {second}` must begin with {1 - int(kind)}, as the first folder is the "
                "speaker's. Correct the line."
            )
    pairs = np.array([[place[first], place[second]] for _, first, second in listed])
    targets = np.array([kind == "1" for kind, _, _ in listed])
    trials = Trials(list(found.values()), pairs, targets, f"the list {Path(path).name}")
    check_trials(trials)
    return trials


def _rows(path: Path, form: re.Pattern[str], what: str) -> Iterator[tuple[str, ...]]:
    """The parts of each line that is not empty."""
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path} must be a list of files, but does not exist. Name another.")
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise DataError(f"{path} must be a list of files, but is no UTF-8 text. Name another.") from None
    if not any(line.strip() for line in lines):
        raise DataError(f"{path} must have lines {what}, but has none. Name another list.")
    for number, line in enumerate(lines, start=1):
        found = form.fullmatch(line.strip())
        if found:
            yield found.groups()
        elif line.strip():
            raise DataError(f"{path}, line {number} must be {what}, but is {line.strip()!r:.80} instead. Correct it.")


def _locate(names: list[str], root: Path, path: Path, min_duration: Seconds) -> dict[str, Recording]:
    """Name -> recording, of all the names of a list."""
    distinct = list(dict.fromkeys(names))
    absent = [name for name in distinct if not (root / name).is_file()]
    if absent:
        raise DataError(
            f"{path} names {len(absent)} of {len(distinct)} files that are not in {root}, the first is {absent[0]}. "
            "Complete the corpus, or take them off the list."
        )
    items = [Recording(name, root / name, name.partition("/")[0], duration=0.0) for name in distinct]
    return {item.id: item for item in probed(items, min_duration)}
