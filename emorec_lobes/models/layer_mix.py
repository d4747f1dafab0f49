"""One learnt weight a layer: the layers of a speech encoder -> one feature vector a frame."""

import torch
from torch import Tensor, nn

from emorec_lobes.errors import ConfigError, not_one_of

MODES = ("ratio", "softmax")


class LayerMix(nn.Module):
    """Weighted average of an encoder's layers, one trainable scalar a layer.

    Source: Makiuchi, Uto, Shinoda, "Multimodal Emotion Recognition with High-level Speech and Text
    Features", ASRU 2021, eq. 1: sum of a_i h_i over sum of a_i, all a_i starting at 1.

    Deviates: nothing in mode `ratio`. Its a_i may change sign, so their sum may come near zero and the
    average grow without bound; `forward` does not look (that would stall an accelerator on every step),
    so it shows as a loss that is not finite, and `weights` refuses. Mode `softmax` has no such point.

    Arguments
    ---------
    num_layers : int
        Layers of the encoder, L: 25 for wav2vec 2.0 large.
    mode : str
        `ratio` for eq. 1, or `softmax` for weights that stay positive and sum to 1.
    num_used : int, optional
        Layers that are given, the lowest ones, and keep the shares that they have among all; all by default.

    Raises
    ------
    ConfigError
        If the mode is unknown, or the input has another number of layers.

    Example
    -------
    >>> mix = LayerMix(num_layers=25, mode="ratio")
    >>> mix(torch.rand(2, 96, 25, 1024)).shape
    torch.Size([2, 96, 1024])
    >>> mix.weights.shape
    torch.Size([25])
    """

    def __init__(self, num_layers: int, mode: str, num_used: int | None = None) -> None:
        super().__init__()
        if mode not in MODES:
            raise ConfigError(not_one_of("mode", mode, MODES))
        self.num_layers = num_layers
        self.num_used = num_layers if num_used is None else num_used
        self.mode = mode
        self.raw_weights = nn.Parameter(torch.ones(num_layers))

    def forward(self, layers: Tensor) -> Tensor:
        """Averages over the layers, in the precision of the weights.

        Arguments
        ---------
        layers : torch.Tensor, (B, T, L, D)
            The layers of each frame, in any float dtype.

        Returns
        -------
        torch.Tensor, (B, T, D)
        """
        num_items, num_frames, num_layers, _ = layers.shape
        if num_layers != self.num_used:
            raise ConfigError(
                f"`num_layers` must be {num_layers}, the layers in the features, but is {self.num_used} instead. "
                f"Set num_layers: {num_layers}, or extract the features with the encoder the model was made for."
            )
        weights = self._normalised()[: self.num_used]
        # Expanded by hand: a broadcasting matmul would copy all the layers to fold the batch first.
        weights = weights.expand(num_items, num_frames, 1, num_layers)
        return torch.matmul(weights, layers.to(weights.dtype)).squeeze(2)  # (B, T, 1, D) -> (B, T, D)

    @property
    def weights(self) -> Tensor:
        """The share of each layer, summing to 1, for reading: (L,), detached.

        Raises
        ------
        ConfigError
            If the weights of mode `ratio` cancel, so that their shares mean nothing.
        """
        raw = self.raw_weights.detach()
        rounding_error = self.num_layers * torch.finfo(raw.dtype).eps * raw.abs().sum()
        # "Not above" rather than "below", so that NaN is refused as well.
        if self.mode == "ratio" and not raw.sum().abs() > rounding_error:
            raise ConfigError(
                f"`raw_weights` must not sum to zero, but sum to {raw.sum().item():.3g} instead. "
                "Train with the layer mix in mode: softmax, or with a lower learning rate."
            )
        return self._normalised().detach()

    def _normalised(self) -> Tensor:
        if self.mode == "softmax":
            return self.raw_weights.softmax(dim=0)
        return self.raw_weights / self.raw_weights.sum()
