"""Log mel filter banks with the frame's log energy, on batches of waves."""

from typing import Any

import torch
from torch import Tensor, nn

from emorec_lobes.errors import ConfigError, DataError
from emorec_lobes.lengths import frames_to_mask, lens_to_frames
from emorec_lobes.units import SAMPLE_RATE_HZ, Hertz

# Kaldi's. The floor is about the level of 16-bit rounding noise where waves are in [-1, 1].
_PRE_EMPHASIS = 0.97
_MIN_HZ: Hertz = 20.0
_FLOOR = torch.finfo(torch.float32).eps


class FilterBank(nn.Module):
    """Log energies of mel bands, and the log energy of the frame last, without padding at the ends.

    Every frame stands for itself: its mean is taken out, its energy is measured, then come pre-emphasis, a
    Hamming window and the power spectrum. What lies in the padding of a batch touches no other frame.

    Source: Xi 2022, section 3.1 (41 values, 40 ms Hamming window, 10 ms shift).
    Deviates: nothing; what the paper leaves open is as in Kaldi, without dither: natural logarithms, bands from 20 Hz
    to 8 kHz, pre-emphasis 0.97, energy of the raw frame. Waves stay in [-1, 1].

    Arguments
    ---------
    num_mels : int
    window_ms, hop_ms : float
        In whole samples at 16 kHz.

    Raises
    ------
    ConfigError
        If a window or hop is no whole number of samples, or a band is too narrow to hold a frequency.

    Example
    -------
    >>> bank = FilterBank(num_mels=40, window_ms=40.0, hop_ms=10.0)
    >>> bank(torch.randn(2, 16_000), torch.tensor([0.5, 1.0])).shape, bank.num_frames(16_000)
    (torch.Size([2, 97, 41]), 97)
    """

    def __init__(self, num_mels: int = 40, window_ms: float = 40.0, hop_ms: float = 10.0) -> None:
        super().__init__()
        self.num_mels = num_mels
        self.dim = num_mels + 1
        self.window_samples = to_samples("window_ms", window_ms)
        self.hop_samples = to_samples("hop_ms", hop_ms)
        self._fft_samples = 1 << (self.window_samples - 1).bit_length()
        window = torch.hamming_window(self.window_samples, periodic=False)
        self.register_buffer("_window", window, persistent=False)
        self.register_buffer("_filters", mel_filters(num_mels, self._fft_samples), persistent=False)  # (F, M)

    @property
    def identity(self) -> dict[str, Any]:
        """What decides the values; part of the store's fingerprint."""
        return {
            "bank_version": 1,
            "num_mels": self.num_mels,
            "window_samples": self.window_samples,
            "hop_samples": self.hop_samples,
            "min_hz": _MIN_HZ,
            "pre_emphasis": _PRE_EMPHASIS,
        }

    def num_frames(self, num_samples: int) -> int:
        """Frames of `num_samples` samples: those whose whole window is there."""
        return max(0, (num_samples - self.window_samples) // self.hop_samples + 1)

    def mask(self, lens: Tensor, num_samples: int) -> Tensor:
        """Which frames of a padded batch are real: (B,) relative lengths of its waves -> (B, T) bool."""
        samples = lens_to_frames(lens, num_samples)
        frames = torch.div(samples - self.window_samples, self.hop_samples, rounding_mode="floor") + 1
        return frames_to_mask(frames, self.num_frames(num_samples))

    def centres(self, num_frames: int) -> Tensor:
        """The sample in the middle of each frame, (T,)."""
        return torch.arange(num_frames) * self.hop_samples + self.window_samples // 2

    def forward(self, waves: Tensor, lens: Tensor | None = None) -> Tensor:
        """Features of a batch of waves.

        Arguments
        ---------
        waves : torch.Tensor, (B, S)
            16 kHz.
        lens : torch.Tensor, (B,), optional
            Relative lengths.

        Returns
        -------
        torch.Tensor, (B, T, M + 1), float32
            T = (S - window) // hop + 1; zeros in padded frames.

        Raises
        ------
        DataError
            If the waves are shorter than one window.
        """
        if waves.shape[1] < self.window_samples:
            raise DataError(
                f"`waves` must hold at least {self.window_samples} samples, one window, but hold {waves.shape[1]} "
                "instead. Leave them out, or set a shorter `window_ms`."
            )
        with torch.autocast(waves.device.type, enabled=False):  # no half precision where a brain trains in it
            features = self._features(waves.float())
        return features if lens is None else features * self.mask(lens, waves.shape[1]).unsqueeze(-1)

    def _features(self, waves: Tensor) -> Tensor:
        frames = waves.unfold(1, self.window_samples, self.hop_samples)  # (B, S) -> (B, T, window)
        frames = frames - frames.mean(dim=-1, keepdim=True)
        energy = frame_energy(frames).unsqueeze(-1)
        before = torch.cat([frames[..., :1], frames[..., :-1]], dim=-1)
        spectrum = torch.fft.rfft((frames - _PRE_EMPHASIS * before) * self._window, n=self._fft_samples)
        power = spectrum.real.square() + spectrum.imag.square()  # (B, T, F)
        return torch.cat([(power @ self._filters).clamp_min(_FLOOR), energy], dim=-1).log()


def frame_energy(frames: Tensor) -> Tensor:
    """Sum of squares of each frame, never below the floor: (..., samples) -> (...).

    Example
    -------
    >>> frame_energy(torch.full((3, 640), 0.5))
    tensor([160., 160., 160.])
    """
    return frames.square().sum(dim=-1).clamp_min(_FLOOR)


def to_samples(name: str, duration_ms: float) -> int:
    """Milliseconds -> samples at 16 kHz; `name` is the option they come from.

    Raises
    ------
    ConfigError
        If they are no whole number of samples, or none.

    Example
    -------
    >>> to_samples("window_ms", 40.0)
    640
    """
    samples = float(duration_ms) * SAMPLE_RATE_HZ / 1_000
    if not (samples >= 1 and samples.is_integer()):  # inf is none either
        raise ConfigError(
            f"`{name}` must be a whole number of samples at 16 kHz (multiples of 0.0625 ms), but is {duration_ms} "
            "instead. Use 40 for windows, 10 for hops."
        )
    return round(samples)


def mel_filters(num_mels: int, fft_samples: int) -> Tensor:
    """Triangles of height 1, evenly spaced and straight on the mel scale 1127 ln(1 + f / 700).

    Arguments
    ---------
    num_mels, fft_samples : int

    Returns
    -------
    torch.Tensor, (F, M), float32
        F = fft_samples // 2 + 1.

    Raises
    ------
    ConfigError
        If a band holds no frequency of the transform.

    Example
    -------
    >>> mel_filters(40, 1024).shape
    torch.Size([513, 40])
    """
    hertz = torch.arange(fft_samples // 2 + 1, dtype=torch.float64) * SAMPLE_RATE_HZ / fft_samples
    low, high = _mel(torch.tensor([_MIN_HZ, SAMPLE_RATE_HZ / 2], dtype=torch.float64)).tolist()
    edges = torch.linspace(low, high, num_mels + 2, dtype=torch.float64)
    rising = (_mel(hertz).unsqueeze(1) - edges[:-2]) / (edges[1:-1] - edges[:-2])  # (F, 1), (M,) -> (F, M)
    falling = (edges[2:] - _mel(hertz).unsqueeze(1)) / (edges[2:] - edges[1:-1])
    filters = torch.minimum(rising, falling).clamp_min(0)
    if num_mels < 1 or not filters.any(dim=0).all():
        raise ConfigError(
            f"`num_mels` must be 1 or more, and few enough that every band holds a frequency, but is {num_mels} "
            f"instead. Use 40, or a longer window than {fft_samples} samples."
        )
    return filters.float()


def _mel(hertz: Tensor) -> Tensor:
    return 1127 * torch.log1p(hertz / 700)
