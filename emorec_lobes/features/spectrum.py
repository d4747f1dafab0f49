"""Waves -> the spectral frames a network is trained on: energies, silences cut, mean taken out."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from emorec_lobes.errors import ConfigError, DataError, not_one_of
from emorec_lobes.features.fbank import FilterBank, frame_energy
from emorec_lobes.features.resemblyzer import MEL_HOP_SAMPLES, NUM_MELS, WINDOW_SAMPLES, power_mels, raise_level
from emorec_lobes.features.vad import Frames, build_vad
from emorec_lobes.lengths import frames_to_mask, lens_to_frames
from emorec_lobes.units import SAMPLE_RATE_HZ

FBANK = "fbank"
RESEMBLYZER = "resemblyzer"
KINDS = (FBANK, RESEMBLYZER)

_RESEMBLYZERS = {"num_mels": NUM_MELS, "window_ms": 25.0, "hop_ms": 10.0}


class Spectrum(nn.Module):
    """Spectral features of a padded batch of waves; each is what it would be alone.

    Source: Xi 2022, section 3.1.
    Deviates: nothing; detector and normalisation, which the paper leaves open, are options.

    Arguments
    ---------
    kind : str
        `fbank`: `FilterBank`, num_mels + 1 wide. `resemblyzer`: the power mels that Resemblyzer's network takes,
        40 wide, at its own level, window and hop.
    num_mels, window_ms, hop_ms
        As `FilterBank`.
    vad : str
        `none`, `energy` or `silero`; the frames it keeps are moved together.
    vad_options : mapping, optional
        Arguments of the detector, as `vad.build_vad`.
    subtract_mean : bool
        Whether each value's mean over the kept frames of an utterance is taken out.

    Raises
    ------
    ConfigError
        If an option cannot be used.

    Example
    -------
    >>> spectrum = Spectrum("fbank", 40, 40.0, 10.0, vad="none", subtract_mean=True)
    >>> features, lens = spectrum(torch.randn(2, 16_000), torch.tensor([0.5, 1.0]))
    >>> features.shape, lens
    (torch.Size([2, 97, 41]), tensor([0.4845, 1.0000]))
    """

    def __init__(
        self,
        kind: str,
        num_mels: int,
        window_ms: float,
        hop_ms: float,
        vad: str,
        vad_options: Mapping[str, float] | None = None,
        subtract_mean: bool = True,
    ) -> None:
        super().__init__()
        check_kind(kind, num_mels, window_ms, hop_ms)
        self.kind = kind
        self.vad_name = vad
        self.vad = build_vad(vad, vad_options or {})
        self.subtract_mean = subtract_mean
        self.bank = FilterBank(num_mels, window_ms, hop_ms) if kind == FBANK else ResemblyzerMels()

    @property
    def dim(self) -> int:
        """Values of a frame, M."""
        return self.bank.dim

    @property
    def identity(self) -> dict[str, Any]:
        """What decides the values; part of the store's fingerprint. Loads no weights."""
        return {
            "version": 1,
            "kind": self.kind,
            **self.bank.identity,
            "vad": self.vad_name if self.vad is None else self.vad.identity,
            "subtract_mean": bool(self.subtract_mean),
        }

    def forward(
        self, waves: Tensor, lens: Tensor | None = None, names: Sequence[object] | None = None
    ) -> tuple[Tensor, Tensor]:
        """Features of a batch of waves.

        Arguments
        ---------
        waves : torch.Tensor, (B, S)
            16 kHz.
        lens : torch.Tensor, (B,), optional
            Relative lengths.
        names : sequence, optional
            What an error calls the waves, e.g. their files.

        Returns
        -------
        features : torch.Tensor, (B, T, M), float32
            Zeros in padded frames; T of the utterance that keeps most.
        lens : torch.Tensor, (B,)
            Relative lengths of the features.

        Raises
        ------
        DataError
            If a wave is shorter than one window, or the detector keeps none of its frames.
        """
        lens = waves.new_ones(len(waves)) if lens is None else lens
        samples = lens_to_frames(lens, waves.shape[1])
        self._check_lengths(samples, names)
        waves = waves * frames_to_mask(samples, waves.shape[1])
        features = self.bank(waves, lens)
        kept = mask = self.bank.mask(lens, waves.shape[1])
        if self.vad is not None:
            energy = features[..., -1] if self.kind == FBANK else self.bank.log_energy(waves)
            kept = self.vad(Frames(waves, energy, mask, self.bank.centres(mask.shape[1]).to(waves.device)))
            self._check_kept(kept, mask, names)
        return self._moved_together(features, kept)

    def _moved_together(self, features: Tensor, kept: Tensor) -> tuple[Tensor, Tensor]:
        counts = kept.sum(dim=1)
        num_frames = int(counts.max())
        order = torch.sort(kept.int(), dim=1, descending=True, stable=True).indices[:, :num_frames]
        features = features.gather(1, order.unsqueeze(-1).expand(-1, -1, features.shape[-1]))
        mask = frames_to_mask(counts, num_frames).unsqueeze(-1)
        if self.subtract_mean:
            features = features - (features * mask).sum(dim=1, keepdim=True) / counts.view(-1, 1, 1)
        return features * mask, counts / num_frames

    def _check_lengths(self, samples: Tensor, names: Sequence[object] | None) -> None:
        window = self.bank.window_samples
        for index in torch.nonzero(samples < window).flatten().tolist()[:1]:
            raise DataError(
                f"{_name(names, index)} must hold at least one window, {window} samples at 16 kHz "
                f"({window / SAMPLE_RATE_HZ:g} s), but holds {int(samples[index])} instead. Leave the utterance out, "
                "or set a shorter `window_ms`."
            )

    def _check_kept(self, kept: Tensor, mask: Tensor, names: Sequence[object] | None) -> None:
        for index in torch.nonzero(~kept.any(dim=1)).flatten().tolist()[:1]:
            raise DataError(
                f"`vad` {self.vad_name} must keep a frame of {_name(names, index)}, but removes all "
                f"{int(mask[index].sum())}. Use `--vad none` or another threshold in `vad_options`, or leave the "
                "utterance out."
            )


class ResemblyzerMels(nn.Module):
    """Resemblyzer's power mels of a batch: what its pre-trained network takes. A sibling of `FilterBank`.

    Source: Wan et al. 2018, "Generalized end-to-end loss for speaker verification", and Resemblyzer.
    Deviates: nothing.

    Example
    -------
    >>> ResemblyzerMels()(torch.randn(2, 16_000), torch.tensor([0.5, 1.0])).shape
    torch.Size([2, 101, 40])
    """

    window_samples: int = WINDOW_SAMPLES
    dim: int = NUM_MELS

    @property
    def identity(self) -> dict[str, Any]:
        """What decides the values; part of the store's fingerprint."""
        return {"bank_version": 1}

    def mask(self, lens: Tensor, num_samples: int) -> Tensor:
        """Which frames of a padded batch are real: (B,) relative lengths of its waves -> (B, T) bool."""
        frames = lens_to_frames(lens, num_samples) // MEL_HOP_SAMPLES + 1
        return frames_to_mask(frames, num_samples // MEL_HOP_SAMPLES + 1)

    def centres(self, num_frames: int) -> Tensor:
        """The sample in the middle of each frame, (T,)."""
        return torch.arange(num_frames) * MEL_HOP_SAMPLES

    def log_energy(self, waves: Tensor) -> Tensor:
        """Log energy of each frame: (B, S) -> (B, T)."""
        half = WINDOW_SAMPLES // 2
        frames = nn.functional.pad(waves, (half, half)).unfold(1, WINDOW_SAMPLES, MEL_HOP_SAMPLES)
        return frame_energy(frames - frames.mean(dim=-1, keepdim=True)).log()

    def forward(self, waves: Tensor, lens: Tensor | None = None) -> Tensor:
        """Features of a batch of waves, each raised to its own level: (B, S) -> (B, T, 40)."""
        lens = waves.new_ones(len(waves)) if lens is None else lens
        samples = lens_to_frames(lens, waves.shape[1]).tolist()
        raised = [raise_level(wave[:count]) for wave, count in zip(waves.float(), samples, strict=True)]
        levelled = pad_sequence(raised, batch_first=True)  # B x (S,) -> (B, longest)
        levelled = nn.functional.pad(levelled, (0, waves.shape[1] - levelled.shape[1]))
        return power_mels(levelled) * self.mask(lens, waves.shape[1]).unsqueeze(-1)


def check_kind(kind: str, num_mels: int, window_ms: float, hop_ms: float) -> None:
    """Refuses a kind that does not exist, and sizes that Resemblyzer's network does not have.

    Raises
    ------
    ConfigError

    Example
    -------
    >>> check_kind("resemblyzer", 40, 25.0, 10.0)
    """
    if kind not in KINDS:
        raise ConfigError(not_one_of("features", kind, KINDS))
    given = {"num_mels": num_mels, "window_ms": window_ms, "hop_ms": hop_ms}
    for name, value in given.items():
        if kind == RESEMBLYZER and value != _RESEMBLYZERS[name]:
            raise ConfigError(
                f"`{name}` must be {_RESEMBLYZERS[name]:g} where `features` is resemblyzer, but is {value} instead. "
                "Set what its network was trained on."
            )


def _name(names: Sequence[object] | None, index: int) -> str:
    return f"wave {index} of the batch" if names is None else str(names[index])
