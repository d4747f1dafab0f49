"""Files in object stores, by their URLs: s3://, gs://, memory:// and whatever else fsspec knows."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from emorec_lobes.errors import DataError, UnavailableError

_MAX_BYTES = 2**30


def is_remote(path: object) -> bool:
    """Whether a path is a URL.

    Example
    -------
    >>> is_remote("s3://bucket/a.wav"), is_remote("recordings/a.wav")
    (True, False)
    """
    return "://" in str(path)


def read_remote(url: str) -> bytes:
    """The content of a file.

    Raises
    ------
    DataError
        If it cannot be read, or is larger than 1 GiB.
    UnavailableError
        If fsspec, or what it needs for such URLs, is not installed.

    Example
    -------
    >>> import fsspec
    >>> fsspec.filesystem("memory").pipe("/folder/a.wav", b"RIFF")
    >>> read_remote("memory://folder/a.wav")
    b'RIFF'
    """
    with _opened(url) as (system, path), system.open(path, "rb") as stream:
        content = stream.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise DataError(f"{url} must be at most 1 GiB, but is larger. Cut it.")
    return content


def remote_files(url: str) -> list[str] | None:
    """The files of a folder (all below it) or a pattern, sorted; None where the URL names a file or nothing.

    Raises
    ------
    DataError, UnavailableError
        As `read_remote`.

    Example
    -------
    >>> import fsspec
    >>> fsspec.filesystem("memory").pipe("/some/b/c.wav", b"RIFF")
    >>> remote_files("memory://some"), remote_files("memory://some/*/*.flac"), remote_files("memory://some/b/c.wav")
    (['memory:///some/b/c.wav'], [], None)
    """
    with _opened(url) as (system, path):
        if any(sign in url for sign in "*?[") and not system.exists(path):
            found = system.glob(path)
        elif system.isdir(path):
            found = system.find(path)
        else:
            return None
        return sorted(system.unstrip_protocol(each) for each in found)


@contextmanager
def _opened(url: str) -> Iterator[tuple[Any, str]]:
    """The file system of a URL and the path in it; what goes wrong there is one line."""
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        raise UnavailableError("`fsspec` is not installed, which URLs need. Run pip install fsspec.") from None
    try:
        yield url_to_fs(url)
    except ImportError as error:  # of the library behind a kind of URL
        raise UnavailableError(f"{url} cannot be read: {error}. Install that.") from None
    except Exception as error:  # each kind of store has its own
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{url} must be a file that can be read, but is not ({reason}). Check it.") from None
