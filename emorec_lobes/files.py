"""Files that are written whole or not at all, and folders that one run at a time may use."""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from emorec_lobes.errors import ConfigError, DataError


def read_json(path: Path, made_by: str) -> Mapping[str, Any]:
    """Reads a JSON object; a missing or broken file is one clear line."""
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{path} does not exist. Make it with `{made_by}`.") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is not valid JSON ({error}). Make it again with `{made_by}`.") from None
    if not isinstance(content, dict):
        raise DataError(f"{path} must hold a JSON object, but holds a {type(content).__name__} instead.")
    return content


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Writes JSON so that a reader sees the old file or the new one, never a part."""
    write_atomically(path, json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def write_atomically(path: Path, content: str | bytes) -> None:
    """Writes a file through a temporary neighbour and a rename; text becomes UTF-8."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as stream:
            stream.write(content.encode("utf-8") if isinstance(content, str) else content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def locked(folder: Path, what: str) -> Iterator[None]:
    """Holds a folder for this process; the lock goes with the process, even a killed one.

    Arguments
    ---------
    folder : Path
        Made if it is missing; holds the lock file `.lock`.
    what : str
        What uses the folder, for the message, e.g. "run".

    Raises
    ------
    ConfigError
        If another process holds it.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(f"Another {what} is using {folder}. Wait for it, or choose another folder.") from None
        yield
