"""Where a network is probed: its vectors at each point, by the point's name."""

from torch import Tensor, nn

from emorec_lobes.errors import ConfigError, not_one_of
from emorec_lobes.models.attribute_disentanglement import Split
from emorec_lobes.models.feature_map import as_map, masked_mean
from emorec_lobes.models.pooling import MapPooling

END = "end"
CODES = "codes"
POOLINGS = ("mean_std", "average", "profile")


def ad_points(
    network: nn.Module, features: Tensor, lens: Tensor | None = None, pooling: str = "mean_std"
) -> dict[str, Tensor]:
    """What stands in front of each AD module, and what it makes of it, each pooled to one vector.

    The mean of IN(F) over time and frequency is beta for every input, so that `average` makes one constant vector of
    IN(F), and leaves of F+ and F- nothing but the pooled residual. `mean_std` sees the spread of F+ and F- too; of
    IN(F) itself it sees beta and |gamma|, constants again where the channel moves by much more than epsilon.
    `profile` sees how each channel is spread over frequency, which normalisation leaves.

    Arguments
    ---------
    network : DisentangledFrontEnd
        Used as it is: put it in eval mode first.
    features : torch.Tensor, (B, T, M)
    lens : torch.Tensor, (B,), optional
        Relative lengths; None if all frames are valid.
    pooling : str
        `mean_std` or `average`, see `MapPooling`; or `profile`, the mean over time of each channel and frequency.

    Returns
    -------
    dict
        `<position> F`, `<position> IN(F)`, `<position> F+` and `<position> F-` for each AD module, in order; `end` for
        a network without. Each (B, 2 C), or (B, C), or (B, C F').

    Raises
    ------
    ConfigError
        If the pooling is unknown.

    Example
    -------
    >>> import torch
    >>> from emorec_lobes.models.front_end import DisentangledFrontEnd
    >>> from emorec_lobes.models.vgg import VGG
    >>> vgg = VGG(channels=[16, 32, 48, 64, 80], pooled=[2, 3], masked_norm=True)
    >>> network = DisentangledFrontEnd(vgg, positions=[], make_disentangler=lambda width: None)
    >>> {name: tuple(vectors.shape) for name, vectors in ad_points(network, torch.rand(2, 100, 41)).items()}
    {'end': (2, 160)}
    """
    if pooling not in POOLINGS:
        raise ConfigError(not_one_of("pooling", pooling, POOLINGS))
    output = network(features, lens)
    if not output.splits:
        return {END: _pooled(output.feature_map, output.mask, pooling)}
    return {
        f"{position} {name}": _pooled(part, split.mask, pooling)
        for position, split in output.splits.items()
        for name, part in _parts(split).items()
    }


def utterance_points(network: nn.Module, windows: Tensor, pooling: str) -> dict[str, Tensor]:
    """`ad_points` of one utterance: the mean over its windows (N, T, M), each (1, D)."""
    found = ad_points(network, windows, pooling=pooling)
    return {name: vectors.mean(dim=0, keepdim=True) for name, vectors in found.items()}


def end_points(network: nn.Module, windows: Tensor, pooling: str) -> dict[str, Tensor]:
    """What the heads of a network are given of one utterance, pooled: `end`, the mean over its windows, (1, D)."""
    output = network(windows, None)
    return {END: _pooled(output.feature_map, output.mask, pooling).mean(dim=0, keepdim=True)}


def ad_shares(network: nn.Module, features: Tensor) -> dict[str, Tensor]:
    """The share of the residual that each AD module lets go on: position -> a, (B, C, F', T')."""
    return {position: as_map(split.shares) for position, split in network(features).splits.items()}


def code_points(model: nn.Module, layers: Tensor, speaker: Tensor, num_valid: Tensor) -> dict[str, Tensor]:
    """The bottleneck codes of segments, one behind the other.

    Source: Makiuchi 2021, section 6.2; the authors' code flattens the codes of a segment.

    Arguments
    ---------
    model : CrossRepresentation
    layers : torch.Tensor, (B, T, L, D)
    speaker : torch.Tensor, (B, E)
    num_valid : torch.Tensor, (B,), integer

    Returns
    -------
    dict
        `codes`, (B, N * Z).
    """
    return {CODES: model(layers, speaker, num_valid=num_valid).codes.flatten(start_dim=1)}  # (B, N, Z) -> (B, N * Z)


def _parts(split: Split) -> dict[str, Tensor]:
    return {"F": split.features, "IN(F)": split.normalised, "F+": split.relevant, "F-": split.irrelevant}


def _pooled(feature_map: Tensor, mask: Tensor | None, pooling: str) -> Tensor:
    if pooling == "profile":
        return masked_mean(as_map(feature_map), mask, over_frequency=False).flatten(1)  # (B, C, F, 1) -> (B, C * F)
    # Neither of the others has parameters, so no hidden width is of any use.
    return MapPooling(pooling, feature_map.shape[1], hidden_dim=1)(feature_map, mask)
