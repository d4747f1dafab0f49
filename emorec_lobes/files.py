"""Files that are written whole or not at all, and folders that one run at a time may use."""

import fcntl
import json
import logging
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from glob import escape
from pathlib import Path
from typing import Any

from emorec_lobes.errors import ConfigError, DataError

_logger = logging.getLogger(__name__)


def read_json(path: Path, made_by: str, needed: Iterable[str] = ()) -> Mapping[str, Any]:
    """Reads a JSON object; one that is missing, broken, lacks a needed key or has one twice is one clear line."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        held = dict(pairs)
        if len(held) < len(pairs):
            twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
            raise DataError(f"{path} must have each key once, but has {twice!r} twice. Rename or remove one.")
        return held

    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"), object_pairs_hook=unique)
    except FileNotFoundError:
        raise DataError(f"{path} does not exist. Make it with {made_by}.") from None
    except OSError as error:  # links in a circle, no permission, a folder
        raise DataError(f"{path} cannot be read ({error.strerror}). Make it again with {made_by}.") from None
    except (ValueError, RecursionError) as error:  # no JSON, no UTF-8, a number of thousands of digits, or too deep
        raise DataError(f"{path} is not valid JSON ({error}). Delete it and run {made_by} again.") from None
    if not isinstance(content, dict):
        raise DataError(
            f"{path} must hold a JSON object, but holds a {type(content).__name__} instead. "
            f"Delete it and run {made_by} again."
        )
    lacking = [key for key in needed if key not in content]
    if lacking:
        raise DataError(f"{path} must have `{lacking[0]}`, but has not. Delete it and run {made_by} again.")
    return content


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Writes JSON so that a reader sees the old file or the new one, never a part."""
    write_atomically(path, as_json(content))


def as_json(content: Mapping[str, Any]) -> str:
    """The text of a JSON file as we write it."""
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def write_atomically(path: Path, content: str | bytes) -> None:
    """Writes a file through a temporary neighbour and a rename; text becomes UTF-8."""
    write_together({Path(path): content})


def write_together(contents: Mapping[Path, str | bytes]) -> None:
    """Writes files that belong together: none appears before all of them are on the disk.

    Raises
    ------
    OSError
        If the disk is full or refuses; it names the file, and all are as they were.
    """
    temporaries = {path: path.with_name(f".{path.name}.{os.getpid()}.tmp") for path in contents}
    try:
        for path, content in contents.items():
            _sweep(path)
            with temporaries[path].open("wb") as stream:
                stream.write(content.encode("utf-8") if isinstance(content, str) else content)
                stream.flush()
                os.fsync(stream.fileno())
        for path, temporary in temporaries.items():
            temporary.replace(path)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        for temporary in temporaries.values():
            temporary.unlink(missing_ok=True)


def _sweep(path: Path) -> None:
    """Deletes what killed processes left of their attempts to write this file."""
    for leftover in path.parent.glob(f".{escape(path.name)}.*.tmp"):
        writer = leftover.name.split(".")[-2]
        if writer.isdecimal() and not _is_running(int(writer)):
            leftover.unlink(missing_ok=True)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True  # another user's
    return True


@contextmanager
def locked(folder: Path, what: str, wait: bool = False, shared: bool = False) -> Iterator[None]:
    """Holds a folder for this process; the lock goes with the process, even a killed one.

    Arguments
    ---------
    folder : Path
        Made if it is missing; holds the lock file `.lock`.
    what : str
        What uses the folder, for the message, e.g. "run".
    wait : bool
        Whether to wait for another process that holds it, with a warning, in place of an error.
    shared : bool
        Whether others that share it may hold it at the same time.

    Raises
    ------
    ConfigError
        If another process holds it, and `wait` is False.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as stream:
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        try:
            fcntl.flock(stream, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if not wait:
                raise ConfigError(f"Another {what} is using {folder}. Wait for it, or choose another folder.") from None
            _logger.warning("Waiting for another %s that is using %s.", what, folder)
            fcntl.flock(stream, kind)
        # A data-loading process would hold it too, and for seconds after this one was killed.
        os.register_at_fork(after_in_child=stream.close)
        yield
