"""Hugging Face models at half precision or with matrices of int8: faster where the processor multiplies such, and less
exact."""

import sys
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrize

from emorec_lobes.errors import ConfigError, UnavailableError, not_one_of
from emorec_lobes.features.store_values import quantised
from emorec_lobes.units import SAMPLE_RATE_HZ

FP32, BF16, INT8 = "fp32", "bf16", "int8"
PRECISIONS = (FP32, BF16)
# What may answer, but is too coarse for features that are stored and trained on.
ANSWERING = (*PRECISIONS, INT8)

# Frames of some seconds, of whose products the layout of matrices is to be the best.
_USUAL_ROWS = 256
# Of a forward on a CPU, padding included. Some seconds keep its matrices busy; beyond, what it computes fits no cache
# and comes from ever new memory, which the system clears first. At bf16 matrices are busy only with more.
_CPU_SAMPLES = {FP32: 8 * SAMPLE_RATE_HZ, BF16: 32 * SAMPLE_RATE_HZ, INT8: 8 * SAMPLE_RATE_HZ}
# Modules of transformers that take the weights out of their parts and multiply by themselves.
_READ_WEIGHTS = ("WavLMAttention",)


class Precise(nn.Module):
    """A model at a precision: `bf16` is for its matrices and convolutions, while sums stay at `fp32`; `int8` is for its
    matrices, on a CPU.

    Weights are converted once, what computes a weight anew at each call computes it for the last time, and the
    convolutions over waves become products of matrices, for which processors have faster instructions. On a CPU the
    matrices are also laid out once as those instructions take them.

    Arguments
    ---------
    model : torch.nn.Module
        Changed in place.
    precision : str
        `fp32`, `bf16` or `int8`.

    Raises
    ------
    ConfigError
        If there is no such precision, or not on the model's device.
    UnavailableError
        If the processor has no instructions for int8.

    Example
    -------
    >>> Precise(nn.Linear(4, 2), "bf16")(torch.zeros(3, 4)).dtype
    torch.bfloat16
    """

    def __init__(self, model: nn.Module, precision: str = FP32) -> None:
        super().__init__()
        if precision not in ANSWERING:
            raise ConfigError(not_one_of("precision", precision, ANSWERING))
        self.model = model.eval()
        self.is_bf16 = precision == BF16
        on_cpu = next(self.model.parameters()).device.type == "cpu"
        self.most_samples = _CPU_SAMPLES[precision] if on_cpu else sys.maxsize  # of a forward, for speed
        if precision != FP32:
            _convert(model, precision)

    def forward(self, waves: Tensor, **options: Any) -> Any:
        """What the model gives."""
        with torch.autocast(waves.device.type, torch.bfloat16, enabled=self.is_bf16):
            return self.model(waves, **options)


def _convert(model: nn.Module, precision: str) -> None:
    """Brings matrices and convolutions to bf16, or matrices to int8, in place."""
    device = next(model.parameters()).device.type
    if precision == INT8 and device != "cpu":
        raise ConfigError(f"`precision` must be {FP32} or {BF16} on {device}, but is {INT8} instead. Use --device cpu.")
    if precision == INT8 and not _sums_exactly():
        raise UnavailableError(
            f"`precision` {INT8} needs a processor with instructions that sum products of int8 exactly (VNNI), which "
            f"this one has not. Use {FP32}."
        )
    product = Matrix if precision == BF16 else Int8Matrix
    for module in list(model.modules()):
        if isinstance(module, nn.Linear | nn.Conv1d):
            if parametrize.is_parametrized(module, "weight"):
                parametrize.remove_parametrizations(module, "weight")
            if precision == BF16:
                module.to(torch.bfloat16)
    for module in list(model.modules()):
        if normalises_frames(getattr(module, "feature_extractor", None)):
            module.feature_extractor = MatrixConvolutions(module.feature_extractor, product)
        for name, child in list(module.named_children()):
            if type(child) is nn.Linear and type(module).__name__ not in _READ_WEIGHTS:
                setattr(module, name, product(child.weight, child.bias))


class Matrix(nn.Module):
    """A product with a constant matrix, which at bf16 a CPU is given in the layout that its instructions take.

    Arguments
    ---------
    weight : torch.Tensor, (E, D)
    bias : torch.Tensor, (E,), optional

    Example
    -------
    >>> layer = nn.Linear(4, 2).bfloat16()
    >>> inputs = torch.randn(3, 4).bfloat16()
    >>> torch.allclose(Matrix(layer.weight, layer.bias)(inputs), layer(inputs), atol=1e-2)
    True
    """

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        weight = weight.detach()
        self.dtype = weight.dtype
        self.is_packed = weight.device.type == "cpu" and self.dtype == torch.bfloat16 and _has_instructions()
        # No buffer: what is packed can be neither moved nor saved.
        self.weight = torch.ops.mkldnn._reorder_linear_weight(weight, _USUAL_ROWS) if self.is_packed else weight
        self.bias = None if bias is None else bias.detach()

    def forward(self, rows: Tensor) -> Tensor:
        """(..., D) -> (..., E)."""
        rows = rows.to(self.dtype)
        if self.is_packed:
            return torch.ops.mkldnn._linear_pointwise(rows, self.weight, self.bias, "none", [], "")
        return functional.linear(rows, self.weight, self.bias)


class Int8Matrix(nn.Module):
    """A product with a constant matrix in int8, with a scale for each of its rows and one for each row it is given.

    A row's answer is the same in any company: its sums are exact, and no other row sets its scale.

    Arguments
    ---------
    weight : torch.Tensor, (E, D)
    bias : torch.Tensor, (E,), optional

    Example
    -------
    >>> layer = nn.Linear(40, 2)
    >>> inputs = torch.randn(3, 40)
    >>> torch.allclose(Int8Matrix(layer.weight, layer.bias)(inputs), layer(inputs), atol=0.1)
    True
    """

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        rounded, scales = quantised(weight.detach().float())
        self.weight = rounded.T
        self.scales = scales  # (E,)
        self.bias = None if bias is None else bias.detach().float()

    def forward(self, rows: Tensor) -> Tensor:
        """(..., D) -> (..., E), float32."""
        rounded, scales = quantised(rows.float().reshape(-1, rows.shape[-1]))
        products = torch._int_mm(rounded, self.weight).float().mul_(scales.unsqueeze(1)).mul_(self.scales)
        if self.bias is not None:
            products += self.bias
        return products.view(*rows.shape[:-1], -1)


def _sums_exactly() -> bool:
    """Whether products of int8 are summed as they should be: older instructions stop at what 16 bits hold."""
    most = torch.full((32, 64), 127, dtype=torch.int8)
    return bool((torch._int_mm(most, most.T) == 127 * 127 * 64).all())


def _has_instructions() -> bool:
    """Whether torch comes with oneDNN, and the processor with what that needs for bf16."""
    return torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()


def normalises_frames(extractor: nn.Module | None) -> bool:
    """Whether a model's convolutions over waves are each followed by a norm over the channels of a frame."""
    layers = getattr(extractor, "conv_layers", ())
    return bool(layers) and all(isinstance(getattr(each, "layer_norm", None), nn.LayerNorm) for each in layers)


class MatrixConvolutions(nn.Module):
    """The convolutions of a model over waves, as products of matrices; the channels stand last all the way.

    Arguments
    ---------
    extractor : torch.nn.Module
        With `conv_layers`, each of `conv`, `layer_norm` and `activation`.
    product : type
        `Matrix` or `Int8Matrix`.

    Example
    -------
    >>> from transformers import Wav2Vec2Config, Wav2Vec2Model
    >>> config = Wav2Vec2Config(feat_extract_norm="layer", conv_dim=(8,) * 7, num_hidden_layers=1, hidden_size=96)
    >>> extractor = Wav2Vec2Model(config).feature_extractor
    >>> waves = torch.randn(2, 16_000)
    >>> torch.allclose(MatrixConvolutions(extractor)(waves), extractor(waves), atol=1e-4)
    True
    """

    def __init__(self, extractor: nn.Module, product: type[nn.Module] = Matrix) -> None:
        super().__init__()
        self.layers = extractor.conv_layers
        self.products = nn.ModuleList(
            product(each.conv.weight.permute(0, 2, 1).flatten(start_dim=1), each.conv.bias)  # (C', C, W) -> (C', W * C)
            for each in self.layers
        )

    def forward(self, waves: Tensor) -> Tensor:
        """(B, S) -> (B, C, T), as the extractor's own."""
        hidden = waves.unsqueeze(-1)  # (B, S) -> (B, S, 1)
        for layer, product in zip(self.layers, self.products, strict=True):
            frames = _frames(hidden, layer.conv.kernel_size[0], layer.conv.stride[0])
            hidden = layer.activation(layer.layer_norm(product(frames)))
        return hidden.transpose(1, 2)  # (B, T, C) -> (B, C, T)


def _frames(hidden: Tensor, width: int, stride: int) -> Tensor:
    """Neighbouring steps side by side: (B, T, C) -> (B, T', width * C)."""
    num_items, num_steps, channels = hidden.shape
    shape = (num_items, (num_steps - width) // stride + 1, width * channels)
    return hidden.contiguous().as_strided(shape, (num_steps * channels, stride * channels, 1))
