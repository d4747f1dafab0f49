"""A feature map of any length -> one vector."""

import torch
from torch import Tensor, nn

from emorec_lobes.errors import ConfigError, not_one_of
from emorec_lobes.models.feature_map import as_map, masked_mean, zero_padding

MODES = ("average", "mean_std", "attentive")
# Keeps the gradient of the root finite where a channel does not move.
_MIN_VARIANCE = 1e-4


class MapPooling(nn.Module):
    """Pools each channel over frequency and the valid frames.

    Source: Xi 2022, section 3.1.3, says "pool". `average` is the plain reading, and sees nothing of instance
    normalisation right before it. `mean_std`: Snyder 2017, statistics pooling. `attentive`: Cai 2018, "Exploring the
    Encoding Layer and Loss Function in End-to-End Speaker and Language Recognition System", self-attentive pooling.

    Deviates: over frequency as well as time; padded frames count for nothing; a floor under the variance.

    Arguments
    ---------
    mode : str
        `average` or `attentive` (C values), or `mean_std` (2 C values).
    num_channels : int
        C.
    hidden_dim : int
        Of what scores the positions in mode `attentive`; the others have no parameters.

    Raises
    ------
    ConfigError
        If the mode is unknown, or the features have other axes.

    Example
    -------
    >>> pooling = MapPooling(mode="mean_std", num_channels=128, hidden_dim=64)
    >>> pooling(torch.rand(2, 128, 3, 13)).shape
    torch.Size([2, 256])
    >>> pooling.output_dim
    256
    """

    def __init__(self, mode: str, num_channels: int, hidden_dim: int) -> None:
        super().__init__()
        if mode not in MODES:
            raise ConfigError(not_one_of("pooling", mode, MODES))
        self.mode = mode
        self.output_dim = 2 * num_channels if mode == "mean_std" else num_channels
        if mode == "attentive":
            # No last bias: the softmax would cancel it.
            self.scores = nn.Sequential(
                nn.Conv2d(num_channels, hidden_dim, kernel_size=1),
                nn.Tanh(),
                nn.Conv2d(hidden_dim, 1, kernel_size=1, bias=False),
            )

    def forward(self, features: Tensor, mask: Tensor | None = None) -> Tensor:
        """Pools a map, or a sequence.

        Arguments
        ---------
        features : torch.Tensor, (B, C, F, T) or (B, T, C)
            Whatever stands at padded frames counts for nothing.
        mask : torch.Tensor, (B, T), bool, optional
            True on valid frames.

        Returns
        -------
        torch.Tensor, (B, output_dim), in single precision or better
        """
        feature_map = zero_padding(as_map(features), mask)
        feature_map = feature_map.to(torch.promote_types(feature_map.dtype, torch.float32))
        if self.mode == "attentive":
            return (feature_map * self._weights(feature_map, mask)).sum(dim=(2, 3))
        mean = masked_mean(feature_map, mask, over_frequency=True)  # (B, C, 1, 1)
        if self.mode == "average":
            return mean.flatten(1)
        variance = masked_mean((feature_map - mean).square(), mask, over_frequency=True)
        return torch.cat([mean, (variance + _MIN_VARIANCE).sqrt()], dim=1).flatten(1)  # (B, 2 C, 1, 1) -> (B, 2 C)

    def _weights(self, feature_map: Tensor, mask: Tensor | None) -> Tensor:
        """(B, C, F, T) -> (B, 1, F, T), which sum to 1 in each item."""
        scores = self.scores(feature_map).to(feature_map.dtype)
        if mask is not None:
            scores = scores.masked_fill(~mask[:, None, None], torch.finfo(scores.dtype).min)
        return scores.flatten(1).softmax(dim=1).view_as(scores)
