"""ConvNorm, the block all of paper A's convolutions are made of, and a stack of them."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from emorec_lobes.errors import ConfigError, not_one_of
from emorec_lobes.models.half_precision import convolve
from emorec_lobes.ranks import sum_over_ranks

ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, None: nn.Identity}


def masked_batch_norm(x: Tensor, norm: nn.BatchNorm1d, mask: Tensor | None) -> Tensor:
    """Batch normalisation whose training statistics leave padded frames out.

    In evaluation, or without a mask, this is `norm(x)`. Otherwise the valid frames come out, and the running
    statistics move, as if `norm` had been given the valid frames alone; padded frames are scaled by the same
    statistics. A function beside a plain layer, not a layer of its own: the state dict stays that of
    nn.BatchNorm1d, and the layer can still be swapped for another kind. The statistics are those of this process, or
    of all that train together where the layer was made a SyncBatchNorm.

    Arguments
    ---------
    x : torch.Tensor, (B, C, T)
    norm : torch.nn.BatchNorm1d
    mask : torch.Tensor, (B, T), bool, optional
        True on valid frames.

    Returns
    -------
    torch.Tensor, (B, C, T)

    Example
    -------
    >>> norm = nn.BatchNorm1d(1)
    >>> x = torch.tensor([[[-1.0, 1.0, 50.0]]])
    >>> masked_batch_norm(x, norm, torch.tensor([[True, True, False]]))[0, 0, :2].round(decimals=2)
    tensor([-1.,  1.], grad_fn=<RoundBackward1>)
    """
    if mask is None or not norm.training:
        return norm(x)
    valid = mask.unsqueeze(1)  # (B, T) -> (B, 1, T)
    count = sum_over_ranks(valid.sum(), norm).clamp(min=1)
    wide = x.to(norm.weight.dtype)  # half precision cannot hold the sums
    mean = sum_over_ranks(wide.masked_fill(~valid, 0).sum(dim=(0, 2), keepdim=True), norm) / count  # (1, C, 1)
    centred = wide - mean
    squares = centred.masked_fill(~valid, 0).square().sum(dim=(0, 2), keepdim=True)
    variance = sum_over_ranks(squares, norm) / count
    with torch.no_grad():
        unbiased = variance * count / (count - 1).clamp(min=1)
        norm.running_mean.lerp_(mean.flatten().to(norm.running_mean.dtype), norm.momentum)
        norm.running_var.lerp_(unbiased.flatten().to(norm.running_var.dtype), norm.momentum)
        norm.num_batches_tracked.add_(1)
    scale = norm.weight.unsqueeze(-1) * torch.rsqrt(variance + norm.eps)
    return (centred * scale + norm.bias.unsqueeze(-1)).to(x.dtype)


class ConvNorm(nn.Module):
    """Convolution over time, batch normalisation, activation; the number of frames stays.

    Source: Makiuchi 2021, Figure 1 and the authors' code (speech/models.py): bias on, stride 1, Xavier uniform
    with the gain of the activation. The block goes back to AutoVC (Qian et al., ICML 2019).

    Deviates: a mask can keep padded frames out of the batch statistics; without one, nothing.

    Arguments
    ---------
    in_channels : int
    out_channels : int
    kernel_size : int
        Frames the convolution sees at once; odd, so that it can be centred.
    activation : str, optional
        `relu`, `tanh`, or None for none.

    Raises
    ------
    ConfigError
        If the kernel size is even or the activation unknown.

    Example
    -------
    >>> block = ConvNorm(in_channels=80, out_channels=512, kernel_size=5, activation="tanh")
    >>> block(torch.rand(2, 96, 80)).shape
    torch.Size([2, 96, 512])
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, activation: str | None) -> None:
        super().__init__()
        if kernel_size % 2 == 0:
            raise ConfigError(f"`kernel_size` must be odd, but is {kernel_size} instead. Use {kernel_size + 1}.")
        if activation not in ACTIVATIONS:
            raise ConfigError(not_one_of("activation", activation, ACTIVATIONS))
        self.conv = nn.Conv1d(in_channels, out_channels, kernel_size, padding=kernel_size // 2)
        self.norm = nn.BatchNorm1d(out_channels)
        self.activation = ACTIVATIONS[activation]()
        nn.init.xavier_uniform_(self.conv.weight, gain=nn.init.calculate_gain(activation or "linear"))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Maps (B, T, C) to (B, T, C'); only frames under the (B, T) mask enter the batch statistics."""
        # Both transposes are views, and the second undoes the first of a next block: a stack of blocks copies nothing.
        x = x.transpose(1, 2)  # (B, T, C) -> (B, C, T)
        x = self.activation(masked_batch_norm(convolve(self.conv, x), self.norm, mask))
        return x.transpose(1, 2)  # (B, C, T) -> (B, T, C)


class ConvStack(nn.Module):
    """ConvNorm blocks one after the other.

    Source: Makiuchi 2021, Figure 1: three blocks with ReLU in both encoders and in the decoder, five with tanh
    (none after the last) in the post-net.

    Deviates: `masked_norm`; the authors count padded frames in the batch statistics (masked_norm: False).

    Arguments
    ---------
    channels : sequence of int
        Width of the input and of each block's output: one more than there are blocks.
    kernel_size : int
        Frames each convolution sees at once; odd.
    activations : sequence of str or None
        One for each block: `relu`, `tanh` or None.
    masked_norm : bool
        Whether padded frames are left out of the batch statistics.

    Raises
    ------
    ConfigError
        If there is not one activation for each block.

    Example
    -------
    >>> stack = ConvStack([128, 512, 512], kernel_size=5, activations=["relu", "relu"], masked_norm=True)
    >>> stack(torch.rand(2, 96, 128), mask=torch.ones(2, 96, dtype=torch.bool)).shape
    torch.Size([2, 96, 512])
    """

    def __init__(
        self, channels: Sequence[int], kernel_size: int, activations: Sequence[str | None], masked_norm: bool
    ) -> None:
        super().__init__()
        if len(activations) != len(channels) - 1:
            raise ConfigError(
                f"`activations` must have one entry for each of the {len(channels) - 1} blocks, "
                f"but has {len(activations)} instead. Give one more width in `channels` than activations."
            )
        self.masked_norm = masked_norm
        self.blocks = nn.ModuleList(
            ConvNorm(in_channels, out_channels, kernel_size, activation)
            for in_channels, out_channels, activation in zip(channels, channels[1:], activations, strict=False)
        )

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Maps (B, T, C) to (B, T, C') under an optional (B, T) mask of valid frames."""
        for block in self.blocks:
            x = block(x, mask if self.masked_norm else None)
        return x
