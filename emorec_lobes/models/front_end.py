"""A front end: blocks one after the other over filter banks, with attribute disentanglement behind some of them."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from emorec_lobes.errors import ConfigError, not_one_of
from emorec_lobes.lengths import lens_to_mask
from emorec_lobes.models.attribute_disentanglement import AttributeDisentanglement, Split
from emorec_lobes.models.feature_map import zero_padding


class FrontEndOutput(NamedTuple):
    """What a front end makes of a batch."""

    feature_map: Tensor
    """(B, C, F', T'), with zeros at padded frames."""
    mask: Tensor | None
    """(B, T'), True on valid frames; None if all are."""
    splits: dict[str, Split]
    """What each AD module made of its input, by position."""


def run_blocks(
    blocks: nn.ModuleDict, disentanglers: nn.ModuleDict, features: Tensor, lens: Tensor | None
) -> FrontEndOutput:
    """Runs the blocks in order; behind a block with an AD module, F+ goes on.

    Arguments
    ---------
    blocks : torch.nn.ModuleDict
        By position. Each maps (map, mask) to (map, mask), where padded frames of the map are zero.
    disentanglers : torch.nn.ModuleDict
        AD modules of some of the positions.
    features : torch.Tensor, (B, T, M)
        In any float dtype; whatever stands at padded frames counts for nothing.
    lens : torch.Tensor, (B,), optional
        Relative lengths; None if all frames are valid.

    Returns
    -------
    FrontEndOutput

    Example
    -------
    >>> output = run_blocks(nn.ModuleDict(), nn.ModuleDict(), torch.rand(2, 100, 41), torch.tensor([1.0, 0.5]))
    >>> output.feature_map.shape, output.mask.sum(dim=1)
    (torch.Size([2, 1, 41, 100]), tensor([100,  50]))
    """
    mask = None if lens is None else lens_to_mask(lens, features.shape[1])
    feature_map = features.transpose(1, 2).unsqueeze(1)  # (B, T, M) -> (B, 1, M, T)
    feature_map = feature_map.to(torch.promote_types(feature_map.dtype, torch.float32))
    feature_map = zero_padding(feature_map, mask)
    splits = {}
    for position, block in blocks.items():
        feature_map, mask = block(feature_map, mask)
        if position in disentanglers:
            splits[position] = disentanglers[position](feature_map, mask)
            feature_map = splits[position].relevant
    return FrontEndOutput(feature_map, mask, splits)


class DisentangledFrontEnd(nn.Module):
    """A front end with AD modules behind some of its blocks.

    The front end stays a module of its own, so that what it learnt without AD loads into it as it is.

    Source: Xi 2022, section 4.2: one module, at the end, does best; section 2 has one after every block. `transition4`
    of ResNet is the end; `stage4` lets a convolution stand behind the module.

    Deviates: nothing.

    Arguments
    ---------
    front_end : ResNet or VGG
        With `blocks`, and `widths`, the channels at each position.
    positions : sequence of str
        Of the front end; may be empty.
    make_disentangler : callable
        Makes an AD module for so many channels.

    Raises
    ------
    ConfigError
        If the front end has no such position, or one is named twice.

    Example
    -------
    >>> from functools import partial
    >>> from emorec_lobes.models.vgg import VGG
    >>> make = partial(AttributeDisentanglement, attention="tf", reduced_dim=8, shared=False, activation=None,
    ...                bias=True, epsilon=1e-5, stop_gradient=False)
    >>> vgg = VGG(channels=[16, 32, 48, 64, 80], pooled=[2, 3], masked_norm=True)
    >>> network = DisentangledFrontEnd(vgg, positions=["conv5"], make_disentangler=make)
    >>> network(torch.rand(2, 100, 41), lens=torch.tensor([1.0, 0.5])).splits["conv5"].irrelevant.shape
    torch.Size([2, 80, 11, 25])
    """

    def __init__(
        self,
        front_end: nn.Module,
        positions: Sequence[str],
        make_disentangler: Callable[[int], AttributeDisentanglement],
    ) -> None:
        super().__init__()
        for position in positions:
            if position not in front_end.widths:
                raise ConfigError(not_one_of("ad_positions", position, front_end.widths))
        if len(set(positions)) < len(positions):
            raise ConfigError(
                f"`ad_positions` must differ from one another, but are {', '.join(positions)} instead. Name each once."
            )
        self.front_end = front_end
        self.disentanglers = nn.ModuleDict(
            {name: make_disentangler(width) for name, width in front_end.widths.items() if name in positions}
        )
        self.output_dim = front_end.output_dim
        self.module_dims = [front_end.widths[name] for name in self.disentanglers]

    def forward(self, features: Tensor, lens: Tensor | None = None) -> FrontEndOutput:
        """Maps (B, T, M) features with (B,) relative lengths to a map, and the splits in the order of the blocks."""
        return run_blocks(self.front_end.blocks, self.disentanglers, features, lens)
