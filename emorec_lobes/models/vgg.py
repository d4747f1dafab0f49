"""The VGG5 of paper B: filter banks -> a feature map, with few parameters."""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn.functional import max_pool2d

from emorec_lobes.errors import ConfigError
from emorec_lobes.models.feature_map import MapConv, halve_mask
from emorec_lobes.models.front_end import FrontEndOutput, run_blocks


class VGGBlock(nn.Module):
    """3x3 convolution, batch normalisation, ReLU, and 2x2 maximum pooling if asked for.

    Source: Xi 2022, section 4.2, for the convolution; the rest is not stated there.

    Deviates: an odd frame or frequency left over is pooled alone, so that no utterance ends with none.

    Arguments
    ---------
    in_channels : int
    out_channels : int
    pooled : bool
    masked_norm : bool

    Example
    -------
    >>> import torch
    >>> block = VGGBlock(in_channels=1, out_channels=16, pooled=True, masked_norm=True)
    >>> block(torch.rand(2, 1, 41, 25), None)[0].shape
    torch.Size([2, 16, 21, 13])
    """

    def __init__(self, in_channels: int, out_channels: int, pooled: bool, masked_norm: bool) -> None:
        super().__init__()
        self.conv = MapConv(in_channels, out_channels, kernel_size=3, stride=1, masked_norm=masked_norm)
        self.pooled = pooled

    def forward(self, feature_map: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Maps (B, C, F, T) and its mask to (B, C', F', T') and that one's."""
        hidden, mask = self.conv(feature_map, mask)
        if not self.pooled:
            return hidden.relu(), mask
        # Behind ReLU nothing is below zero, so the zeros of padding win over no valid frame.
        return max_pool2d(hidden.relu(), kernel_size=2, ceil_mode=True), halve_mask(mask)


class VGG(nn.Module):
    """3x3 convolutions, some followed by pooling that halves both axes.

    An utterance of n frames leaves each pooling with half as many, rounded up.

    Source: Xi 2022, section 4.2: five convolutions, 16, 32, 48, 64 and 80 channels. Not stated: batch normalisation,
    ReLU, and where to pool; behind the second and the third convolution, as others have it with these widths.

    Deviates: as `VGGBlock`; padded frames are zero behind each convolution, and `masked_norm` leaves them out of the
    batch statistics.

    Arguments
    ---------
    channels : sequence of int
        Of each convolution.
    pooled : sequence of int
        Numbers of the convolutions that pooling follows, from 1; [2, 3].
    masked_norm : bool
        Whether padded frames are left out of the batch statistics in training.

    Raises
    ------
    ConfigError
        If there is no convolution, or none of a number in `pooled`.

    Example
    -------
    >>> import torch
    >>> vgg = VGG(channels=[16, 32, 48, 64, 80], pooled=[2, 3], masked_norm=True)
    >>> vgg(torch.rand(2, 200, 41), lens=torch.tensor([1.0, 0.5])).feature_map.shape
    torch.Size([2, 80, 11, 50])
    """

    def __init__(self, channels: Sequence[int], pooled: Sequence[int], masked_norm: bool) -> None:
        super().__init__()
        if not channels:
            raise ConfigError("`channels` must not be empty, but is instead. The paper has [16, 32, 48, 64, 80].")
        if not set(pooled) <= set(range(1, len(channels) + 1)):
            raise ConfigError(
                f"`pooled` must be numbers of convolutions, 1 to {len(channels)}, but is {list(pooled)} instead. "
                "Use [2, 3]."
            )
        self.blocks = nn.ModuleDict(
            {
                f"conv{number}": VGGBlock(in_channels, out_channels, number in pooled, masked_norm)
                for number, (in_channels, out_channels) in enumerate(
                    zip([1, *channels], channels, strict=False), start=1
                )
            }
        )
        self.widths = dict(zip(self.blocks, channels, strict=True))
        self.output_dim = channels[-1]

    def forward(self, features: Tensor, lens: Tensor | None = None) -> FrontEndOutput:
        """Maps (B, T, M) features with (B,) relative lengths to (B, C, F', T'); no lengths: all frames are valid."""
        return run_blocks(self.blocks, nn.ModuleDict(), features, lens)
