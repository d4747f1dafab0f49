"""Attribute disentanglement: a feature map -> what says the emotion, and what does not."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from emorec_lobes.errors import ConfigError
from emorec_lobes.lengths import lens_to_mask
from emorec_lobes.models.feature_map import as_map, as_sequence, masked_mean, zero_padding
from emorec_lobes.models.tf_attention import make_attention


class Split(NamedTuple):
    """What one module makes of its input; every tensor has the input's shape, with zeros at padded frames.

    Only `relevant` goes on through the network; the rest is for the losses and for looking at. It stands first, as
    SpeechBrain's `Sequential` hands the first of several outputs to the next layer.
    """

    relevant: Tensor
    """F+ = IN(F) + a R, where R = F - IN(F) is the residual."""
    irrelevant: Tensor
    """F- = IN(F) + (1 - a) R."""
    features: Tensor
    """F, the input."""
    normalised: Tensor
    """IN(F)."""
    shares: Tensor
    """a, the share of R that is relevant: in (0, 1), and 0 at padded frames."""
    mask: Tensor | None
    """(B, T), True on valid frames; None if all are."""


class InstanceNorm(nn.Module):
    """Each channel of each item brought to mean beta and deviation gamma, over frequency and valid frames.

    Source: Xi 2022, eq. 1. Epsilon is not stated (1e-5 is usual); no running statistics, gamma starts at 1, beta at 0.

    Deviates: padded frames are left out of mean and deviation.

    Arguments
    ---------
    num_channels : int
    epsilon : float
        Added to the variance.

    Example
    -------
    >>> norm = InstanceNorm(num_channels=1, epsilon=1e-5)
    >>> norm(torch.tensor([[[[1.0, 3.0, 9.0]]]]), torch.tensor([[True, True, False]]))[..., :2].round(decimals=2)
    tensor([[[[-1.,  1.]]]], grad_fn=<RoundBackward1>)
    """

    def __init__(self, num_channels: int, epsilon: float) -> None:
        super().__init__()
        self.epsilon = epsilon
        self.gamma = nn.Parameter(torch.ones(num_channels))
        self.beta = nn.Parameter(torch.zeros(num_channels))

    def forward(self, feature_map: Tensor, mask: Tensor | None = None) -> Tensor:
        """Maps (B, C, F, T), finite at padded frames, to the same shape."""
        centred = feature_map - masked_mean(feature_map, mask, over_frequency=True)
        variance = masked_mean(centred.square(), mask, over_frequency=True)  # (B, C, 1, 1)
        scale = self.gamma[:, None, None] * torch.rsqrt(variance + self.epsilon)
        return centred * scale + self.beta[:, None, None]


class AttributeDisentanglement(nn.Module):
    """The AD module: instance normalisation takes the style away, attention hands back what tells the emotion.

    What normalisation took, the residual, is split in two by an attention mask. The average over time and frequency
    of IN(F) is beta for every input, so average pooling right behind the module sees the residual alone: let a
    convolution stand in between, or pool otherwise.

    Source: Xi 2022, eqs. 1-3, section 3.1. `attention`, `shared`, `activation`, `bias`: see `tf_attention.py`; the
    paper's is tf, and its plain reading False, None, True. It does not say whether the gradient of the loss on F-
    reaches the layers before the module: `stop_gradient: False` lets it, as the sum of the losses reads.

    Deviates: padded frames matter nowhere; a sequence (B, T, D) is taken as a map of one frequency.

    Arguments
    ---------
    num_channels : int
        C of a map, D of a sequence.
    attention : str
        `tf`, `se`, or `none` for a learnt share a channel.
    reduced_dim : int
        Narrow width of the attention; 8 in the paper.
    shared : bool
        Whether both strips of `tf` go through the same convolutions.
    activation : str, optional
        Between the convolutions of `tf`: `relu` or None.
    bias : bool
        Whether the attention's convolutions have one.
    epsilon : float
        Of the instance normalisation; 1e-5.
    stop_gradient : bool
        Whether what is computed from F- trains only the attention, and neither the layers before nor gamma and beta.

    Raises
    ------
    ConfigError
        If an argument cannot be used, the input has other channels or axes, or mask and lengths are both given.

    Example
    -------
    >>> ad = AttributeDisentanglement(num_channels=128, attention="tf", reduced_dim=8, shared=False, activation=None,
    ...                               bias=True, epsilon=1e-5, stop_gradient=False)
    >>> ad(torch.rand(2, 128, 3, 13)).relevant.shape
    torch.Size([2, 128, 3, 13])
    >>> ad(torch.rand(2, 50, 128), lengths=torch.tensor([1.0, 0.5])).irrelevant.shape
    torch.Size([2, 50, 128])
    """

    def __init__(
        self,
        num_channels: int,
        attention: str,
        reduced_dim: int,
        shared: bool,
        activation: str | None,
        bias: bool,
        epsilon: float,
        stop_gradient: bool,
    ) -> None:
        super().__init__()
        self.num_channels = num_channels
        self.stop_gradient = stop_gradient
        self.norm = InstanceNorm(num_channels, epsilon)
        self.attention = make_attention(attention, num_channels, reduced_dim, shared, activation, bias)

    def forward(self, features: Tensor, mask: Tensor | None = None, lengths: Tensor | None = None) -> Split:
        """Splits a map, or a sequence.

        Arguments
        ---------
        features : torch.Tensor, (B, C, F, T) or (B, T, D)
            In any float dtype; whatever stands at padded frames counts for nothing.
        mask : torch.Tensor, (B, T), bool, optional
            True on valid frames.
        lengths : torch.Tensor, (B,), optional
            In place of a mask: relative lengths, under the name that SpeechBrain's containers look for.

        Returns
        -------
        Split
            Its tensors in the shape of the input and the precision of the weights.
        """
        if mask is not None and lengths is not None:
            raise ConfigError("`mask` and `lengths` must not both be given, but are. Leave one out.")
        feature_map = as_map(features)
        if lengths is not None:
            mask = lens_to_mask(lengths, feature_map.shape[3])
        feature_map = zero_padding(feature_map, mask).to(self.norm.gamma.dtype)
        if feature_map.shape[1] != self.num_channels:
            raise ConfigError(
                f"`num_channels` must be {feature_map.shape[1]}, the width of the features, but is "
                f"{self.num_channels} instead. Set it to theirs."
            )
        normalised = zero_padding(self.norm(feature_map, mask), mask)
        residual = feature_map - normalised
        shares = zero_padding(self.attention(residual, mask), mask)
        relevant = normalised + shares * residual
        irrelevant = self._irrelevant(normalised, residual, shares, mask)
        parts = (relevant, irrelevant, feature_map, normalised, shares)
        if features.dim() == 3:
            parts = tuple(as_sequence(part) for part in parts)
        return Split(*parts, mask=mask)

    def _irrelevant(self, normalised: Tensor, residual: Tensor, shares: Tensor, mask: Tensor | None) -> Tensor:
        if self.stop_gradient:
            normalised, residual = normalised.detach(), residual.detach()
            # Once more, on what lets no gradient through: the same shares, which train the attention alone.
            shares = self.attention(residual, mask)
        return normalised + (1 - shares) * residual
