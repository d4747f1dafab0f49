"""Reads an audio file in blocks, as 16 kHz mono, and notes what a listener should know about it."""

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile
import torch
from torch import Tensor

from emorec_lobes.errors import DataError
from emorec_lobes.features.resampling import Resampler
from emorec_lobes.units import Seconds

Source = str | Path | bytes | BinaryIO

# Numbers decoded at a time, over all channels: what a header claims must not decide how much memory is taken.
_BLOCK_VALUES = 1 << 18
CLIPPED = 0.999  # of full scale
# What writers put into a wav header when they do not know the length yet.
_UNKNOWN_BYTES = 0x7FFF0000
_SHORTER = re.compile(r"^data : (\d+) \(should be (\d+)\)", re.MULTILINE)


class AudioReader:
    """An audio file, or a part of it; iterating decodes it once, in bounded memory.

    Arguments
    ---------
    source : str, Path, bytes or binary file
        wav, flac, mp3, ogg or whatever else libsndfile reads; any number of channels (their mean is taken). Of bytes
        and binary files the content counts.
    name : str, optional
        What errors call it; else its path.
    start, stop : float, optional
        Bounds of the part, in seconds of the file; only that part is decoded.
    max_duration_s : float, optional
        Longer files are refused: by their header, and if that lies, while decoding.

    Attributes
    ----------
    sample_rate_hz, num_channels : int
        Known once the first block is there; the others when iteration ends.
    num_samples, num_clipped : int
        Decoded samples a channel, and those of all channels at full scale.
    is_truncated : bool
        Whether the file ends before its header says.

    Example
    -------
    >>> stream = io.BytesIO()
    >>> soundfile.write(stream, np.zeros((8_000, 2)), 8_000, format="wav")
    >>> reader = AudioReader(stream.getvalue(), name="a recording")
    >>> sum(len(block) for block in reader), reader.sample_rate_hz, reader.num_channels
    (16000, 8000, 2)
    """

    def __init__(
        self,
        source: Source,
        name: str | None = None,
        start: Seconds | None = None,
        stop: Seconds | None = None,
        max_duration_s: Seconds | None = None,
    ) -> None:
        self._source = source
        self.name = name or (str(source) if isinstance(source, str | Path) else "the audio")
        self._start, self._stop, self._max_duration_s = start, stop, max_duration_s
        self.sample_rate_hz = self.num_channels = self.num_samples = self.num_clipped = 0
        self.is_truncated = False

    def __iter__(self) -> Iterator[Tensor]:
        """16 kHz mono blocks, (S,) float32.

        Raises
        ------
        DataError
            If the file is missing, unreadable or longer than allowed.
        """
        if isinstance(self._source, str | Path) and not Path(self._source).is_file():
            raise DataError(
                f"{self.name} must be an audio file, but does not exist. Restore it, or leave the utterance out."
            )
        try:
            with soundfile.SoundFile(self._opened()) as stream:
                self.sample_rate_hz, self.num_channels = stream.samplerate, stream.channels
                yield from self._blocks(stream)
        except (soundfile.SoundFileError, OSError, TypeError, ValueError) as error:
            reason = " ".join(str(error).split()).rstrip(".")
            raise DataError(
                f"{self.name} must be audio that libsndfile reads, but is not ({reason}). Convert it to wav or flac."
            ) from None

    def _opened(self) -> str | BinaryIO:
        if isinstance(self._source, bytes):
            return io.BytesIO(self._source)
        return str(self._source) if isinstance(self._source, Path) else self._source

    def _blocks(self, stream: soundfile.SoundFile) -> Iterator[Tensor]:
        resampler = self._resampler()
        wanted = self._wanted(stream)
        while (left := wanted - self.num_samples) > 0:
            count = min(left, max(1, _BLOCK_VALUES // self.num_channels))
            block = stream.read(count, dtype="float32", always_2d=True)  # (S, C)
            self.num_samples += len(block)
            self.num_clipped += int(np.count_nonzero(np.abs(block) >= CLIPPED))
            self._check_duration(self.num_samples)
            yield resampler.push(torch.from_numpy(block).mean(dim=1))  # (S, C) -> (S,)
            if len(block) < count:
                break
        self.is_truncated = self.num_samples < wanted or _is_cut(stream)
        yield resampler.finish()

    def _resampler(self) -> Resampler:
        try:
            return Resampler(self.sample_rate_hz)
        except DataError as error:
            raise DataError(f"{self.name}: {error}") from None

    def _wanted(self, stream: soundfile.SoundFile) -> int:
        """Goes to the first sample, and says how many there should be from there."""
        first = min(round((self._start or 0) * stream.samplerate), stream.frames)
        if first:
            stream.seek(first)
        last = stream.frames if self._stop is None else min(stream.frames, round(self._stop * stream.samplerate))
        self._check_duration(last - first)
        return last - first

    def _check_duration(self, num_samples: int) -> None:
        limit = self._max_duration_s
        if limit is not None and num_samples > limit * self.sample_rate_hz:
            raise DataError(
                f"{self.name} must last at most {limit:g} s, but has {num_samples / self.sample_rate_hz:.1f} s or more "
                "instead. Cut it, or allow more."
            )


def _is_cut(stream: soundfile.SoundFile) -> bool:
    """Whether a wav file has fewer bytes than its header says; libsndfile reads what there is and only logs it."""
    found = _SHORTER.search(stream.extra_info)
    return found is not None and int(found[2]) < int(found[1]) < _UNKNOWN_BYTES
