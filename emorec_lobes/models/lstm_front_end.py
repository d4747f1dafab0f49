"""A stack of LSTMs as a front end: the shape of Resemblyzer's speaker network."""

import torch
from torch import Tensor, nn

from emorec_lobes.models.feature_map import as_map, zero_padding
from emorec_lobes.models.front_end import FrontEndOutput, run_blocks


class LSTMStack(nn.Module):
    """LSTM layers one upon the other; the states of all of them stand side by side.

    Source: Wan 2018, "Generalized End-to-End Loss for Speaker Verification", section 3: three layers.

    Deviates: the paper goes on from the last layer alone.

    Arguments
    ---------
    input_dim, hidden_dim, num_layers : int

    Example
    -------
    >>> LSTMStack(input_dim=40, hidden_dim=256, num_layers=3)(torch.rand(2, 1, 40, 25), None)[0].shape
    torch.Size([2, 768, 1, 25])
    """

    def __init__(self, input_dim: int, hidden_dim: int, num_layers: int) -> None:
        super().__init__()
        sizes = [input_dim] + [hidden_dim] * (num_layers - 1)
        self.lstms = nn.ModuleList(nn.LSTM(size, hidden_dim, batch_first=True) for size in sizes)

    def forward(self, feature_map: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Maps (B, 1, M, T) and its mask to (B, num_layers * hidden_dim, 1, T) and the same mask."""
        hidden = feature_map.squeeze(1).transpose(1, 2)  # (B, 1, M, T) -> (B, T, M)
        states = []
        for lstm in self.lstms:  # they look back only: padding, which follows, changes no valid frame
            hidden, _ = lstm(hidden)
            states.append(hidden)
        return zero_padding(as_map(torch.cat(states, dim=2)), mask), mask


class LSTMFrontEnd(nn.Module):
    """`LSTMStack` as a front end of one block, called `layers`.

    Source: as `LSTMStack`.

    Deviates: as `LSTMStack`.

    Arguments
    ---------
    input_dim : int
        Features of a frame.
    hidden_dim, num_layers : int

    Example
    -------
    >>> front_end = LSTMFrontEnd(input_dim=40, hidden_dim=256, num_layers=3)
    >>> front_end(torch.rand(2, 200, 40), lens=torch.tensor([1.0, 0.5])).feature_map.shape
    torch.Size([2, 768, 1, 200])
    >>> front_end.widths
    {'layers': 768}
    """

    def __init__(self, input_dim: int, hidden_dim: int, num_layers: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleDict({"layers": LSTMStack(input_dim, hidden_dim, num_layers)})
        self.output_dim = num_layers * hidden_dim
        self.widths = {"layers": self.output_dim}

    def forward(self, features: Tensor, lens: Tensor | None = None) -> FrontEndOutput:
        """Maps (B, T, M) features with (B,) relative lengths to (B, C, 1, T); no lengths: all frames are valid."""
        return run_blocks(self.blocks, nn.ModuleDict(), features, lens)
