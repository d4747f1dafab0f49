"""Who speaks: a front end, pooling, and a head with one output a speaker."""

from typing import NamedTuple

from speechbrain.lobes.models.ECAPA_TDNN import Classifier
from torch import Tensor, nn

from emorec_lobes.errors import ConfigError, not_one_of
from emorec_lobes.models.pooling import MapPooling

LOSSES = ("aam", "softmax")


class SpeakerScores(NamedTuple):
    """What a speaker network makes of a batch."""

    embedding: Tensor
    """(B, E), the pooled map, normalised: what two utterances are compared by."""
    scores: Tensor
    """(B, N): cosines for `aam`, logits for `softmax`."""


class SpeakerNetwork(nn.Module):
    """Tells speakers apart, so that its front end learns what a voice is; the front end alone goes over to emotions.

    Pooled maps of a ReLU all point the same way. Batch normalisation centres them, so that an angle says something.

    Source: Xi 2022, section 2.1: a ResNet18 pre-trained to identify the speakers of VoxCeleb. It names no loss: softmax
    as in Nagrani 2017, or additive angular margin as in Xiang 2019, "Margin Matters".

    Deviates: batch normalisation of the embedding, which the paper does not have. Training needs batches of two.

    Arguments
    ---------
    front_end : nn.Module
        (B, T, M) features and lengths -> a map and its mask.
    pooling : MapPooling
        Its output becomes the embedding.
    num_speakers : int
        N.
    loss : str
        `aam`: cosines to one direction a speaker; `softmax`: a linear layer.

    Raises
    ------
    ConfigError
        If the loss is unknown, or there are fewer than two speakers.

    Example
    -------
    >>> import torch
    >>> from emorec_lobes.models.resnet import ResNet
    >>> resnet = ResNet([4, 8, 16], first_kernel_size=7, blocks_per_stage=1, masked_norm=True)
    >>> pooling = MapPooling(mode="mean_std", num_channels=16, hidden_dim=8)
    >>> network = SpeakerNetwork(resnet, pooling, num_speakers=5, loss="aam")
    >>> output = network(torch.rand(2, 50, 41), lens=torch.tensor([1.0, 0.5]))
    >>> output.embedding.shape, output.scores.shape
    (torch.Size([2, 32]), torch.Size([2, 5]))
    """

    def __init__(self, front_end: nn.Module, pooling: MapPooling, num_speakers: int, loss: str) -> None:
        super().__init__()
        if loss not in LOSSES:
            raise ConfigError(not_one_of("loss", loss, LOSSES))
        if num_speakers < 2:
            raise ConfigError(f"`num_speakers` must be at least 2, but is {num_speakers} instead. Add speakers.")
        self.front_end = front_end
        self.pooling = pooling
        width = pooling.output_dim
        self.norm = nn.BatchNorm1d(width)
        self.head = (
            Classifier(width, lin_blocks=0, out_neurons=num_speakers)
            if loss == "aam"
            else nn.Linear(width, num_speakers)
        )

    def forward(self, features: Tensor, lens: Tensor | None = None) -> SpeakerScores:
        """Maps (B, T, M) features with (B,) relative lengths; no lengths: all frames are valid."""
        output = self.front_end(features, lens)
        embedding = self.norm(self.pooling(output.feature_map, output.mask))
        return SpeakerScores(embedding, self.head(embedding).flatten(1))  # cosines come as (B, 1, N)
