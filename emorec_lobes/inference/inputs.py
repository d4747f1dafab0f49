"""What one can ask about: files, bytes and arrays become 16 kHz waves, with what a listener should know of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from emorec_lobes.errors import ConfigError, DataError
from emorec_lobes.features.audio import checked_wave
from emorec_lobes.features.audio_reader import CLIPPED, AudioReader
from emorec_lobes.features.resampling import Resampler
from emorec_lobes.units import SAMPLE_RATE_HZ, Hertz, Seconds

# Shorter speech says little; training corpora have next to none.
SHORT_S: Seconds = 0.5
# The share of samples at full scale from which a recording sounds distorted.
CLIPPED_SHARE = 1e-3
# 70 dB below full scale: no voice is there, or none that 16 bits could hold.
SILENT_PEAK = 10 ** (-70 / 20)

_MAX_CHANNELS = 64

Input = str | Path | bytes | np.ndarray | Tensor | Sequence[float]


@dataclass(frozen=True)
class Heard:
    """An utterance, ready for a model.

    Arguments
    ---------
    name : str
        What errors call it.
    wave : torch.Tensor, (S,)
        16 kHz; without a sample where there is only text.
    warnings : tuple of str
    duration_s : float or None
        Of the audio as it came; None where there is only text.
    """

    name: str
    wave: Tensor
    warnings: tuple[str, ...] = ()
    duration_s: Seconds | None = None

    @property
    def is_silent(self) -> bool:
        """Whether there is audio, and nothing in it."""
        return "silent" in self.warnings


def hear(source: Input, name: str, sample_rate_hz: Hertz | None, max_duration_s: Seconds) -> Heard:
    """Takes audio in.

    Arguments
    ---------
    source : path, bytes, array or tensor
        A file, its content, or samples: (S,), or with channels as the shorter axis; integers are scaled by their range.
    name : str
        What errors call it, unless it is a path.
    sample_rate_hz : int, optional
        Of samples; a file knows its own.
    max_duration_s : float

    Returns
    -------
    Heard

    Raises
    ------
    DataError
        If it cannot be used.

    Example
    -------
    >>> heard = hear(np.zeros(48_000, dtype=np.int16), "a recording", 48_000, max_duration_s=60)
    >>> len(heard.wave), heard.warnings
    (16000, ('resampled from 48000 Hz', 'silent'))
    """
    if isinstance(source, str | Path | bytes):
        reader = AudioReader(source, None if isinstance(source, str | Path) else name, max_duration_s=max_duration_s)
        wave = torch.cat(list(reader))
        if reader.is_truncated:
            raise DataError(f"{reader.name} ends before its header says: it is truncated. Get it again.")
        name, duration_s = reader.name, reader.num_samples / reader.sample_rate_hz
        warnings = warnings_of_file(reader)
    else:
        samples = as_samples(source, name)
        rate = _rate(sample_rate_hz, name)
        duration_s = samples.shape[0] / rate
        if duration_s > max_duration_s:
            raise DataError(f"{name} must last at most {max_duration_s:g} s, but has {duration_s:.1f} s. Cut it.")
        resampler = Resampler(rate)
        wave = torch.cat([resampler.push(samples.mean(dim=1)), resampler.finish()])  # (S, C) -> (S,)
        clipped = float((samples.abs() >= CLIPPED).float().mean()) if samples.numel() else 0.0
        warnings = _warnings(rate, samples.shape[1], clipped)
    wave = checked_wave(wave, name)
    return Heard(name, wave, (*warnings, *_of_wave(wave)), duration_s)


def utterances(
    inputs: Input | Heard | Sequence[Input | Heard] | None,
    text: str | Sequence[str | None] | None,
    hear_one: Callable[[Input, str], Heard],
    uses: tuple[bool, bool],
) -> tuple[list[Heard], list[str | None]]:
    """Brings inputs and texts, one or several of each, side by side.

    Arguments
    ---------
    inputs, text
        As `EmotionRecognizer.predict`.
    hear_one : callable
        Input and its name -> `Heard`.
    uses : (bool, bool)
        Whether the model hears, and whether it reads; what it has no use for becomes a warning.

    Returns
    -------
    list of Heard, list of str or None

    Raises
    ------
    ConfigError
        If there are not as many texts as inputs, or none of what the model needs.
    """
    items = list(inputs) if isinstance(inputs, list | tuple) else [inputs]
    texts = list(text) if isinstance(text, list | tuple) else [text]
    hears, reads = uses
    items = items * len(texts) if inputs is None else items
    texts = texts * len(items) if text is None else texts
    if len(texts) != len(items):
        raise ConfigError(f"`text` must be one for each of {len(items)} inputs, but is {len(texts)}. Give as many.")
    if (inputs is None and not reads) or (text is None and not hears):
        raise ConfigError(f"The model needs {'audio' if hears else 'a `text`'}, but was given none. Give it.")
    heard = []
    for index, (item, written) in enumerate(zip(items, texts, strict=True)):
        name = "the input" if len(items) == 1 else f"input {index}"
        each = item if isinstance(item, Heard) else Heard(name, torch.zeros(0))
        if hears and item is not None and not isinstance(item, Heard):
            each = hear_one(item, name)
        unused = {"audio not used": not hears and item is not None, "text not used": not reads and bool(written)}
        heard.append(replace(each, warnings=(*each.warnings, *(note for note, holds in unused.items() if holds))))
    return heard, texts


def as_samples(source: ArrayLike | Tensor, name: str) -> Tensor:
    """Samples of any numeric type, (S,) or with channels as the shorter axis -> (S, C) float32.

    Raises
    ------
    DataError
        If it is no such thing, or not finite.

    Example
    -------
    >>> as_samples(np.full((2, 400), 2**14, dtype=np.int16), "a recording")[0]
    tensor([0.5000, 0.5000])
    """
    array = source.detach().cpu().numpy() if isinstance(source, Tensor) else np.asarray(source)
    if array.dtype.kind not in "fiu" or array.ndim not in (1, 2):
        raise DataError(
            f"{name} must be a path, bytes or samples in one or two dimensions, but is {type(source).__name__} of "
            f"{array.dtype} in {array.ndim} instead. Give one of these."
        )
    if array.ndim == 1 or not array.size:
        array = array.reshape(-1, 1)
    elif array.shape[0] < array.shape[1]:
        array = array.T
    if array.shape[1] > _MAX_CHANNELS:
        raise DataError(f"{name} must have at most {_MAX_CHANNELS} channels, but has {array.shape[1]}. Give fewer.")
    if array.dtype.kind in "iu":
        info = np.iinfo(array.dtype)
        middle = 0 if array.dtype.kind == "i" else (int(info.max) + 1) // 2
        array = (array.astype(np.float64) - middle) / (int(info.max) + 1 - middle)
    samples = torch.from_numpy(np.array(array, dtype=np.float32))  # a copy: theirs may be changed, or not writable
    if not torch.isfinite(samples).all():
        raise DataError(f"{name} must hold finite samples, but has NaN or infinite ones. Convert it again.")
    return samples


def warnings_of_file(reader: AudioReader) -> tuple[str, ...]:
    """What a file that has been read was like, beyond its wave."""
    share = reader.num_clipped / max(1, reader.num_samples * reader.num_channels)
    return _warnings(reader.sample_rate_hz, reader.num_channels, share)


def _warnings(sample_rate_hz: Hertz, num_channels: int, clipped: float) -> tuple[str, ...]:
    notes = {
        f"resampled from {sample_rate_hz} Hz": sample_rate_hz != SAMPLE_RATE_HZ,
        f"mixed from {num_channels} channels": num_channels > 1,
        "clipped": clipped >= CLIPPED_SHARE,
    }
    return tuple(note for note, holds in notes.items() if holds)


def _of_wave(wave: Tensor) -> tuple[str, ...]:
    notes = {"too short": len(wave) < SHORT_S * SAMPLE_RATE_HZ, "silent": bool(wave.abs().max() < SILENT_PEAK)}
    return tuple(note for note, holds in notes.items() if holds)


def _rate(sample_rate_hz: Hertz | None, name: str) -> int:
    if sample_rate_hz is None:
        raise DataError(f"`sample_rate_hz` must be given with the samples of {name}. Say what it is.")
    return int(sample_rate_hz)
