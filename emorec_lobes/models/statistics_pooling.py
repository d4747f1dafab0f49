"""Statistics of encoder layers over a segment: what a plain classifier of pooled features would see."""

import torch
from torch import Tensor, nn

from emorec_lobes.errors import ConfigError, not_one_of

# Keeps the gradient of the root finite where a feature does not move.
_MIN_VARIANCE = 1e-4


class StatisticsPooling(nn.Module):
    """Mean, or mean and standard deviation, of every feature of every layer, brought to one scale.

    It stands beside the codes of `CrossRepresentation`, whose bottleneck is narrow and whose layer mix adds the
    layers up: with a few hundred utterances, pooled layers say more about the emotion than a code learnt from scratch.
    The scale is that of batch statistics in training and of their running mean afterwards.

    Source: Snyder 2017, "Deep Neural Network Embeddings for Text-Independent Speaker Verification", section 2.2
    (statistics pooling). Not in Makiuchi 2021.

    Deviates: over the frozen encoder's layers, not over a network's; batch normalisation after it.

    Arguments
    ---------
    num_layers : int
        L.
    feature_dim : int
        D.
    num_statistics : int
        Of each feature: 2 for mean and deviation, 1 for the mean, 0 for none, which makes it empty.

    Raises
    ------
    ConfigError
        If `num_statistics` is another number, or a training batch is a single segment, which has no scale.

    Example
    -------
    >>> import torch
    >>> pooling = StatisticsPooling(num_layers=3, feature_dim=256, num_statistics=2)
    >>> pooling(torch.rand(2, 96, 3, 256)).shape
    torch.Size([2, 1536])
    """

    def __init__(self, num_layers: int, feature_dim: int, num_statistics: int) -> None:
        super().__init__()
        if num_statistics not in (0, 1, 2):
            raise ConfigError(not_one_of("num_statistics", num_statistics, (0, 1, 2)))
        self.num_statistics = num_statistics
        self.output_dim = num_statistics * num_layers * feature_dim
        self.norm = nn.BatchNorm1d(self.output_dim) if num_statistics else None

    def forward(self, layers: Tensor, mask: Tensor | None = None) -> Tensor:
        """Pools over time.

        Arguments
        ---------
        layers : torch.Tensor, (B, T, L, D)
        mask : torch.Tensor, (B, T), bool, optional
            True on valid frames, of which every item must have one; the others count for nothing.

        Returns
        -------
        torch.Tensor, (B, num_statistics * L * D), float32
        """
        if self.norm is None:
            return layers.new_zeros((len(layers), 0), dtype=torch.float32)
        if self.training and len(layers) < 2:
            raise ConfigError("`batch_size` must be at least 2 for statistics pooling, but is 1. Use --batch_size 2.")
        frames = layers.flatten(start_dim=2).float()  # (B, T, L, D) -> (B, T, L * D)
        if mask is None:
            mask = torch.ones(frames.shape[:2], dtype=torch.bool, device=frames.device)
        frames = frames.masked_fill(~mask.unsqueeze(-1), 0)
        weights = mask.to(frames.dtype)
        weights = (weights / weights.sum(dim=1, keepdim=True)).unsqueeze(1)  # (B, T) -> (B, 1, T)
        mean = (weights @ frames).squeeze(1)
        parts = [mean]
        if self.num_statistics == 2:
            variance = (weights @ (frames - mean.unsqueeze(1)).square()).squeeze(1)
            parts.append((variance + _MIN_VARIANCE).sqrt())
        return self.norm(torch.cat(parts, dim=1))
