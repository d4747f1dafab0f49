"""What a CPU trains faster in half precision when it is computed in another way than on a GPU."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def convolve(conv: nn.Conv1d, x: Tensor) -> Tensor:
    """A convolution that keeps the number of frames; of few frames, where a CPU trains in half precision, as a product.

    A batch with fewer frames than the convolution has channels takes 0.6 of the time as one product of matrices. With
    more frames the library's convolution is as fast.

    Arguments
    ---------
    conv : torch.nn.Conv1d
        Of an odd kernel size, padded by half of it, with a bias, and no more than that.
    x : torch.Tensor, (B, C, T)

    Returns
    -------
    torch.Tensor, (B, C', T)

    Example
    -------
    >>> conv, x = nn.Conv1d(4, 16, kernel_size=3, padding=1), torch.rand(2, 4, 5)
    >>> with torch.autocast("cpu", torch.bfloat16):
    ...     convolve(conv, x).shape, torch.allclose(convolve(conv, x).float(), conv(x).float(), atol=0.02)
    (torch.Size([2, 16, 5]), True)
    """
    if not _trains_in_half(conv, x) or x.shape[0] * x.shape[2] >= conv.out_channels:
        return conv(x)
    [kernel_size], [padding] = conv.kernel_size, conv.padding
    windows = F.pad(x.to(torch.get_autocast_dtype("cpu")), (padding, padding)).unfold(2, kernel_size, 1)
    rows = windows.transpose(1, 2).flatten(0, 1).flatten(1)  # (B, C, T, k) -> (B * T, C * k)
    frames = torch.addmm(conv.bias, rows, conv.weight.flatten(1).t())  # (B * T, C')
    return frames.unflatten(0, (len(x), -1)).transpose(1, 2)  # (B, T, C') -> (B, C', T)


def recur(lstm: nn.Module, x: Tensor) -> Tensor:
    """The states of an LSTM; where a CPU trains in half precision, in single precision.

    PyTorch's gradients of an LSTM in half precision take longer on a CPU than those in single precision.

    Arguments
    ---------
    lstm : torch.nn.LSTM
        With `batch_first`.
    x : torch.Tensor, (B, T, D)

    Returns
    -------
    torch.Tensor, (B, T, D')

    Example
    -------
    >>> lstm, x = nn.LSTM(4, 3, batch_first=True), torch.rand(2, 5, 4)
    >>> with torch.autocast("cpu", torch.bfloat16):
    ...     recur(lstm, x).dtype
    torch.float32
    """
    if not _trains_in_half(lstm, x):
        return lstm(x)[0]
    with torch.autocast("cpu", enabled=False):
        return lstm(x.float())[0]


def _trains_in_half(module: nn.Module, x: Tensor) -> bool:
    """Whether a CPU trains this module under autocast."""
    return module.training and x.device.type == "cpu" and torch.is_autocast_enabled("cpu")
