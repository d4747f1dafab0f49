"""Emotion classifier: all codes of a segment -> one score a class."""

import torch
from torch import Tensor, nn

from emorec_lobes.errors import ConfigError, not_one_of
from emorec_lobes.models.conv_norm import ACTIVATIONS


class EmotionClassifier(nn.Module):
    """Two hidden layers and an output layer over the codes of a segment, laid end to end.

    Source: Makiuchi 2021, Figure 1 and the authors' code (speech/models.py): hidden layers of 128, dropout 0.5 after
    the second, and no activation in between, so that the released classifier is a linear one.

    Deviates: `activation`; the authors have none (activation: null). `statistics` of the segment can stand behind the
    codes; the authors have none.

    Arguments
    ---------
    code_dim : int
        Width of all codes of a segment laid end to end, N * Z: 32 for Small, 12288 for Large.
    statistics_dim : int
        Width of the statistics, S; 0 for none.
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
        If the activation is unknown, or the codes or the statistics have another size.

    Example
    -------
    >>> import torch
    >>> classifier = EmotionClassifier(code_dim=32, hidden_dim=128, num_classes=4, dropout=0.5, activation=None)
    >>> classifier(torch.rand(2, 2, 16)).shape
    torch.Size([2, 4])
    """

    def __init__(
        self,
        code_dim: int,
        hidden_dim: int,
        num_classes: int,
        dropout: float,
        activation: str | None,
        statistics_dim: int = 0,
    ) -> None:
        super().__init__()
        if activation not in ACTIVATIONS:
            raise ConfigError(not_one_of("activation", activation, ACTIVATIONS))
        self.code_dim = code_dim
        self.statistics_dim = statistics_dim
        self.layers = nn.Sequential(
            nn.Linear(code_dim + statistics_dim, hidden_dim),
            ACTIVATIONS[activation](),
            nn.Linear(hidden_dim, hidden_dim),
            ACTIVATIONS[activation](),
            nn.Dropout(dropout),
            nn.Linear(hidden_dim, num_classes),
        )

    def forward(self, codes: Tensor, statistics: Tensor | None = None) -> Tensor:
        """Scores each class from the codes (B, N, Z) and statistics (B, S), before any softmax: (B, K)."""
        flat = codes.flatten(start_dim=1)  # (B, N, Z) -> (B, N * Z), in time order
        if flat.shape[1] != self.code_dim:
            raise ConfigError(
                f"`code_dim` must be {flat.shape[1]} ({codes.shape[1]} codes of {codes.shape[2]}), "
                f"but is {self.code_dim} instead. Set code_dim: {flat.shape[1]}, or change the segment length."
            )
        width = 0 if statistics is None else statistics.shape[1]
        if width != self.statistics_dim:
            raise ConfigError(
                f"`statistics_dim` must be {width}, the statistics of a segment, but is {self.statistics_dim} instead. "
                "Set it to num_statistics * num_layers * encoder_dim."
            )
        return self.layers(flat if statistics is None else torch.cat((flat, statistics.to(flat.dtype)), dim=1))
