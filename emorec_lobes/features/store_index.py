"""The index of a feature store: one JSON line a finished utterance, the last line of an id counts."""

import errno
import fcntl
import json
import os
from dataclasses import asdict, dataclass
from io import FileIO
from pathlib import Path
from typing import Any

_NAME = "index.jsonl"


@dataclass(frozen=True)
class Entry:
    """What the index says of one utterance."""

    file: str  # relative to the store
    num_frames: int
    audio_hash: str
    source: tuple[Any, ...]  # cheap to compare: size and time of the audio file, bounds, ...
    num_clipped: int = 0  # values beyond the range of half precision, stored as its largest


def read_index(folder: Path) -> dict[str, Entry]:
    """The utterances of a store. A torn line, or one whose file is gone, counts for nothing.

    Arguments
    ---------
    folder : Path
        The store's folder; may be missing.

    Returns
    -------
    dict
        id -> `Entry`, in the order in which they were first written.

    Example
    -------
    >>> read_index(Path("/nonexistent"))
    {}
    """
    path = Path(folder) / _NAME
    if not path.exists():
        return {}
    there = _files(folder)
    entries = {}
    for line in path.read_bytes().split(b"\n"):
        try:
            values = json.loads(line)
            utterance_id, source = values.pop("id"), tuple(values.pop("source"))
            entry = Entry(**values, source=source)
            if not isinstance(entry.num_frames, int):
                raise TypeError
        except (ValueError, TypeError, KeyError, AttributeError):
            continue  # torn: its utterance is extracted again
        if entry.file in there:
            entries[utterance_id] = entry
    return entries


def append(folder: Path, utterance_id: str, entry: Entry) -> None:
    """Adds a line, whole or not at all; several processes may do so at once.

    Raises
    ------
    OSError
        If the disk is full or refuses; the index is then as it was.
    """
    line = (json.dumps({"id": utterance_id, **asdict(entry)}) + "\n").encode()
    with FileIO(Path(folder) / _NAME, "a+") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        end = _end_of_last_whole_line(stream)
        stream.truncate(end)
        if stream.write(line) != len(line):
            stream.truncate(end)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _end_of_last_whole_line(stream: FileIO) -> int:
    """Where the next line belongs: behind it may stand a line that a killed process began."""
    size = stream.seek(0, os.SEEK_END)
    if size == 0:
        return 0
    stream.seek(size - 1)
    if stream.read(1) == b"\n":
        return size
    stream.seek(0)
    return stream.readall().rfind(b"\n") + 1


def _files(folder: Path) -> set[str]:
    """All feature files, by their path in the store: one listing a subfolder is faster than asking for each."""
    subfolders = [item for item in os.scandir(folder) if item.is_dir()]
    return {f"{subfolder.name}/{item.name}" for subfolder in subfolders for item in os.scandir(subfolder)}
