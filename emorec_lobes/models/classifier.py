"""Emotion classifier: all codes of a segment -> one score a class."""

from torch import Tensor, nn

from emorec_lobes.errors import ConfigError, not_one_of
from emorec_lobes.models.conv_norm import ACTIVATIONS


class EmotionClassifier(nn.Module):
    """Two hidden layers and an output layer over the codes of a segment, laid end to end.

    Source: Makiuchi 2021, Figure 1 and the authors' code (speech/models.py): hidden layers of 128, dropout 0.5 after
    the second, and no activation in between, so that the released classifier is a linear one.

    Deviates: `activation`; the authors have none (activation: null).

    Arguments
    ---------
    code_dim : int
        Width of all codes of a segment laid end to end, N * Z: 32 for Small, 12288 for Large.
    hidden_dim : int
    num_classes : int
        K.
    dropout : float
        Share of the second hidden layer dropped in training, in [0, 1).
    activation : str, optional
        After each hidden layer: None, `relu` or `tanh`.

    Raises
    ------
    ConfigError
        If the activation is unknown, or the codes have another size.

    Example
    -------
    >>> import torch
    >>> classifier = EmotionClassifier(code_dim=32, hidden_dim=128, num_classes=4, dropout=0.5, activation=None)
    >>> classifier(torch.rand(2, 2, 16)).shape
    torch.Size([2, 4])
    """

    def __init__(
        self, code_dim: int, hidden_dim: int, num_classes: int, dropout: float, activation: str | None
    ) -> None:
        super().__init__()
        if activation not in ACTIVATIONS:
            raise ConfigError(not_one_of("activation", activation, ACTIVATIONS))
        self.code_dim = code_dim
        self.layers = nn.Sequential(
            nn.Linear(code_dim, hidden_dim),
            ACTIVATIONS[activation](),
            nn.Linear(hidden_dim, hidden_dim),
            ACTIVATIONS[activation](),
            nn.Dropout(dropout),
            nn.Linear(hidden_dim, num_classes),
        )

    def forward(self, codes: Tensor) -> Tensor:
        """Scores each class from the codes (B, N, Z), before any softmax: (B, K)."""
        flat = codes.flatten(start_dim=1)  # (B, N, Z) -> (B, N * Z), in time order
        if flat.shape[1] != self.code_dim:
            raise ConfigError(
                f"`code_dim` must be {flat.shape[1]} ({codes.shape[1]} codes of {codes.shape[2]}), "
                f"but is {self.code_dim} instead. Set code_dim: {flat.shape[1]}, or change the segment length."
            )
        return self.layers(flat)
