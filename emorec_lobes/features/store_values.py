"""What a feature store writes of an utterance's frames, and how many bytes that takes."""

from math import prod

import torch
from torch import Tensor

from emorec_lobes.features.tensor_file import DTYPES, INT8

_LARGEST_INT8 = 127


def frame_bytes(dtype: str, shape: tuple[int, ...]) -> int:
    """Of one frame in a file: its values, and of int8 the scale of each row.

    Example
    -------
    >>> frame_bytes("float16", (25, 1024)), frame_bytes("int8", (25, 1024))
    (51200, 25700)
    """
    scales = prod(shape[:-1]) * torch.float32.itemsize if dtype == INT8 else 0
    return prod(shape) * DTYPES[dtype].itemsize + scales


def as_tensors(frames: Tensor, dtype: str) -> tuple[dict[str, Tensor], int]:
    """The tensors of a file, and how many values the range of its precision could not hold.

    Arguments
    ---------
    frames : torch.Tensor, (T, *shape)
        Finite.
    dtype : str
        One of `DTYPES`.

    Returns
    -------
    tensors : dict
        `features`; of int8 `scales` too; of measurements `mean` and `std` over the frames as they will be read.
    num_clipped : int
    """
    if dtype == "uint8":
        return {"features": frames.to(DTYPES[dtype]).contiguous()}, 0
    if dtype == INT8:
        values, scales = quantised(frames.float())
        return {"features": values, "scales": scales, **_statistics(values * scales.unsqueeze(-1))}, 0
    num_clipped = int((frames.abs() > torch.finfo(DTYPES[dtype]).max).sum())
    values = clipped(frames, dtype).contiguous()
    return {"features": values, **_statistics(values.float())}, num_clipped


def clipped(values: Tensor, dtype: str) -> Tensor:
    """Values in a float precision; what is beyond its range becomes its largest.

    Example
    -------
    >>> clipped(torch.tensor([1.0001, -1e6]), "float16").tolist()
    [1.0, -65504.0]
    """
    largest = torch.finfo(DTYPES[dtype]).max
    return values.clamp(-largest, largest).to(DTYPES[dtype])


def quantised(frames: Tensor) -> tuple[Tensor, Tensor]:
    """Frames as whole numbers and the scale of each row: their product is off by half a scale at most.

    Arguments
    ---------
    frames : torch.Tensor, (..., D), float32

    Returns
    -------
    values, scales : torch.Tensor, (..., D) int8 and (...) float32

    Example
    -------
    >>> values, scales = quantised(torch.tensor([[1.0, -2.0], [0.0, 0.0]]))
    >>> values.tolist(), [round(each, 4) for each in scales.tolist()]
    ([[64, -127], [0, 0]], [0.0157, 0.0])
    """
    scales = (frames.abs().amax(dim=-1) / _LARGEST_INT8).clamp_min(torch.finfo(torch.float32).tiny)
    return (frames / scales.unsqueeze(-1)).round().to(torch.int8), scales


def _statistics(frames: Tensor) -> dict[str, Tensor]:
    std, mean = torch.std_mean(frames, dim=0, correction=0)
    return {"mean": mean, "std": std}
