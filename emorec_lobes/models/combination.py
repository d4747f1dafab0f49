"""Three ways to make one vector of the states of speech and of text; all take and give the same."""

import torch
from torch import Tensor, nn

from emorec_lobes.errors import ConfigError, not_one_of

# Keeps the gradient of the root finite where a state does not move.
_MIN_VARIANCE = 1e-4


def statistics(states: Tensor, mask: Tensor) -> Tensor:
    """Mean and (biased) standard deviation of the valid states: (B, T, H), (B, T) -> (B, 2 * H).

    Example
    -------
    >>> states, mask = torch.tensor([[[1.0], [3.0], [9.0]]]), torch.tensor([[True, True, False]])
    >>> statistics(states, mask).round(decimals=3)
    tensor([[2., 1.]])
    """
    weights = mask.to(states.dtype)
    weights = (weights / weights.sum(dim=1, keepdim=True)).unsqueeze(1)  # (B, T) -> (B, 1, T)
    mean = weights @ states  # (B, 1, T) @ (B, T, H) -> (B, 1, H)
    variance = weights @ (states - mean).square()
    return torch.cat((mean, (variance + _MIN_VARIANCE).sqrt()), dim=-1).squeeze(1)


class Concatenation(nn.Module):
    """Mean and deviation of either side, laid end to end.

    Source: Snyder 2017, "Deep Neural Network Embeddings for Text-Independent Speaker Verification", section 2.2
    (statistics pooling).

    Deviates: of two inputs.

    Arguments
    ---------
    hidden_dim : int
        Width of the states, H.

    Example
    -------
    >>> masks = torch.ones(2, 9, dtype=torch.bool), torch.ones(2, 5, dtype=torch.bool)
    >>> Concatenation(hidden_dim=8)(torch.rand(2, 9, 8), masks[0], torch.rand(2, 5, 8), masks[1]).shape
    torch.Size([2, 32])
    """

    def __init__(self, hidden_dim: int) -> None:
        super().__init__()
        self.output_dim = 4 * hidden_dim

    def forward(self, speech: Tensor, speech_mask: Tensor, text: Tensor, text_mask: Tensor) -> Tensor:
        """States of both sides, (B, T, H) and (B, N, H), with a valid one an item -> (B, output_dim)."""
        return torch.cat((statistics(speech, speech_mask), statistics(text, text_mask)), dim=1)


class GatedSum(nn.Module):
    """One vector a side, and a gate for each of its numbers that says how much of it comes from which side.

    Source: Arevalo 2017, "Gated Multimodal Units for Information Fusion", the unit for two modalities.

    Deviates: nothing, on mean and deviation of each side's states.

    Arguments
    ---------
    hidden_dim : int
        Width of the states and of the sum, H.

    Example
    -------
    >>> masks = torch.ones(2, 9, dtype=torch.bool), torch.ones(2, 5, dtype=torch.bool)
    >>> GatedSum(hidden_dim=8)(torch.rand(2, 9, 8), masks[0], torch.rand(2, 5, 8), masks[1]).shape
    torch.Size([2, 8])
    """

    def __init__(self, hidden_dim: int) -> None:
        super().__init__()
        self.output_dim = hidden_dim
        self.speech = nn.Linear(2 * hidden_dim, hidden_dim)
        self.text = nn.Linear(2 * hidden_dim, hidden_dim)
        self.gate = nn.Linear(4 * hidden_dim, hidden_dim)

    def forward(self, speech: Tensor, speech_mask: Tensor, text: Tensor, text_mask: Tensor) -> Tensor:
        """As `Concatenation.forward`."""
        heard, read = statistics(speech, speech_mask), statistics(text, text_mask)
        gate = self.gate(torch.cat((heard, read), dim=1)).sigmoid()
        return gate * self.speech(heard).tanh() + (1 - gate) * self.text(read).tanh()


class CrossAttention(nn.Module):
    """Each token looks at all frames and each frame at all tokens; then mean and deviation of either side.

    Source: Tsai 2019, "Multimodal Transformer for Unaligned Multimodal Language Sequences", crossmodal attention.

    Deviates: one block a direction, layer norm after it, neither positions nor feed-forward layers.

    Arguments
    ---------
    hidden_dim : int
        Width of the states, H.
    num_heads : int
        Divides H.

    Raises
    ------
    ConfigError
        If `num_heads` does not divide `hidden_dim`.

    Example
    -------
    >>> masks = torch.ones(2, 9, dtype=torch.bool), torch.ones(2, 5, dtype=torch.bool)
    >>> attention = CrossAttention(hidden_dim=8, num_heads=2)
    >>> attention(torch.rand(2, 9, 8), masks[0], torch.rand(2, 5, 8), masks[1]).shape
    torch.Size([2, 32])
    """

    def __init__(self, hidden_dim: int, num_heads: int) -> None:
        super().__init__()
        if hidden_dim % num_heads:
            raise ConfigError(
                f"`num_heads` must divide `hidden_dim` ({hidden_dim}), but is {num_heads} instead. Change one of them."
            )
        self.output_dim = 4 * hidden_dim
        self.frames_to_tokens = nn.MultiheadAttention(hidden_dim, num_heads, batch_first=True)
        self.tokens_to_frames = nn.MultiheadAttention(hidden_dim, num_heads, batch_first=True)
        self.speech_norm = nn.LayerNorm(hidden_dim)
        self.text_norm = nn.LayerNorm(hidden_dim)

    def forward(self, speech: Tensor, speech_mask: Tensor, text: Tensor, text_mask: Tensor) -> Tensor:
        """As `Concatenation.forward`."""
        heard, _ = self.frames_to_tokens(text, speech, speech, key_padding_mask=~speech_mask, need_weights=False)
        read, _ = self.tokens_to_frames(speech, text, text, key_padding_mask=~text_mask, need_weights=False)
        return torch.cat(
            (
                statistics(self.speech_norm(speech + read), speech_mask),
                statistics(self.text_norm(text + heard), text_mask),
            ),
            dim=1,
        )


COMBINATIONS = ("concatenation", "gated_sum", "cross_attention")


def combination(way: str, hidden_dim: int, num_heads: int) -> nn.Module:
    """The part that combines both sides, by the name that a YAML has for it.

    Arguments
    ---------
    way : str
        `concatenation`, `gated_sum` or `cross_attention`.
    hidden_dim : int
        Width of the states, H.
    num_heads : int
        Of cross-attention; the others have none.

    Raises
    ------
    ConfigError
        If there is no such way, or as `CrossAttention`.

    Example
    -------
    >>> combination("gated_sum", hidden_dim=8, num_heads=2).output_dim
    8
    """
    if way not in COMBINATIONS:
        raise ConfigError(not_one_of("combine", way, COMBINATIONS))
    if way == "cross_attention":
        return CrossAttention(hidden_dim, num_heads)
    return Concatenation(hidden_dim) if way == "concatenation" else GatedSum(hidden_dim)
