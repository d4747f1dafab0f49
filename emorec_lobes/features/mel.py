"""The mel spectrogram that the decoder reconstructs, and that stands in for an encoder in an ablation."""

from typing import Any

import numpy as np
import torch
from scipy.signal import butter, filtfilt
from torch import Tensor
from torchaudio.functional import melscale_fbanks

from emorec_lobes.units import HOP_SAMPLES, SAMPLE_RATE_HZ, Hertz

NUM_MELS = 80

_WINDOW_SAMPLES = 400
_HIGH_PASS_HZ: Hertz = 30.0
_HIGH_PASS_ORDER = 5
_MIN_HZ: Hertz = 90.0
_MAX_HZ: Hertz = 7_600.0
_FLOOR = 1e-5
_REFERENCE_DB = 16.0
_RANGE_DB = 100.0


class MelSpectrogram:
    """Log-mel magnitudes scaled to [0, 1], on the 20 ms grid.

    Rumble is removed by a Butterworth high-pass run forwards and backwards (no phase shift);
    then magnitudes of a 25 ms Hann window, 80 Slaney filters from 90 to 7600 Hz, decibels.

    Source: Makiuchi 2021, section 3.2, with the constants of the authors' code.
    Deviates: nothing.

    Example
    -------
    >>> mel = MelSpectrogram()
    >>> mel(torch.randn(16_000)).shape
    torch.Size([51, 80])
    """

    def __init__(self) -> None:
        self._numerator, self._denominator = butter(_HIGH_PASS_ORDER, _HIGH_PASS_HZ, btype="high", fs=SAMPLE_RATE_HZ)
        self._window = torch.hann_window(_WINDOW_SAMPLES, periodic=True)
        num_bins = _WINDOW_SAMPLES // 2 + 1
        self._filters = melscale_fbanks(  # (F, M)
            num_bins, _MIN_HZ, _MAX_HZ, NUM_MELS, SAMPLE_RATE_HZ, norm="slaney", mel_scale="slaney"
        )

    @property
    def identity(self) -> dict[str, Any]:
        """What decides the values; part of the store's fingerprint."""
        return {
            "version": 1,
            "num_mels": NUM_MELS,
            "window_samples": _WINDOW_SAMPLES,
            "hop_samples": HOP_SAMPLES,
            "band_hz": [_MIN_HZ, _MAX_HZ],
            "high_pass_hz": _HIGH_PASS_HZ,
            "range_db": [_REFERENCE_DB - _RANGE_DB, _REFERENCE_DB],
        }

    def __call__(self, wave: Tensor) -> Tensor:
        """Mel spectrogram of a whole utterance.

        Arguments
        ---------
        wave : torch.Tensor, (S,), float32
            16 kHz, at least 400 samples.

        Returns
        -------
        torch.Tensor, (T, M), float32
            In [0, 1]; T = S // 320 + 1, M = 80.
        """
        still = filtfilt(self._numerator, self._denominator, wave.numpy().astype(np.float64))
        spectrum = torch.stft(
            torch.from_numpy(still.astype(np.float32)),
            n_fft=_WINDOW_SAMPLES,
            hop_length=HOP_SAMPLES,
            window=self._window,
            center=True,
            pad_mode="reflect",
            return_complex=True,
        )  # (F, T)
        mel = spectrum.abs().T @ self._filters  # (F, T) -> (T, F) -> (T, M)
        decibels = 20 * torch.log10(mel.clamp_min(_FLOOR)) - _REFERENCE_DB
        return ((decibels + _RANGE_DB) / _RANGE_DB).clamp(0, 1)
