"""Speech encoders behind one interface, by name: a Hugging Face model, `resemblyzer` or `mel`."""

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from emorec_lobes.errors import ConfigError, UnavailableError, not_one_of
from emorec_lobes.features import huggingface, resemblyzer
from emorec_lobes.features.huggingface import PADDINGS, HuggingFaceEncoder, check_sizes
from emorec_lobes.features.huggingface_folder import is_hub_id, locate_model
from emorec_lobes.features.huggingface_precision import ANSWERING, FP32, PRECISIONS
from emorec_lobes.features.mel import NUM_MELS, MelSpectrogram
from emorec_lobes.features.resemblyzer import ResemblyzerEncoder
from emorec_lobes.features.store import StoreHeader
from emorec_lobes.units import FRAME_SHIFT_S, SAMPLE_RATE_HZ, Seconds


class SpeechEncoder(Protocol):
    """What every encoder has."""

    num_layers: int
    dim: int
    frame_shift_s: Seconds

    @property
    def identity(self) -> dict[str, Any]:
        """What decides the values; part of the store's fingerprint."""

    def layers(self, wave: Tensor) -> Tensor:
        """16 kHz samples (S,) -> hidden states (T, L, D), T = S // 320 + 1."""

    def batch(self, waves: Sequence[Tensor]) -> list[Tensor]:
        """`layers` of several waves at once, each but for rounding what it gives alone."""


class MelEncoder:
    """The mel spectrogram in an encoder's place: one layer, 80 wide. The ablation of Makiuchi 2021.

    Example
    -------
    >>> MelEncoder().layers(torch.randn(16_000)).shape
    torch.Size([51, 1, 80])
    """

    num_layers: int = 1
    dim: int = NUM_MELS
    frame_shift_s: Seconds = FRAME_SHIFT_S

    def __init__(self) -> None:
        self._mel = MelSpectrogram()
        self.identity = self._mel.identity

    def layers(self, wave: Tensor) -> Tensor:
        """Mel spectrogram as a single layer: (S,) -> (T, 1, M)."""
        return self._mel(wave).unsqueeze(1)  # (T, M) -> (T, 1, M)

    def batch(self, waves: Sequence[Tensor]) -> list[Tensor]:
        """`layers` of each: a spectrogram gains nothing from company."""
        return [self.layers(wave) for wave in waves]


# How a store may keep layers; the first one unless it is told otherwise.
STORED_AS = ("float16", "int8")

# What needs no download: name -> (num_layers, encoder_dim).
BUILT_IN = {
    "resemblyzer": (resemblyzer.NUM_LAYERS, resemblyzer.DIM),
    "mel": (1, NUM_MELS),
}


def load_encoder(
    encoder: str,
    num_layers: int,
    encoder_dim: int,
    padding: str = "centred",
    device: str = "cpu",
    precision: str = FP32,
    kept_layers: int | None = None,
) -> SpeechEncoder:
    """Loads an encoder.

    Arguments
    ---------
    encoder : str
        `resemblyzer`, `mel`, a hub id ("facebook/wav2vec2-large-lv60") or a local folder.
    num_layers, encoder_dim : int
        L and D, which must be the encoder's own.
    padding : str
        `centred` or `authors`: how a Hugging Face encoder's input is padded.
    device : str
        Where it runs, e.g. "cpu", "cuda"; results come back on the CPU.
    precision : str
        Of a Hugging Face encoder's matrices: `fp32`, `bf16` or, for answers alone, `int8`.
    kept_layers : int, optional
        How many of the L layers are wanted, from the lowest on; what only the others need is not computed.

    Returns
    -------
    SpeechEncoder

    Raises
    ------
    ConfigError
        If a value is unknown or a size is not the encoder's.
    UnavailableError
        If the model or the device is not here.

    Example
    -------
    >>> load_encoder("resemblyzer", num_layers=3, encoder_dim=256).layers(torch.randn(8_000)).shape
    torch.Size([26, 3, 256])
    """
    _check(encoder, num_layers, encoder_dim, padding, precision, ANSWERING)
    check_device(device)
    kept = num_layers if kept_layers is None else kept_layers
    if not 1 <= kept <= num_layers:
        raise ConfigError(f"`kept_layers` must be 1 to {num_layers}, but is {kept} instead. Export the model again.")
    if encoder == "resemblyzer":
        return ResemblyzerEncoder(device, kept)
    if encoder == "mel":
        return MelEncoder()
    return HuggingFaceEncoder(encoder, num_layers, encoder_dim, padding, device, precision, kept)


def layers_header(
    encoder: str,
    num_layers: int,
    encoder_dim: int,
    padding: str = "centred",
    precision: str = FP32,
    dtype: str = STORED_AS[0],
) -> StoreHeader:
    """The store header of an encoder's layers, which a store keeps as `dtype`; reads files, but builds no model and
    asks no network.

    Raises
    ------
    ConfigError, UnavailableError
        As `load_encoder`, as far as it can be told without loading.
    """
    _check(encoder, num_layers, encoder_dim, padding, precision, PRECISIONS)
    if dtype not in STORED_AS:
        raise ConfigError(not_one_of("dtype", dtype, STORED_AS))
    if encoder == "resemblyzer":
        name, identity = encoder, resemblyzer.identity()
    elif encoder == "mel":
        name, identity = encoder, MelSpectrogram().identity
    elif is_hub_id(encoder):
        name, identity = encoder.replace("/", "--"), huggingface.identity(encoder, padding, precision)
    else:
        folder = locate_model(encoder)
        config = huggingface.read_config(folder)
        check_sizes(encoder, huggingface.sizes_of(config, folder), (num_layers, encoder_dim))
        name, identity = config.model_type, huggingface.identity(encoder, padding, precision)
    return StoreHeader(
        f"layers-{name}", identity, SAMPLE_RATE_HZ, FRAME_SHIFT_S, (int(num_layers), int(encoder_dim)), dtype
    )


def _check(
    encoder: str, num_layers: int, encoder_dim: int, padding: str, precision: str, precisions: Sequence[str]
) -> None:
    if padding not in PADDINGS:
        raise ConfigError(not_one_of("padding", padding, PADDINGS))
    if precision not in precisions:
        raise ConfigError(not_one_of("precision", precision, precisions))
    if encoder in BUILT_IN:
        check_sizes(encoder, BUILT_IN[encoder], (num_layers, encoder_dim))
        if precision != FP32:
            raise ConfigError(
                f"`precision` must be {FP32} with the encoder {encoder}, but is {precision!r}. Leave it out."
            )


def check_device(device: str) -> None:
    """Refuses a device that PyTorch does not know, or that this machine does not have."""
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = " ".join(str(error).strip().split("\n")[0].split())[:200]
        raise UnavailableError(f"`device` {device} cannot be used ({reason}). Use --device cpu.") from None
