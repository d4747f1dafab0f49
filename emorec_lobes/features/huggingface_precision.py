"""Hugging Face models at half precision: faster where the processor multiplies bf16 matrices, and less exact."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrize

from emorec_lobes.errors import ConfigError, not_one_of

FP32, BF16 = "fp32", "bf16"
PRECISIONS = (FP32, BF16)


class Precise(nn.Module):
    """A model at a precision: `bf16` is for its matrices and convolutions, while sums stay at `fp32`.

    Weights are converted once, what computes a weight anew at each call computes it for the last time, and the
    convolutions over waves become products of matrices, for which processors have faster instructions.

    Arguments
    ---------
    model : torch.nn.Module
        Changed in place.
    precision : str
        `fp32` or `bf16`.

    Raises
    ------
    ConfigError
        If there is no such precision.

    Example
    -------
    >>> Precise(nn.Linear(4, 2), "bf16")(torch.zeros(3, 4)).dtype
    torch.bfloat16
    """

    def __init__(self, model: nn.Module, precision: str = FP32) -> None:
        super().__init__()
        if precision not in PRECISIONS:
            raise ConfigError(not_one_of("precision", precision, PRECISIONS))
        self.model = model.eval()
        self.is_bf16 = precision == BF16
        for module in list(model.modules()) if self.is_bf16 else ():
            if isinstance(module, nn.Linear | nn.Conv1d):
                if parametrize.is_parametrized(module, "weight"):
                    parametrize.remove_parametrizations(module, "weight")
                module.to(torch.bfloat16)
            elif normalises_frames(getattr(module, "feature_extractor", None)):
                module.feature_extractor = MatrixConvolutions(module.feature_extractor)

    def forward(self, waves: Tensor, **options: Any) -> Any:
        """What the model gives."""
        with torch.autocast(waves.device.type, torch.bfloat16, enabled=self.is_bf16):
            return self.model(waves, **options)


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

    Example
    -------
    >>> from transformers import Wav2Vec2Config, Wav2Vec2Model
    >>> config = Wav2Vec2Config(feat_extract_norm="layer", conv_dim=(8,) * 7, num_hidden_layers=1, hidden_size=96)
    >>> extractor = Wav2Vec2Model(config).feature_extractor
    >>> waves = torch.randn(2, 16_000)
    >>> torch.allclose(MatrixConvolutions(extractor)(waves), extractor(waves), atol=1e-4)
    True
    """

    def __init__(self, extractor: nn.Module) -> None:
        super().__init__()
        self.layers = extractor.conv_layers

    def forward(self, waves: Tensor) -> Tensor:
        """(B, S) -> (B, C, T), as the extractor's own."""
        hidden = waves.unsqueeze(-1)  # (B, S) -> (B, S, 1)
        for layer in self.layers:
            weight = layer.conv.weight.permute(0, 2, 1).flatten(start_dim=1)  # (C', C, W) -> (C', W * C)
            frames = _frames(hidden.to(weight.dtype), layer.conv.kernel_size[0], layer.conv.stride[0])
            hidden = layer.activation(layer.layer_norm(functional.linear(frames, weight, layer.conv.bias)))
        return hidden.transpose(1, 2)  # (B, T, C) -> (B, C, T)


def _frames(hidden: Tensor, width: int, stride: int) -> Tensor:
    """Neighbouring steps side by side: (B, T, C) -> (B, T', width * C)."""
    num_items, num_steps, channels = hidden.shape
    shape = (num_items, (num_steps - width) // stride + 1, width * channels)
    return hidden.contiguous().as_strided(shape, (num_steps * channels, stride * channels, 1))
