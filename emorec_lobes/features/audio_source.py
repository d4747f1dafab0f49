"""Where an utterance's audio comes from: a file, or an object of a store."""

from pathlib import Path
from typing import Any

from torch import Tensor

from emorec_lobes.corpora.manifest import DATA_ROOT, Utterance, locate
from emorec_lobes.errors import DataError
from emorec_lobes.features.audio import audio_hash, load_audio
from emorec_lobes.scale.paths import is_remote, read_remote


def read_audio(utterance: Utterance, data_folder: Path) -> tuple[Tensor, str]:
    """The wave of an utterance, and its hash; from an object store where its path or the data folder is a URL."""
    url = _url(utterance, data_folder)
    if url is None:
        wave = load_audio(locate(utterance.wav, data_folder), utterance.start, utterance.stop)
        return wave, audio_hash(wave)
    content = read_remote(url)
    try:
        wave = load_audio(content, utterance.start, utterance.stop)
    except DataError as error:
        raise DataError(f"{url}: {error}") from None
    return wave, audio_hash(wave)


def audio_source(utterance: Utterance, data_folder: Path) -> tuple[Any, ...] | None:
    """What changes when an utterance's wave may have changed, cheap to find out; None if its file is gone.

    An object store is not asked, which would take a request an utterance: a URL is taken to hold what it held.
    """
    if _url(utterance, data_folder):
        return (utterance.wav, utterance.start, utterance.stop)
    audio = file_stamp(locate(utterance.wav, data_folder))
    return None if audio is None else (utterance.wav, *audio, utterance.start, utterance.stop)


def _url(utterance: Utterance, data_folder: Path | str) -> str | None:
    """Where the audio lies in an object store; None if it lies in a folder."""
    name = utterance.wav.replace(DATA_ROOT, str(data_folder))
    return name if is_remote(name) else None


def file_stamp(path: Path) -> tuple[int, int] | None:
    """Size in bytes and time of the last change in ns; None if there is no such file."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_size, stat.st_mtime_ns
