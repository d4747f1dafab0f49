"""Speech and text in one classifier.

layers (B, T, L, D), num_frames (B,) --ModalityEncoder--> states (B, T, H) --|
                                                                             |--combination--> (B, C) --> logits (B, K)
tokens (B, N, L, D), num_tokens (B,) --ModalityEncoder--> states (B, N, H) --|
"""

import torch
from torch import Tensor, nn

from emorec_lobes.errors import ConfigError
from emorec_lobes.lengths import frames_to_mask
from emorec_lobes.models.layer_mix import LayerMix


class ModalityEncoder(nn.Module):
    """One side: the layers of a frozen encoder -> narrow states; a learnt state stands in where the side is missing.

    Source: Makiuchi 2021, eq. 1, for the layer mix; else none.

    Deviates: nothing.

    Arguments
    ---------
    num_layers : int
        L.
    encoder_dim : int
        Width of a layer, D.
    hidden_dim : int
        Width of the states, H.
    dropout : float
        Share of the features, and of the states, dropped in training, in [0, 1).
    layer_mix : LayerMix, optional
        Averages the layers; without it, and for a single one, they are taken side by side, L * D numbers a frame.

    Raises
    ------
    ConfigError
        If the dropout is out of range, or the input has other sizes.

    Example
    -------
    >>> side = ModalityEncoder(num_layers=3, encoder_dim=256, hidden_dim=8, dropout=0.5, layer_mix=None)
    >>> states, mask = side(torch.rand(2, 4, 3, 256), torch.tensor([4, 0]))
    >>> states.shape, mask.sum(dim=1)
    (torch.Size([2, 4, 8]), tensor([4, 1]))
    """

    def __init__(
        self, num_layers: int, encoder_dim: int, hidden_dim: int, dropout: float, layer_mix: LayerMix | None
    ) -> None:
        super().__init__()
        if not 0 <= dropout < 1:
            raise ConfigError(f"`dropout` must be from 0 up to, but not, 1, but is {dropout} instead. Change it.")
        self.sizes = (num_layers, encoder_dim)
        self.layer_mix = layer_mix if num_layers > 1 else None
        self.norm = nn.LayerNorm(encoder_dim)
        self.projection = nn.Sequential(
            nn.Flatten(start_dim=2),  # (B, T, L, D) -> (B, T, L * D)
            nn.Dropout(dropout),
            nn.Linear(encoder_dim * (1 if self.layer_mix else num_layers), hidden_dim),
            nn.GELU(),
            nn.Dropout(dropout),
        )
        self.stand_in = nn.Parameter(torch.zeros(hidden_dim))

    def forward(self, layers: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
        """Narrows each frame or token.

        Arguments
        ---------
        layers : torch.Tensor, (B, T, L, D)
            In any float dtype; whatever stands behind an item's own ones counts for nothing.
        counts : torch.Tensor, (B,), integer
            Valid frames or tokens of each item; 0 where this side is missing.

        Returns
        -------
        states : torch.Tensor, (B, T, H)
        mask : torch.Tensor, (B, T), bool
            True on valid states, of which each item has one at least.
        """
        if tuple(layers.shape[2:]) != self.sizes:
            raise ConfigError(
                f"`num_layers` and `encoder_dim` must be {layers.shape[2]} and {layers.shape[3]}, as in the features, "
                f"but are {self.sizes[0]} and {self.sizes[1]} instead. Set them to the encoder's."
            )
        mask = frames_to_mask(counts, layers.shape[1])
        # Before anything is computed: a NaN times a gradient of 0 would be NaN.
        layers = layers.masked_fill(~mask[:, :, None, None], 0).to(self.stand_in.dtype)
        if self.layer_mix is not None:
            layers = self.layer_mix(layers).unsqueeze(2)  # (B, T, L, D) -> (B, T, 1, D)
        states = self.projection(self.norm(layers))
        placed = torch.zeros_like(mask)
        placed[:, 0] = counts == 0
        return torch.where(placed.unsqueeze(-1), self.stand_in, states), mask | placed


class SpeechTextClassifier(nn.Module):
    """Names the emotion from speech and text, or from the one of them that is there.

    In training an item that has both loses one of them now and then, so that either alone is enough. An item without a
    side has the learnt state of `ModalityEncoder` in its place, and nothing of what stands there reaches the answer.

    Source: Neverova 2016, "ModDrop: Adaptive Multi-Modal Gesture Recognition", for the dropped modality.

    Deviates: of two modalities never both are dropped; a learnt state instead of zeros.

    Arguments
    ---------
    speech, text : ModalityEncoder
        Of the same width of states.
    combination : torch.nn.Module
        `Concatenation`, `GatedSum` or `CrossAttention`.
    num_classes : int
        K.
    dropout : float
        Share of what the output layer sees, dropped in training, in [0, 1).
    modality_dropout : float
        How often an item with both sides is trained on with one of them, either as often as the other, in [0, 1].

    Raises
    ------
    ConfigError
        If a share is out of range.

    Example
    -------
    >>> from emorec_lobes.models.combination import combination
    >>> model = SpeechTextClassifier(
    ...     speech=ModalityEncoder(num_layers=3, encoder_dim=256, hidden_dim=8, dropout=0.5, layer_mix=None),
    ...     text=ModalityEncoder(num_layers=1, encoder_dim=384, hidden_dim=8, dropout=0.5, layer_mix=None),
    ...     combination=combination("cross_attention", hidden_dim=8, num_heads=2),
    ...     num_classes=4, dropout=0.5, modality_dropout=0.2,
    ... )
    >>> model(torch.rand(2, 96, 3, 256), torch.tensor([96, 50]), torch.rand(2, 7, 1, 384), torch.tensor([7, 0])).shape
    torch.Size([2, 4])
    """

    def __init__(
        self,
        speech: ModalityEncoder,
        text: ModalityEncoder,
        combination: nn.Module,
        num_classes: int,
        dropout: float,
        modality_dropout: float,
    ) -> None:
        super().__init__()
        if not 0 <= modality_dropout <= 1:
            raise ConfigError(f"`modality_dropout` must be from 0 to 1, but is {modality_dropout} instead. Change it.")
        self.speech = speech
        self.text = text
        self.combination = combination
        self.modality_dropout = modality_dropout
        self.output = nn.Sequential(nn.Dropout(dropout), nn.Linear(combination.output_dim, num_classes))

    def forward(self, layers: Tensor, num_frames: Tensor, tokens: Tensor, num_tokens: Tensor) -> Tensor:
        """Scores each class, before any softmax.

        Arguments
        ---------
        layers : torch.Tensor, (B, T, L, D), any float dtype
            Of the speech encoder.
        num_frames : torch.Tensor, (B,), integer
            Valid frames of each item; 0 where there is no speech.
        tokens : torch.Tensor, (B, N, L, D), any float dtype
            Of the text encoder, with sizes of its own.
        num_tokens : torch.Tensor, (B,), integer
            Valid tokens of each item; 0 where there is no text.

        Returns
        -------
        torch.Tensor, (B, K)
        """
        if self.training:
            num_frames, num_tokens = hide_one(num_frames, num_tokens, self.modality_dropout)
        return self.output(self.combination(*self.speech(layers, num_frames), *self.text(tokens, num_tokens)))


def hide_one(num_frames: Tensor, num_tokens: Tensor, rate: float) -> tuple[Tensor, Tensor]:
    """The counts, of which one is 0 now and then where neither was: (B,), (B,) -> (B,), (B,).

    Draws from torch's own random state, as dropout does.

    Example
    -------
    >>> hide_one(torch.tensor([5]), torch.tensor([3]), rate=0.0)
    (tensor([5]), tensor([3]))
    """
    draw = torch.rand(len(num_frames), device=num_frames.device)
    has_both = (num_frames > 0) & (num_tokens > 0)
    hides_speech = has_both & (draw < rate / 2)
    hides_text = has_both & (draw >= rate / 2) & (draw < rate)
    return num_frames.masked_fill(hides_speech, 0), num_tokens.masked_fill(hides_text, 0)
