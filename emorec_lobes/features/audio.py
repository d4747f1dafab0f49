"""Audio files -> 16 kHz mono samples: the one way sound comes in."""

import hashlib
import math
from pathlib import Path

import numpy as np
import soundfile
import torch
from scipy.signal import resample_poly
from torch import Tensor
from torchaudio.functional import resample

from emorec_lobes.errors import DataError
from emorec_lobes.units import MIN_SAMPLES, SAMPLE_RATE_HZ, Hertz, Seconds

# torchaudio's default filter lets a tone 1 kHz above the new Nyquist through at -17 dB, this one at -44 dB.
_RESAMPLING = {
    "lowpass_filter_width": 64,
    "rolloff": 0.9475937167399596,
    "resampling_method": "sinc_interp_kaiser",
    "beta": 14.769656459379492,
}

# torchaudio's kernel has one row per phase: 160 at 44.1 kHz, but 16 000 (gigabytes) at 44 101 Hz.
_MAX_PHASES = 640


def load_audio(path: Path, start: Seconds | None = None, stop: Seconds | None = None) -> Tensor:
    """Decodes an audio file, or a part of it, to 16 kHz mono.

    Arguments
    ---------
    path : Path
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
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     soundfile.write(Path(folder) / "a.wav", np.zeros((8_000, 2)), 8_000)
    ...     load_audio(Path(folder) / "a.wav", start=0.5).shape
    torch.Size([8000])
    """
    samples, sample_rate_hz = _decode(Path(path), start, stop)
    wave = _to_16_khz(torch.from_numpy(samples).mean(dim=1), sample_rate_hz)  # (S, C) -> (S,)
    part = (
        "" if start is None and stop is None else f" ({start or 0} s to {'its end' if stop is None else f'{stop} s'})"
    )
    if len(wave) < MIN_SAMPLES:
        raise DataError(
            f"{path}{part} must hold at least {MIN_SAMPLES} samples at 16 kHz (0.025 s), but holds {len(wave)} "
            "instead. Leave the utterance out."
        )
    if not torch.isfinite(wave).all():
        raise DataError(f"{path}{part} must hold finite samples, but has NaN or infinite ones. Convert it again.")
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


def _decode(path: Path, start: Seconds | None, stop: Seconds | None) -> tuple[np.ndarray, int]:
    """Samples (S, C) float32 and their rate."""
    if not path.is_file():
        raise DataError(f"{path} must be an audio file, but does not exist. Restore it, or leave the utterance out.")
    try:
        with soundfile.SoundFile(path) as stream:
            first = round((start or 0) * stream.samplerate)
            last = None if stop is None else round(stop * stream.samplerate)
            if first:
                stream.seek(min(first, stream.frames))
            count = -1 if last is None else max(0, last - first)
            return stream.read(count, dtype="float32", always_2d=True), stream.samplerate
    except (soundfile.SoundFileError, OSError, ValueError) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise DataError(
            f"{path} must be audio that libsndfile reads, but is not ({reason}). Convert it to wav or flac."
        ) from None


def _to_16_khz(wave: Tensor, sample_rate_hz: Hertz) -> Tensor:
    if sample_rate_hz == SAMPLE_RATE_HZ or not len(wave):
        return wave
    rate = int(sample_rate_hz)
    if SAMPLE_RATE_HZ // math.gcd(rate, SAMPLE_RATE_HZ) <= _MAX_PHASES:
        return resample(wave, rate, SAMPLE_RATE_HZ, **_RESAMPLING)
    return torch.from_numpy(resample_poly(wave.numpy(), SAMPLE_RATE_HZ, rate).astype(np.float32))
