"""Samples at any rate -> 16 kHz: all at once, or chunk by chunk with the same result."""

import math

import numpy as np
import torch
from scipy.signal import resample_poly
from torch import Tensor
from torchaudio.functional import resample

from emorec_lobes.errors import DataError
from emorec_lobes.units import SAMPLE_RATE_HZ, Hertz, Seconds

# Below, nothing of a voice is left; above, no recorder goes, and a filter's size would be the file's to choose.
MIN_RATE_HZ, MAX_RATE_HZ = 1_000, 384_000

# torchaudio's default filter lets a tone 1 kHz above the new Nyquist through at -17 dB, this one at -44 dB.
_RESAMPLING = {
    "lowpass_filter_width": 64,
    "rolloff": 0.9475937167399596,
    "resampling_method": "sinc_interp_kaiser",
    "beta": 14.769656459379492,
}

# torchaudio's kernel has one row per phase: 160 at 44.1 kHz, but 16 000 (gigabytes) at 44 101 Hz.
_MAX_PHASES = 640
_POLY_WIDTH = 10  # half of resample_poly's filter, in samples of the lower of both rates


def to_16_khz(wave: Tensor, sample_rate_hz: Hertz) -> Tensor:
    """The whole of a wave at 16 kHz: (S,) -> (S',)."""
    if sample_rate_hz == SAMPLE_RATE_HZ or not len(wave):
        return wave
    rate = int(sample_rate_hz)
    if SAMPLE_RATE_HZ // math.gcd(rate, SAMPLE_RATE_HZ) <= _MAX_PHASES:
        return resample(wave, rate, SAMPLE_RATE_HZ, **_RESAMPLING)
    return torch.from_numpy(resample_poly(wave.numpy(), SAMPLE_RATE_HZ, rate).astype(np.float32))


class Resampler:
    """Takes a wave in chunks and gives it at 16 kHz, in memory that does not grow; joined, the parts are the whole.

    Arguments
    ---------
    sample_rate_hz : int
        Of what comes in.

    Raises
    ------
    DataError
        If the rate is out of range.

    Example
    -------
    >>> resampler = Resampler(48_000)
    >>> parts = [resampler.push(torch.zeros(30_000)), resampler.push(torch.zeros(18_000)), resampler.finish()]
    >>> sum(len(part) for part in parts)
    16000
    """

    def __init__(self, sample_rate_hz: Hertz) -> None:
        if not MIN_RATE_HZ <= sample_rate_hz <= MAX_RATE_HZ:
            raise DataError(
                f"The sample rate must be from {MIN_RATE_HZ} to {MAX_RATE_HZ} Hz, but is {sample_rate_hz} instead. "
                "Convert the audio to 16000 Hz."
            )
        self.sample_rate_hz = int(sample_rate_hz)
        shared = math.gcd(self.sample_rate_hz, SAMPLE_RATE_HZ)
        # So many samples in make so many out, and the filter stands at the same phase again.
        self._step, self._made = self.sample_rate_hz // shared, SAMPLE_RATE_HZ // shared
        self._context = 0 if self._step == self._made else math.ceil(self._reach() / self._step) * self._step
        self._held = torch.zeros(0)
        self._done = 0  # of `held`: kept only as context of what follows

    @property
    def delay_s(self) -> Seconds:
        """How much of the wave must follow a sample before it comes out, at most."""
        return 0.0 if not self._context else (self._context + self._step) / self.sample_rate_hz

    def push(self, chunk: Tensor) -> Tensor:
        """What can be said at 16 kHz now that this chunk is known: (S,) -> (S',), perhaps none."""
        if not self._context:
            return chunk
        held = torch.cat([self._held, chunk])
        ready = (len(held) - self._context) // self._step * self._step
        if ready <= self._done:
            self._held = held
            return chunk.new_zeros(0)
        out = self._at_16_khz(held[: ready + self._context])[: ready // self._step * self._made]
        out = out[self._done // self._step * self._made :]
        first = max(0, ready - self._context)
        self._held, self._done = held[first:].clone(), ready - first  # a view would keep the whole chunk
        return out

    def finish(self) -> Tensor:
        """The rest, beyond which there is nothing."""
        out = self._at_16_khz(self._held)[self._done // self._step * self._made :]
        self._held, self._done = self._held[:0], 0
        return out

    def _at_16_khz(self, wave: Tensor) -> Tensor:
        return to_16_khz(wave, self.sample_rate_hz)

    def _reach(self) -> int:
        """Samples on either side that an output sample may depend on."""
        if self._made > _MAX_PHASES:
            return math.ceil(_POLY_WIDTH * max(self._step, self._made) / self._made) + 1
        lower = min(self._step, self._made) * _RESAMPLING["rolloff"]
        return math.ceil(_RESAMPLING["lowpass_filter_width"] * self._step / lower) + 1
