"""What an audio file's header says, checked before anything is built on it. Nothing is decoded."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import soundfile
from tqdm import tqdm

from emorec_lobes.corpora.manifest import Utterance, locate
from emorec_lobes.errors import DataError
from emorec_lobes.units import MIN_SAMPLES, SAMPLE_RATE_HZ, Hertz, Seconds

# A container may leave its length open; libsndfile then reports the largest integer.
_UNKNOWN_NUM_SAMPLES = 2**62

_BAR_AFTER_S: Seconds = 2.0


@dataclass(frozen=True)
class AudioInfo:
    """One audio file's header."""

    duration: Seconds
    sample_rate_hz: Hertz
    num_channels: int
    num_samples: int  # per channel, at `sample_rate_hz`


def probe(path: Path) -> AudioInfo:
    """Reads the header of an audio file.

    Arguments
    ---------
    path : Path
        wav, flac, mp3 or ogg; any rate, any number of channels.

    Returns
    -------
    AudioInfo

    Raises
    ------
    DataError
        If the file is missing, cannot be read, is empty, or is shorter than one analysis window
        (400 samples at 16 kHz).

    Example
    -------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     soundfile.write(Path(folder) / "a.wav", [[0.0, 0.0]] * 4_000, 8_000)
    ...     probe(Path(folder) / "a.wav")
    AudioInfo(duration=0.5, sample_rate_hz=8000, num_channels=2, num_samples=4000)
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path} must be an audio file, but does not exist. Restore it, or leave the utterance out.")
    if path.stat().st_size == 0:
        raise DataError(f"{path} must be an audio file, but has 0 bytes. Restore it, or leave the utterance out.")
    try:
        header = soundfile.info(str(path))
    except (soundfile.SoundFileError, OSError) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise DataError(
            f"{path} must be audio that libsndfile reads, but is not ({reason}). Convert it to wav or flac."
        ) from None
    if header.frames >= _UNKNOWN_NUM_SAMPLES:
        raise DataError(f"{path} must state its length in its header, but does not. Convert it to wav or flac.")
    if header.frames * SAMPLE_RATE_HZ < MIN_SAMPLES * header.samplerate:
        raise DataError(
            f"{path} must hold at least {MIN_SAMPLES / SAMPLE_RATE_HZ} s of audio, "
            f"but holds {header.frames / header.samplerate:.4f} s instead. Leave the utterance out."
        )
    return AudioInfo(header.frames / header.samplerate, header.samplerate, header.channels, header.frames)


def keep_existing(
    utterances: Sequence[Utterance], data_folder: Path, allow_incomplete: bool
) -> tuple[list[Utterance], list[str]]:
    """The utterances whose audio is there, and a warning about the others.

    Raises
    ------
    DataError
        If audio is missing and `allow_incomplete` is off; names the first file and how many.
    """
    kept = [item for item in utterances if locate(item.wav, data_folder).is_file()]
    if len(kept) == len(utterances):
        return kept, []
    there = {item.id for item in kept}
    first = next(locate(item.wav, data_folder) for item in utterances if item.id not in there)
    found = (
        f"{len(utterances) - len(kept)} of {len(utterances)} audio files are missing from {data_folder}, "
        f"the first is {first}"
    )
    if not allow_incomplete:
        raise DataError(f"{found}. Complete the corpus, or pass --allow-incomplete to leave them out.")
    return kept, [f"{found}; they are left out."]


def with_durations(utterances: Sequence[Utterance], data_folder: Path) -> list[Utterance]:
    """The utterances with `duration` as their audio's header states it.

    Raises
    ------
    DataError
        As `probe`, for the first file that will not do.
    """
    bar = tqdm(utterances, desc="audio headers", unit="file", delay=_BAR_AFTER_S, leave=False)
    return [replace(item, duration=probe(locate(item.wav, data_folder)).duration) for item in bar]
