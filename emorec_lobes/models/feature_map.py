"""Feature maps of padded batches, (B, C, F, T), and what the mask of valid frames, (B, T), does to them."""

from torch import Tensor, nn

from emorec_lobes.errors import ConfigError, not_one_of
from emorec_lobes.models.conv_norm import masked_batch_norm


def as_map(features: Tensor) -> Tensor:
    """A map as it is, and a sequence as a map of one frequency: (B, T, D) -> (B, D, 1, T).

    Raises
    ------
    ConfigError
        If it is neither.

    Example
    -------
    >>> import torch
    >>> as_map(torch.rand(2, 50, 256)).shape
    torch.Size([2, 256, 1, 50])
    """
    if features.dim() == 4:
        return features
    if features.dim() == 3:
        return features.transpose(1, 2).unsqueeze(2)  # (B, T, D) -> (B, D, 1, T)
    raise ConfigError(
        f"`features` must be a map (B, C, F, T) or a sequence (B, T, D), but have the shape {tuple(features.shape)} "
        "instead. Reshape them."
    )


def as_sequence(feature_map: Tensor) -> Tensor:
    """Undoes `as_map` of a sequence: (B, D, 1, T) -> (B, T, D).

    Example
    -------
    >>> import torch
    >>> as_sequence(torch.rand(2, 256, 1, 50)).shape
    torch.Size([2, 50, 256])
    """
    return feature_map.squeeze(2).transpose(1, 2)  # (B, D, 1, T) -> (B, T, D)


def zero_padding(feature_map: Tensor, mask: Tensor | None) -> Tensor:
    """The map with zeros at padded frames, whatever stood there; without a mask, the map.

    Example
    -------
    >>> import torch
    >>> zero_padding(torch.ones(1, 1, 1, 3), torch.tensor([[True, True, False]]))
    tensor([[[[1., 1., 0.]]]])
    """
    return feature_map if mask is None else feature_map.masked_fill(~mask[:, None, None], 0)


def masked_mean(feature_map: Tensor, mask: Tensor | None, over_frequency: bool) -> Tensor:
    """Mean over the valid frames, and over frequency too if asked for; both axes stay, with one entry.

    Arguments
    ---------
    feature_map : torch.Tensor, (B, C, F, T)
        Finite at padded frames.
    mask : torch.Tensor, (B, T), bool, optional
        True on valid frames.
    over_frequency : bool

    Returns
    -------
    torch.Tensor, (B, C, F, 1), or (B, C, 1, 1) over frequency

    Example
    -------
    >>> import torch
    >>> masked_mean(torch.tensor([[[[1.0, 3.0, 9.0]]]]), torch.tensor([[True, True, False]]), over_frequency=True)
    tensor([[[[2.]]]])
    """
    if mask is None:
        mean = feature_map.mean(dim=3, keepdim=True)
    else:
        shares = mask.to(feature_map.dtype) / mask.sum(dim=1, keepdim=True).clamp(min=1)
        mean = (feature_map * shares[:, None, None]).sum(dim=3, keepdim=True)
    return mean.mean(dim=2, keepdim=True) if over_frequency else mean


def halve_mask(mask: Tensor | None) -> Tensor | None:
    """The mask behind a stride of 2 in time: n valid frames become n / 2, rounded up.

    Example
    -------
    >>> import torch
    >>> halve_mask(torch.tensor([[True, True, True, False, False]]))
    tensor([[ True,  True, False]])
    """
    return None if mask is None else mask[:, ::2]


class MapConv(nn.Module):
    """Convolution over frequency and time, and batch normalisation; `ConvNorm`'s sibling for maps.

    An utterance is followed by zeros, in a padded batch as when it is alone, so that neighbours do not matter.

    Source: He 2016, "Deep Residual Learning for Image Recognition", section 3.4: no bias, as batch normalisation
    has its own, He initialisation, half the kernel as padding. Xi 2022 states none of the three.

    Deviates: a mask can keep padded frames out of the batch statistics.

    Arguments
    ---------
    in_channels : int
    out_channels : int
    kernel_size : int
        Of both axes; odd.
    stride : int
        Of both axes, 1 or 2; with 2, each axis is halved and rounded up.
    masked_norm : bool
        Whether padded frames are left out of the batch statistics.

    Raises
    ------
    ConfigError
        If the kernel size is even, or the stride another one.

    Example
    -------
    >>> import torch
    >>> conv = MapConv(in_channels=1, out_channels=16, kernel_size=3, stride=2, masked_norm=True)
    >>> hidden, mask = conv(torch.rand(2, 1, 41, 25), torch.ones(2, 25, dtype=torch.bool))
    >>> hidden.shape, mask.shape
    (torch.Size([2, 16, 21, 13]), torch.Size([2, 13]))
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int, masked_norm: bool) -> None:
        super().__init__()
        if kernel_size % 2 == 0:
            raise ConfigError(f"`kernel_size` must be odd, but is {kernel_size} instead. Use {kernel_size + 1}.")
        if stride not in (1, 2):
            raise ConfigError(not_one_of("stride", stride, (1, 2)))
        self.stride = stride
        self.masked_norm = masked_norm
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding=kernel_size // 2, bias=False)
        self.norm = nn.BatchNorm1d(out_channels)  # over all positions in a row: what BatchNorm2d computes
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, feature_map: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Maps (B, C, F, T) and its mask to (B, C', F', T') and that one's; both maps are zero at padded frames."""
        hidden = self.conv(feature_map)
        mask = halve_mask(mask) if self.stride == 2 else mask
        positions = None
        if self.masked_norm and mask is not None:
            positions = mask.unsqueeze(1).expand(-1, hidden.shape[2], -1).flatten(1)  # (B, T') -> (B, F' * T')
        hidden = masked_batch_norm(hidden.flatten(2), self.norm, positions).view_as(hidden)
        return zero_padding(hidden, mask), mask
