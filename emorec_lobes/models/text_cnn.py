"""Text CNN: the tokens of an utterance -> one score a class."""

from collections.abc import Sequence
from itertools import accumulate

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from emorec_lobes.errors import ConfigError
from emorec_lobes.lengths import frames_to_mask, lens_to_frames
from emorec_lobes.models.layer_mix import LayerMix

# The released network takes so many tokens, and averages so many of the positions that it makes of them.
AUTHORS_TOKENS = 122
AUTHORS_POSITIONS = 118


class TextCNN(nn.Module):
    """Convolutions over the token features of a frozen text encoder, and the mean over the utterance.

    Source: Makiuchi 2021, section 3.2, and the authors' code (text/txt_model.py): four convolutions with ReLU, a mean
    over time and an output layer.

    Deviates: the mean is over the positions of the utterance itself, so that neither its neighbours in a batch nor a
    longest length matter, and the scores are not squashed. `authors` follows the released network instead: zeros fill
    every utterance up to 122 tokens, the mean is over the first 118 positions, padding among them, and a sigmoid
    stands before the softmax, which keeps the probabilities of 4 classes in [0.109, 0.475]. What the authors feed it
    is not followed: [SEP] and the encoder's answers to [PAD] are not among the tokens. `layer_mix` and `dropout`; the
    authors have the last layer and none.

    Arguments
    ---------
    encoder_dim : int
        Width of a token, D.
    channels, kernel_sizes : sequence of int
        Of the convolutions, first to last.
    padding : int
        Zeros on either side of each convolution's input.
    num_classes : int
        K.
    dropout : float
        Share of the token features, and of what the output layer sees, dropped in training, in [0, 1).
    authors : bool
        Whether to be the released network.
    layer_mix : LayerMix
        Averages the stored layers; with a single one there is nothing to mix, and it is left out.

    Raises
    ------
    ConfigError
        If the sizes do not go together, the dropout is out of range, or the input has other sizes.

    Example
    -------
    >>> cnn = TextCNN(1024, channels=[256, 256, 128, 64], kernel_sizes=[1, 1, 8, 4], padding=1, num_classes=4,
    ...               dropout=0.0, authors=False, layer_mix=LayerMix(num_layers=1, mode="ratio"))
    >>> cnn(torch.rand(2, 20, 1, 1024), lens=torch.tensor([1.0, 0.35])).shape
    torch.Size([2, 4])
    >>> sum(parameter.numel() for parameter in cnn.parameters())
    623556
    """

    def __init__(
        self,
        encoder_dim: int,
        channels: Sequence[int],
        kernel_sizes: Sequence[int],
        padding: int,
        num_classes: int,
        dropout: float,
        authors: bool,
        layer_mix: LayerMix,
    ) -> None:
        super().__init__()
        if len(channels) != len(kernel_sizes):
            raise ConfigError(
                f"`kernel_sizes` must be as many as `channels` ({len(channels)}), but are {len(kernel_sizes)} instead. "
                "Set both."
            )
        if not 0 <= dropout < 1:
            raise ConfigError(f"`dropout` must be from 0 up to, but not, 1, but is {dropout} instead. Change it.")
        self.encoder_dim = encoder_dim
        self.authors = authors
        self.max_tokens = AUTHORS_TOKENS if authors else None  # None takes any number
        self.layer_mix = layer_mix if layer_mix.num_layers > 1 else None
        widths = zip([encoder_dim, *channels], channels, kernel_sizes, strict=False)
        self.convs = nn.ModuleList(nn.Conv1d(*sizes, padding=padding) for sizes in widths)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(channels[-1], num_classes)
        self._growth = [2 * padding + 1 - kernel_size for kernel_size in kernel_sizes]  # positions a convolution adds
        # An utterance that its convolutions would leave nothing of counts as followed by zeros up to this many tokens.
        self.min_tokens = max(1, 1 - min(accumulate(self._growth)))
        if authors and AUTHORS_TOKENS + sum(self._growth) < AUTHORS_POSITIONS:
            raise ConfigError(
                f"`kernel_sizes` must leave {AUTHORS_POSITIONS} positions of {AUTHORS_TOKENS} tokens as the authors' "
                f"do, but are {list(kernel_sizes)} instead. Drop them."
            )

    def forward(self, tokens: Tensor, lens: Tensor) -> Tensor:
        """Scores each class, before any softmax.

        Arguments
        ---------
        tokens : torch.Tensor, (B, N, L, D)
            In any float dtype; whatever stands behind an utterance's own tokens counts for nothing.
        lens : torch.Tensor, (B,)
            Relative lengths: tokens of an utterance as a fraction of N.

        Returns
        -------
        torch.Tensor, (B, K)
        """
        counts = lens_to_frames(lens, tokens.shape[1])
        hidden = self._one_layer(tokens).transpose(1, 2)  # (B, N, D) -> (B, D, N)
        hidden = _masked(hidden, counts)
        counts, num_tokens = self._lengths(counts, tokens.shape[1])
        hidden = self.dropout(pad(hidden, (0, num_tokens - tokens.shape[1])))
        for conv, growth in zip(self.convs, self._growth, strict=True):
            counts = counts + growth
            # Behind its last position an utterance is followed by zeros, as it is when it is alone.
            hidden = _masked(conv(hidden).relu(), counts)
        if self.authors:
            hidden, counts = hidden[:, :, :AUTHORS_POSITIONS], torch.full_like(counts, AUTHORS_POSITIONS)
        pooled = hidden.sum(dim=2) / counts.unsqueeze(1)  # (B, C, N) -> (B, C)
        scores = self.output(self.dropout(pooled))
        return scores.sigmoid() if self.authors else scores

    def _one_layer(self, tokens: Tensor) -> Tensor:
        """(B, N, L, D) -> (B, N, D), in the precision of the weights."""
        if tokens.shape[3] != self.encoder_dim:
            raise ConfigError(
                f"`encoder_dim` must be {tokens.shape[3]}, the width of the features, but is {self.encoder_dim} "
                "instead. Set it to the encoder's."
            )
        if self.layer_mix is not None:
            return self.layer_mix(tokens)
        if tokens.shape[2] != 1:
            raise ConfigError(
                f"`num_layers` must be {tokens.shape[2]}, the layers in the features, but is 1 instead. Set it."
            )
        return tokens.squeeze(2).to(self.output.weight.dtype)

    def _lengths(self, counts: Tensor, num_tokens: int) -> tuple[Tensor, int]:
        """The tokens that each utterance counts as having, and the length of the batch."""
        if not self.authors:
            return counts.clamp(min=self.min_tokens), max(num_tokens, self.min_tokens)
        if num_tokens > AUTHORS_TOKENS:
            raise ConfigError(
                f"`tokens` must be at most {AUTHORS_TOKENS} an utterance for the authors' network, but are "
                f"{num_tokens} instead. Extract them with max_tokens: {AUTHORS_TOKENS}."
            )
        return torch.full_like(counts, AUTHORS_TOKENS), AUTHORS_TOKENS


def _masked(hidden: Tensor, counts: Tensor) -> Tensor:
    """(B, C, N) with zeros behind the first `counts` positions, whatever stood there."""
    mask = frames_to_mask(counts, hidden.shape[2])  # (B, N)
    return hidden.masked_fill(~mask.unsqueeze(1), 0)
