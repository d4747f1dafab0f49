"""The hidden layers of Resemblyzer's speaker network: a pre-trained speech representation that needs no download.

Only the weights that Resemblyzer's wheel ships are used here, not its code, whose import
brings in a voice detector and an audio library that these layers have no use for.
"""

import hashlib
import importlib.util
import pickle
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from torchaudio.functional import melscale_fbanks

from emorec_lobes.errors import UnavailableError
from emorec_lobes.units import FRAME_SHIFT_S, HOP_SAMPLES, SAMPLE_RATE_HZ, Decibels, Seconds, num_frames

NUM_LAYERS = 3
DIM = 256

NUM_MELS = 40
WINDOW_SAMPLES = 400
MEL_HOP_SAMPLES = 160  # its own grid is 10 ms
LEVEL_DBFS: Decibels = -30.0


class ResemblyzerEncoder:
    """Three LSTM layers at 20 ms.

    The level is raised to -30 dBFS where it is lower, as in Resemblyzer; silences stay in, so
    that frames keep their time. The network runs at 10 ms, and every second frame is kept:
    those centred on multiples of 320 samples.

    Source: Wan et al. 2018, "Generalized end-to-end loss for speaker verification" (the network).
    Deviates: nothing.

    Arguments
    ---------
    device : str
        Where the network runs; results come back on the CPU.
    kept_layers : int
        How many layers are computed, from the lowest on.

    Raises
    ------
    UnavailableError
        If the resemblyzer wheel is not installed, or its weights do not fit.

    Example
    -------
    >>> encoder = ResemblyzerEncoder()
    >>> encoder.layers(torch.randn(16_000)).shape
    torch.Size([51, 3, 256])
    """

    dim: int = DIM
    frame_shift_s: Seconds = FRAME_SHIFT_S

    def __init__(self, device: str = "cpu", kept_layers: int = NUM_LAYERS) -> None:
        self.num_layers = kept_layers
        self.identity = identity()
        self._device = torch.device(device)
        self._lstms = pretrained_lstms()[:kept_layers].to(self._device)

    @torch.no_grad()
    def layers(self, wave: Tensor) -> Tensor:
        """Hidden states of the three layers.

        Arguments
        ---------
        wave : torch.Tensor, (S,), float32
            16 kHz.

        Returns
        -------
        torch.Tensor, (T, L, D), float32
            T = S // 320 + 1, L = 3, D = 256, in [-1, 1].
        """
        return self.batch([wave])[0]

    @torch.no_grad()
    def batch(self, waves: Sequence[Tensor]) -> list[Tensor]:
        """Hidden states of several waves, as `layers` gives them one by one, but for rounding."""
        # The network looks back only: padding, which follows, changes no real frame.
        hidden = pad_sequence([power_mels(raise_level(wave)) for wave in waves], batch_first=True)  # (B, T, M)
        hidden = hidden.to(self._device)
        states = []
        for lstm in self._lstms:
            hidden, _ = lstm(hidden)
            states.append(hidden[:, :: HOP_SAMPLES // MEL_HOP_SAMPLES])
        layers = torch.stack(states, dim=2).cpu()  # L x (B, T, D) -> (B, T, L, D)
        return [each[: num_frames(len(wave))] for each, wave in zip(layers, waves, strict=True)]


def power_mels(waves: Tensor) -> Tensor:
    """Power mel spectrogram at 10 ms, without a logarithm: (..., S) -> (..., S // 160 + 1, 40).

    Frames are centred on multiples of 160 samples, with zeros beyond the ends.

    Example
    -------
    >>> power_mels(torch.randn(2, 16_000)).shape
    torch.Size([2, 101, 40])
    """
    window, filters = (constant.to(waves.device) for constant in analysis())
    spectrum = torch.stft(
        waves,
        n_fft=WINDOW_SAMPLES,
        hop_length=MEL_HOP_SAMPLES,
        window=window,
        center=True,
        pad_mode="constant",
        return_complex=True,
    )  # (..., F, T)
    return spectrum.abs().square().mT @ filters  # (..., F, T) -> (..., T, F) -> (..., T, M)


@lru_cache(maxsize=1)
def analysis() -> tuple[Tensor, Tensor]:
    """Window (W,) and filters (F, M) of `power_mels`."""
    filters = melscale_fbanks(
        WINDOW_SAMPLES // 2 + 1,
        0.0,
        SAMPLE_RATE_HZ / 2,
        NUM_MELS,
        SAMPLE_RATE_HZ,
        norm="slaney",
        mel_scale="slaney",
    )
    return torch.hann_window(WINDOW_SAMPLES, periodic=True), filters


def raise_level(wave: Tensor) -> Tensor:
    """The wave at -30 dBFS if it is quieter, as it is otherwise; silence stays silence.

    Example
    -------
    >>> round(float(raise_level(torch.full((400,), 1e-3))[0]), 4)
    0.0316
    >>> float(raise_level(torch.full((400,), 0.5))[0])
    0.5
    """
    level = wave.double().square().mean().sqrt()
    target = 10 ** (LEVEL_DBFS / 20)
    return wave * float(target / level) if 0 < level < target else wave


def weights_file() -> Path:
    """Where the wheel keeps its weights; found without importing it.

    Raises
    ------
    UnavailableError
        If resemblyzer is not installed.
    """
    spec = importlib.util.find_spec("resemblyzer")
    path = Path(spec.origin).with_name("pretrained.pt") if spec and spec.origin else None
    if path is None or not path.is_file():
        raise UnavailableError(
            "`encoder` resemblyzer and speaker vectors need the weights in the resemblyzer wheel, which is not "
            "installed. Install it with `pip install resemblyzer`."
        )
    return path


def identity() -> dict[str, Any]:
    """What decides the values; part of the store's fingerprint. Reads the weights, builds nothing."""
    return {"version": 1, "weights": hashlib.sha256(weights_file().read_bytes()).hexdigest()[:16]}


def pretrained_lstms() -> nn.ModuleList:
    """The network's stacked LSTM as three single ones, so that every layer's output can be had.

    Returns
    -------
    torch.nn.ModuleList
        Three `nn.LSTM` with `batch_first`: 40 -> 256 -> 256 -> 256, in eval mode, their weights trainable.

    Raises
    ------
    UnavailableError
        If the resemblyzer wheel is not installed, or its weights do not fit.

    Example
    -------
    >>> [tuple(lstm.weight_ih_l0.shape) for lstm in pretrained_lstms()]
    [(1024, 40), (1024, 256), (1024, 256)]
    """
    path = weights_file()
    sizes = [NUM_MELS] + [DIM] * (NUM_LAYERS - 1)
    lstms = nn.ModuleList(nn.LSTM(size, DIM, batch_first=True) for size in sizes)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)["model_state"]
        for index, lstm in enumerate(lstms):
            suffix = f"_l{index}"
            mine = {
                key.removeprefix("lstm.").removesuffix(suffix) + "_l0": value
                for key, value in state.items()
                if key.startswith("lstm.") and key.endswith(suffix)
            }
            lstm.load_state_dict(mine, strict=True)
    except (pickle.UnpicklingError, RuntimeError, KeyError, EOFError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UnavailableError(
            f"{path} does not hold the weights of Resemblyzer's network ({reason}). Install it again with "
            "`pip install --force-reinstall resemblyzer`."
        ) from None
    return lstms.eval()
