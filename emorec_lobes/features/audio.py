"""Audio files -> 16 kHz mono samples: the one way sound comes in."""

import hashlib

import torch
from torch import Tensor

from emorec_lobes.errors import DataError
from emorec_lobes.features.audio_reader import AudioReader, Source
from emorec_lobes.units import MIN_SAMPLES, Seconds


def load_audio(source: Source, start: Seconds | None = None, stop: Seconds | None = None) -> Tensor:
    """Decodes an audio file, or a part of it, to 16 kHz mono.

    Arguments
    ---------
    source : str, Path, bytes or binary file
        wav, flac, mp3, ogg or whatever else libsndfile reads; any rate, any number of channels
        (their mean is taken).
    start, stop : float, optional
        Bounds of the part, in seconds of the file; only that part is decoded.

    Returns
    -------
    torch.Tensor, (S,), float32
        Samples, in [-1, 1] for integer formats.

    Raises
    ------
    DataError
        If the file is missing or unreadable, or the part is empty, shorter than one analysis
        window (400 samples) or has samples that are not finite.

    Example
    -------
    >>> import io
    >>> import numpy as np
    >>> import soundfile
    >>> stream = io.BytesIO()
    >>> soundfile.write(stream, np.zeros((8_000, 2)), 8_000, format="wav")
    >>> load_audio(stream.getvalue(), start=0.5).shape
    torch.Size([8000])
    """
    part = (
        "" if start is None and stop is None else f" ({start or 0} s to {'its end' if stop is None else f'{stop} s'})"
    )
    reader = AudioReader(source, start=start, stop=stop)
    return checked_wave(torch.cat(list(reader)), f"{reader.name}{part}")


def checked_wave(wave: Tensor, name: str) -> Tensor:
    """A wave as it is, (S,).

    Raises
    ------
    DataError
        If it is shorter than one analysis window or has samples that are not finite.

    Example
    -------
    >>> checked_wave(torch.zeros(400), "a.wav").shape
    torch.Size([400])
    """
    if len(wave) < MIN_SAMPLES:
        raise DataError(
            f"{name} must hold at least {MIN_SAMPLES} samples at 16 kHz (0.025 s), but holds {len(wave)} "
            "instead. Leave the utterance out."
        )
    if not torch.isfinite(wave).all():
        raise DataError(f"{name} must hold finite samples, but has NaN or infinite ones. Convert it again.")
    return wave


def audio_hash(wave: Tensor) -> str:
    """Identity of decoded audio: two files with the same samples have the same hash.

    Arguments
    ---------
    wave : torch.Tensor, (S,), float32

    Returns
    -------
    str
        SHA-256, 64 hex digits.

    Example
    -------
    >>> audio_hash(torch.zeros(400)) == audio_hash(torch.zeros(400))
    True
    >>> audio_hash(torch.zeros(400)) == audio_hash(torch.zeros(401))
    False
    """
    return hashlib.sha256(wave.contiguous().numpy().tobytes()).hexdigest()
