"""Which audio files are meant: paths, folders, patterns, and lists of these."""

import glob
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from emorec_lobes.errors import ConfigError, DataError
from emorec_lobes.scale.paths import is_remote, remote_files

SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".aif", ".aiff", ".au", ".caf")


def audio_files(folder: Path) -> list[Path]:
    """The audio files below a folder, sorted.

    Raises
    ------
    ConfigError
        If it is no folder, or has none.
    """
    found = sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not found:
        raise ConfigError(f"{folder} must be a folder with audio files, but has none. Name another folder.")
    return found


def listed(names: Iterable[str]) -> Iterator[str]:
    """The files that are meant, each once, in order.

    Arguments
    ---------
    names : iterable of str
        Files, folders (all audio files below them) and patterns such as `*.wav`; or URLs of these in an object store.
        A file need not exist: whoever opens it says so.

    Raises
    ------
    ConfigError
        If a folder or a pattern stands for no file.
    """
    seen = set()
    for name in names:
        if is_remote(name):
            paths = _remote(name)
        elif Path(name).is_dir():
            paths = [str(path) for path in audio_files(Path(name))]
        elif not Path(name).exists() and any(sign in name for sign in "*?["):
            paths = sorted(glob.glob(name, recursive=True))  # noqa: PTH207 - a pattern may be absolute
            if not paths:
                raise ConfigError(f"{name} must stand for files, but there are none. Write another pattern.")
        else:
            paths = [name]
        for path in paths:
            if path not in seen:
                seen.add(path)
                yield path


def _remote(url: str) -> list[str]:
    found = remote_files(url)
    if found is None:
        return [url]
    paths = [path for path in found if PurePosixPath(path).suffix.lower() in SUFFIXES or "*" in url]
    if not paths:
        raise ConfigError(f"{url} must stand for audio files, but there are none. Name another place.")
    return paths


def read_list(lines: Iterable[str]) -> list[str]:
    """The names in a list, one a line; empty lines do not count.

    Raises
    ------
    DataError
        If it is empty.

    Example
    -------
    >>> read_list(["a.wav", "", " b c.wav "])
    ['a.wav', 'b c.wav']
    """
    names = [line.strip() for line in lines if line.strip()]
    if not names:
        raise DataError("The list must name one file a line, but is empty. Fill it.")
    return names
