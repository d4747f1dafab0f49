"""The ResNet18 of paper B: filter banks -> a feature map."""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from emorec_lobes.errors import ConfigError
from emorec_lobes.models.feature_map import MapConv
from emorec_lobes.models.front_end import FrontEndOutput, run_blocks


class ConvBlock(nn.Module):
    """Convolution, batch normalisation, ReLU: the first layer, and each transition.

    Source: Xi 2022, Table 1; batch normalisation and ReLU as in He 2016.

    Deviates: padded frames are zero behind it.

    Arguments
    ---------
    in_channels, out_channels, kernel_size, stride, masked_norm
        Of `MapConv`.

    Example
    -------
    >>> import torch
    >>> block = ConvBlock(in_channels=1, out_channels=16, kernel_size=3, stride=2, masked_norm=True)
    >>> block(torch.rand(2, 1, 41, 25), None)[0].shape
    torch.Size([2, 16, 21, 13])
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int, masked_norm: bool) -> None:
        super().__init__()
        self.conv = MapConv(in_channels, out_channels, kernel_size, stride, masked_norm)

    def forward(self, feature_map: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Maps (B, C, F, T) and its mask to (B, C', F', T') and that one's."""
        hidden, mask = self.conv(feature_map, mask)
        return hidden.relu(), mask


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut.

    Source: He 2016, Figure 2. Transitions do what changes sizes, so the shortcut is the input itself.

    Deviates: padded frames are zero behind each convolution.

    Arguments
    ---------
    num_channels : int
    masked_norm : bool

    Example
    -------
    >>> import torch
    >>> BasicBlock(num_channels=16, masked_norm=True)(torch.rand(2, 16, 41, 25), None)[0].shape
    torch.Size([2, 16, 41, 25])
    """

    def __init__(self, num_channels: int, masked_norm: bool) -> None:
        super().__init__()
        self.first = MapConv(num_channels, num_channels, kernel_size=3, stride=1, masked_norm=masked_norm)
        self.second = MapConv(num_channels, num_channels, kernel_size=3, stride=1, masked_norm=masked_norm)

    def forward(self, feature_map: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Maps (B, C, F, T) and its mask to the same."""
        hidden, _ = self.first(feature_map, mask)
        hidden, _ = self.second(hidden.relu(), mask)
        return (feature_map + hidden).relu(), mask


class Stage(nn.ModuleList):
    """Blocks of one width, one after the other.

    Source: Xi 2022, Table 1: two.

    Deviates: nothing.

    Example
    -------
    >>> import torch
    >>> stage = Stage([BasicBlock(num_channels=16, masked_norm=True) for _ in range(2)])
    >>> stage(torch.rand(2, 16, 41, 25), None)[0].shape
    torch.Size([2, 16, 41, 25])
    """

    def forward(self, feature_map: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Maps (B, C, F, T) and its mask to the same."""
        for block in self:
            feature_map, mask = block(feature_map, mask)
        return feature_map, mask


class ResNet(nn.Module):
    """Stages of basic blocks, each followed by a transition that halves both axes.

    An utterance of n frames leaves each transition with half as many, rounded up: the 200 of two seconds end as 13,
    and 41 frequencies as 3. It never ends with none.

    Source: Xi 2022, Table 1: channels 16, 32, 64, 128, 128, two blocks a stage, 1,031,024 parameters. Not stated, and
    taken from He 2016: no bias, batch normalisation and ReLU behind each convolution; and, as the table prints no
    other stride, neither stride nor pooling at the first convolution.

    Deviates: padded frames are zero behind each convolution, and `masked_norm` leaves them out of the batch statistics.

    Arguments
    ---------
    channels : sequence of int
        Of each stage, and of the last transition: one more than there are stages.
    first_kernel_size : int
        Of the first convolution; odd, 7 in the paper.
    blocks_per_stage : int
    masked_norm : bool
        Whether padded frames are left out of the batch statistics in training.

    Raises
    ------
    ConfigError
        If there is no stage, or the kernel size is even.

    Example
    -------
    >>> import torch
    >>> resnet = ResNet([16, 32, 64, 128, 128], first_kernel_size=7, blocks_per_stage=2, masked_norm=True)
    >>> resnet(torch.rand(2, 200, 41), lens=torch.tensor([1.0, 0.5])).feature_map.shape
    torch.Size([2, 128, 3, 13])
    >>> list(resnet.widths)[-2:]
    ['stage4', 'transition4']
    """

    def __init__(
        self, channels: Sequence[int], first_kernel_size: int, blocks_per_stage: int, masked_norm: bool
    ) -> None:
        super().__init__()
        if len(channels) < 2:
            raise ConfigError(
                f"`channels` must have an entry for each stage and one for the last transition, but has "
                f"{len(channels)} instead. The paper has [16, 32, 64, 128, 128]."
            )
        if min(channels) < 1:
            raise ConfigError(f"`channels` must be 1 or more each, but are {list(channels)} instead. Change them.")
        first = ConvBlock(1, channels[0], first_kernel_size, stride=1, masked_norm=masked_norm)
        self.blocks = nn.ModuleDict({"conv1": first})
        self.widths = {"conv1": channels[0]}
        for number, (width, next_width) in enumerate(pairwise(channels), start=1):
            stage = Stage(BasicBlock(width, masked_norm) for _ in range(blocks_per_stage))
            transition = ConvBlock(width, next_width, kernel_size=3, stride=2, masked_norm=masked_norm)
            self.blocks.update({f"stage{number}": stage, f"transition{number}": transition})
            self.widths.update({f"stage{number}": width, f"transition{number}": next_width})
        self.output_dim = channels[-1]

    def forward(self, features: Tensor, lens: Tensor | None = None) -> FrontEndOutput:
        """Maps (B, T, M) features with (B,) relative lengths to (B, C, F', T'); no lengths: all frames are valid."""
        return run_blocks(self.blocks, nn.ModuleDict(), features, lens)
