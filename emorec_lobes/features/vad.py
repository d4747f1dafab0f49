"""Which frames hold speech: by their energy, or by the network of silero-vad."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from emorec_lobes.errors import ConfigError, not_one_of
from emorec_lobes.features import silero


class Frames(NamedTuple):
    """What a detector may look at.

    Arguments
    ---------
    waves : torch.Tensor, (B, S)
        16 kHz, zeros after their ends.
    log_energy : torch.Tensor, (B, T)
        Natural logarithm of each frame's sum of squares.
    mask : torch.Tensor, (B, T), bool
        Real frames.
    centres : torch.Tensor, (T,), int64
        The sample in the middle of each frame.
    """

    waves: Tensor
    log_energy: Tensor
    mask: Tensor
    centres: Tensor


@dataclass(frozen=True)
class EnergyVAD:
    """Keeps frames that are loud compared to the mean of their utterance.

    A frame is loud if its log energy exceeds that mean by `offset`, and `floor`. It is kept if of the frames around
    it enough are loud, so that short gaps stay in and clicks go.

    Source: Kaldi's `compute-vad` (mean, context and proportion).
    Deviates: the mean counts in full instead of by half, so that a louder recording keeps the same frames; the
    absolute threshold is a floor instead.

    Arguments
    ---------
    offset : float
        Natural logarithm: -2.3 is 10 dB below the mean.
    floor : float
        Log energy that is silence whatever the mean: -12 is -80 dBFS in a window of 40 ms.
    context_frames : int
        Frames on each side that are looked at.
    proportion : float
        Share of them, the frame included, that must be loud; in (0, 1].

    Example
    -------
    >>> vad = EnergyVAD(offset=0.0, context_frames=1, proportion=0.5)
    >>> loud = torch.tensor([[-9.0, -9.0, 3.0, 3.0, 3.0, -9.0]])
    >>> vad(Frames(torch.zeros(1, 960), loud, torch.ones(1, 6, dtype=torch.bool), torch.arange(6))).int()
    tensor([[0, 0, 1, 1, 1, 1]], dtype=torch.int32)
    """

    offset: float = -2.0
    floor: float = -12.0
    context_frames: int = 5
    proportion: float = 0.3

    def __post_init__(self) -> None:
        _check_smoothing(self.context_frames, self.proportion)

    @property
    def identity(self) -> dict[str, Any]:
        """What decides which frames are kept; part of the store's fingerprint."""
        return {"name": "energy", "version": 1, **asdict(self)}

    def __call__(self, frames: Frames) -> Tensor:
        """Frames to keep: (B, T) bool."""
        energy = frames.log_energy * frames.mask
        mean = energy.sum(dim=1) / frames.mask.sum(dim=1)
        loud = frames.log_energy > (mean + self.offset).clamp_min(self.floor).unsqueeze(1)
        return smooth(loud, frames.mask, self.context_frames, self.proportion)


@dataclass(frozen=True)
class SileroVAD:
    """Keeps frames in which the network of silero-vad hears speech.

    Each frame takes the probability of the 32 ms that its centre lies in; then as `EnergyVAD` smooths.

    Source: the wheel `silero-vad`, its weights for 16 kHz.
    Deviates: the library's own rules on the lengths of speech and silence are replaced by the smoothing.

    Arguments
    ---------
    threshold : float
        Least probability of speech, in (0, 1).
    context_frames, proportion
        As `EnergyVAD`.

    Raises
    ------
    UnavailableError
        When called, if the wheel is not installed.

    Example
    -------
    >>> SileroVAD().identity["threshold"]
    0.5
    """

    threshold: float = 0.5
    context_frames: int = 5
    proportion: float = 0.3

    def __post_init__(self) -> None:
        _check_smoothing(self.context_frames, self.proportion)

    @property
    def identity(self) -> dict[str, Any]:
        """What decides which frames are kept; the wheel need not be here."""
        return {"name": "silero", "version": 1, "weights": silero.SHA256[:16], **asdict(self)}

    def __call__(self, frames: Frames) -> Tensor:
        """Frames to keep: (B, T) bool."""
        network = silero.load_network(str(frames.waves.device))
        with torch.no_grad():
            probabilities = network(frames.waves)  # (B, N)
        chunks = (frames.centres // silero.CHUNK_SAMPLES).clamp(max=probabilities.shape[1] - 1)
        speech = probabilities[:, chunks] >= self.threshold  # (B, N) -> (B, T)
        return smooth(speech, frames.mask, self.context_frames, self.proportion)


VADS = {"none": None, "energy": EnergyVAD, "silero": SileroVAD}


def build_vad(name: str, options: Mapping[str, float]) -> EnergyVAD | SileroVAD | None:
    """The detector of that name; loads no weights.

    Arguments
    ---------
    name : str
        `none`, `energy` or `silero`.
    options : mapping
        Those of its arguments that shall not have their defaults.

    Returns
    -------
    EnergyVAD, SileroVAD or None

    Raises
    ------
    ConfigError
        If there is no such detector, or it has no such option.

    Example
    -------
    >>> build_vad("energy", {"context_frames": 2}).context_frames
    2
    """
    if name not in VADS:
        raise ConfigError(not_one_of("vad", name, VADS))
    if not isinstance(options, Mapping):
        raise ConfigError(f"`vad_options` must be a mapping, but is {options!r} instead. Write e.g. {{offset: -3}}.")
    kind = VADS[name]
    known = {item.name: item.type for item in fields(kind)} if kind else {}
    for key, value in options.items():
        if key not in known:
            raise ConfigError(
                not_one_of("vad_options", key, known)
                if known
                else f"`vad_options` must be empty where `vad` is none, but has {key!r}. Leave it out."
            )
        if not isinstance(value, int | float) or (known[key] is int and not float(value).is_integer()):
            kind_of = "a whole number" if known[key] is int else "a number"
            raise ConfigError(f"`{key}` of `vad_options` must be {kind_of}, but is {value!r} instead. Give one.")
    return kind(**{key: known[key](value) for key, value in options.items()}) if kind else None


def smooth(found: Tensor, mask: Tensor, context_frames: int, proportion: float) -> Tensor:
    """Keeps a frame if enough of the real frames around it were found.

    Arguments
    ---------
    found, mask : torch.Tensor, (B, T), bool
    context_frames : int
        On each side.
    proportion : float
        Least share of the real ones among them, the frame included.

    Returns
    -------
    torch.Tensor, (B, T), bool

    Example
    -------
    >>> found = torch.tensor([[True, False, True, False, False]])
    >>> smooth(found, torch.ones_like(found), context_frames=1, proportion=0.5).int()
    tensor([[1, 1, 0, 0, 0]], dtype=torch.int32)
    """
    both = torch.stack([found & mask, mask], dim=1).float()  # (B, 2, T)
    share, real = functional.avg_pool1d(both, 2 * context_frames + 1, stride=1, padding=context_frames).unbind(dim=1)
    return mask & (share >= proportion * real - 1e-6)  # 3 of 5 are 0.6 of them in spite of rounding


def _check_smoothing(context_frames: int, proportion: float) -> None:
    if context_frames < 0:
        raise ConfigError(f"`context_frames` must be 0 or more, but is {context_frames} instead. Use 0 for none.")
    if not 0 < proportion <= 1:
        raise ConfigError(f"`proportion` must be above 0 and at most 1, but is {proportion} instead. Use 0.3.")
