"""Cuts a wave that arrives in parts into windows in which someone speaks, in memory that does not grow."""

from typing import NamedTuple

import torch
from torch import Tensor

from emorec_lobes.errors import ConfigError
from emorec_lobes.features.fbank import frame_energy
from emorec_lobes.features.vad import EnergyVAD, Frames
from emorec_lobes.units import MIN_SAMPLES, SAMPLE_RATE_HZ, Seconds

_FRAME, _HOP = 400, 160
# What the loudness of speech is judged by: the last half minute. -8 is -60 dBFS in a frame of 25 ms.
_MEMORY_S: Seconds = 30.0
_VAD = EnergyVAD(offset=0.0, floor=-8.0)
_SPOKEN_SHARE = 0.2  # of the frames of a stretch


class Window(NamedTuple):
    """A stretch of time, and the wave around it that is heard to judge it."""

    start_s: Seconds
    stop_s: Seconds
    wave: Tensor
    """(S,) at 16 kHz."""


class Windows:
    """Windows on a grid; what one is depends on the samples alone, and not on the parts in which they came.

    Each answers for the `shift_s` in its middle, so that the stretches cover all of the wave and never overlap. At both
    ends of the wave a window is shorter. A stretch is left out if nobody speaks: if few of its frames are louder than
    the mean of the last 30 s, and than -60 dBFS.

    Arguments
    ---------
    window_s : float
        What is heard at once.
    shift_s : float
        From one stretch to the next; at most `window_s`.

    Raises
    ------
    ConfigError
        If one of them is out of range.

    Example
    -------
    >>> windows = Windows(window_s=3.0, shift_s=1.0)
    >>> noise = torch.randn(50_000, generator=torch.Generator().manual_seed(0))
    >>> found = windows.push(noise) + windows.finish()
    >>> [(each.start_s, round(each.stop_s, 2), len(each.wave)) for each in found]
    [(0.0, 1.0, 32000), (1.0, 2.0, 48000), (2.0, 3.0, 34000), (3.0, 3.12, 18000)]
    """

    def __init__(self, window_s: Seconds, shift_s: Seconds) -> None:
        if not 0.1 <= shift_s <= window_s <= 60:
            raise ConfigError(
                f"`shift_s` must be from 0.1 to `window_s`, and that at most 60, but they are {shift_s} and {window_s} "
                "instead. Use 1 and 3."
            )
        self._shift = round(shift_s * SAMPLE_RATE_HZ / _HOP) * _HOP
        self._around = round((window_s - shift_s) / 2 * SAMPLE_RATE_HZ)
        self._held, self._first = torch.zeros(0), 0  # samples, and the number of the first of them
        self._energies, self._first_frame = torch.zeros(0), 0
        self._next = 0  # stretch
        self.num_samples = 0

    def push(self, samples: Tensor) -> list[Window]:
        """The windows that are complete with these samples, (S,) at 16 kHz."""
        self.num_samples += len(samples)
        self._held = torch.cat([self._held, samples])
        self._measure()
        found = []
        while (self._next + 1) * self._shift + self._around <= self.num_samples:
            found += self._take((self._next + 1) * self._shift)
        self._forget()
        return found

    def finish(self) -> list[Window]:
        """The windows up to the end, beyond which there is nothing."""
        found = []
        while self._next * self._shift < self.num_samples:
            found += self._take(min((self._next + 1) * self._shift, self.num_samples))
        return found

    def _take(self, stop: int) -> list[Window]:
        """The window of the next stretch, if someone speaks in it."""
        start = self._next * self._shift
        self._next += 1
        heard_from, heard_to = max(0, start - self._around), min(stop + self._around, self.num_samples)
        wave = self._held[heard_from - self._first : heard_to - self._first]
        if len(wave) < MIN_SAMPLES or not self._is_spoken(start, stop, heard_to):
            return []
        return [Window(start / SAMPLE_RATE_HZ, stop / SAMPLE_RATE_HZ, wave.clone())]  # a view would keep all it is of

    def _is_spoken(self, start: int, stop: int, known: int) -> bool:
        """Whether enough frames of a stretch are loud among those of the last half minute before `known`."""
        first = max(0, known - round(_MEMORY_S * SAMPLE_RATE_HZ)) // _HOP
        last = max(first, (known - _FRAME) // _HOP + 1)
        energies = self._energies[first - self._first_frame : last - self._first_frame].unsqueeze(0)
        if not energies.numel():
            return False
        real = torch.ones_like(energies, dtype=torch.bool)
        frames = Frames(torch.zeros(1, 0), energies, real, torch.arange(first, last) * _HOP + _FRAME // 2)
        kept = _VAD(frames)[0]
        of_stretch = kept[start // _HOP - first : max(start // _HOP + 1, stop // _HOP) - first]
        return bool(len(of_stretch)) and float(of_stretch.float().mean()) >= _SPOKEN_SHARE

    def _measure(self) -> None:
        """Log energies of the frames that have become complete."""
        begin = self._first_frame + len(self._energies)
        samples = self._held[begin * _HOP - self._first :]
        if len(samples) >= _FRAME:
            frames = samples.unfold(0, _FRAME, _HOP)
            self._energies = torch.cat([self._energies, frame_energy(frames).log()])

    def _forget(self) -> None:
        """Drops what no later window needs."""
        heard_from = max(0, self._next * self._shift - self._around)
        measured_to = (self._first_frame + len(self._energies)) * _HOP
        first = max(self._first, min(heard_from, measured_to, self.num_samples))
        self._held, self._first = self._held[first - self._first :].clone(), first
        frame = max(self._first_frame, heard_from // _HOP - round(_MEMORY_S * SAMPLE_RATE_HZ) // _HOP - 1)
        self._energies, self._first_frame = self._energies[frame - self._first_frame :].clone(), frame
