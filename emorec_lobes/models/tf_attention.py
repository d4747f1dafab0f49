"""Attention over a feature map: which share of the residual belongs to the emotion, a number in (0, 1) a position."""

import torch
from torch import Tensor, nn

from emorec_lobes.errors import ConfigError, not_one_of
from emorec_lobes.models.feature_map import masked_mean

KINDS = ("tf", "se", "none")
ACTIVATIONS = {"relu": nn.ReLU, None: nn.Identity}


class TFAttention(nn.Module):
    """Time-frequency attention: a strip of averages along each axis, narrowed, widened, and added up.

    Source: Xi, Song, Dai, McLoughlin, Liu, "Frontend Attributes Disentanglement for Speech Emotion Recognition",
    ICASSP 2022, eqs. 5-6. They do not say whether the strips share convolutions, nor whether anything stands between
    the two: `shared`, `activation` and `bias` say it, and False, None and True are the plain reading (the strips of
    Hou 2020, "Strip Pooling", have convolutions of their own).

    Deviates: padded frames are left out of the average over time.

    Arguments
    ---------
    num_channels : int
        C.
    reduced_dim : int
        D, the narrow width in between: 8 in the paper, for C = 128.
    shared : bool
        Whether both strips go through the same convolutions.
    activation : str, optional
        Between the two convolutions: `relu`, or None for none.
    bias : bool
        Whether the convolutions have one.

    Raises
    ------
    ConfigError
        If `reduced_dim` or the activation cannot be used.

    Example
    -------
    >>> attention = TFAttention(num_channels=128, reduced_dim=8, shared=False, activation=None, bias=True)
    >>> attention(torch.rand(2, 128, 3, 13)).shape
    torch.Size([2, 128, 3, 13])
    >>> sum(parameter.numel() for parameter in attention.parameters())
    4368
    """

    def __init__(self, num_channels: int, reduced_dim: int, shared: bool, activation: str | None, bias: bool) -> None:
        super().__init__()
        self.time = _bottleneck(num_channels, reduced_dim, activation, bias)
        self.frequency = None if shared else _bottleneck(num_channels, reduced_dim, activation, bias)

    def forward(self, residual: Tensor, mask: Tensor | None = None) -> Tensor:
        """The share of each position.

        Arguments
        ---------
        residual : torch.Tensor, (B, C, F, T)
            R, finite at padded frames.
        mask : torch.Tensor, (B, T), bool, optional
            True on valid frames.

        Returns
        -------
        torch.Tensor, (B, C, F, T), in (0, 1)
        """
        along_time = residual.mean(dim=2, keepdim=True)  # (B, C, F, T) -> (B, C, 1, T)
        along_frequency = masked_mean(residual, mask, over_frequency=False)  # (B, C, F, T) -> (B, C, F, 1)
        frequency = self.time if self.frequency is None else self.frequency
        return torch.sigmoid(self.time(along_time) + frequency(along_frequency))


class SEAttention(nn.Module):
    """Squeeze and excitation: one share a channel, from the averages of all channels.

    Source: Hu 2018, "Squeeze-and-Excitation Networks", section 3: ReLU in between. Xi 2022 names it as the
    alternative to its own attention.

    Deviates: padded frames are left out of the average.

    Arguments
    ---------
    num_channels : int
    reduced_dim : int
    bias : bool

    Raises
    ------
    ConfigError
        If `reduced_dim` cannot be used.

    Example
    -------
    >>> SEAttention(num_channels=128, reduced_dim=8, bias=True)(torch.rand(2, 128, 3, 13)).shape
    torch.Size([2, 128, 3, 13])
    """

    def __init__(self, num_channels: int, reduced_dim: int, bias: bool) -> None:
        super().__init__()
        self.channels = _bottleneck(num_channels, reduced_dim, "relu", bias)

    def forward(self, residual: Tensor, mask: Tensor | None = None) -> Tensor:
        """Maps (B, C, F, T) to shares in (0, 1) of the same shape, alike at all positions of a channel."""
        average = masked_mean(residual, mask, over_frequency=True)  # (B, C, F, T) -> (B, C, 1, 1)
        return torch.sigmoid(self.channels(average)).expand_as(residual)


class FixedShares(nn.Module):
    """No attention: one learnt share a channel, whatever the input; all start at one half.

    Source: ours, for comparison. Xi 2022 has no such row.

    Deviates: nothing.

    Arguments
    ---------
    num_channels : int

    Example
    -------
    >>> FixedShares(num_channels=2)(torch.rand(1, 2, 1, 1)).flatten().tolist()
    [0.5, 0.5]
    """

    def __init__(self, num_channels: int) -> None:
        super().__init__()
        self.raw_shares = nn.Parameter(torch.zeros(num_channels))

    def forward(self, residual: Tensor, mask: Tensor | None = None) -> Tensor:
        """Gives the shares in the shape of the residual, (B, C, F, T)."""
        return self.raw_shares.sigmoid()[:, None, None].expand_as(residual)


def make_attention(
    kind: str, num_channels: int, reduced_dim: int, shared: bool, activation: str | None, bias: bool
) -> nn.Module:
    """Builds the attention of a name: `tf`, `se` or `none`; each takes what it needs of the arguments.

    Raises
    ------
    ConfigError
        If there is no such kind, or the sizes cannot be used.

    Example
    -------
    >>> type(make_attention("se", num_channels=128, reduced_dim=8, shared=False, activation=None, bias=True)).__name__
    'SEAttention'
    """
    if kind == "tf":
        return TFAttention(num_channels, reduced_dim, shared, activation, bias)
    if kind == "se":
        return SEAttention(num_channels, reduced_dim, bias)
    if kind == "none":
        return FixedShares(num_channels)
    raise ConfigError(not_one_of("attention", kind, KINDS))


def _bottleneck(num_channels: int, reduced_dim: int, activation: str | None, bias: bool) -> nn.Sequential:
    """1x1 convolutions C -> D -> C."""
    if activation not in ACTIVATIONS:
        raise ConfigError(not_one_of("activation", activation, ACTIVATIONS))
    if not 1 <= reduced_dim <= num_channels:
        raise ConfigError(
            f"`reduced_dim` must be from 1 to the {num_channels} channels, but is {reduced_dim} instead. "
            "Set 8, or another number in between."
        )
    return nn.Sequential(
        nn.Conv2d(num_channels, reduced_dim, kernel_size=1, bias=bias),
        ACTIVATIONS[activation](),
        nn.Conv2d(reduced_dim, num_channels, kernel_size=1, bias=bias),
    )
