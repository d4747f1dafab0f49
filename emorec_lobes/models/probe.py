"""A probe: a network that is shown a frozen network's vectors, and asked what else they tell."""

from collections.abc import Sequence

from torch import Tensor, nn

from emorec_lobes.errors import ConfigError

# Makiuchi 2021, section 6.2.
HIDDEN_DIMS = (2048, 1024, 1024)


class Probe(nn.Module):
    """Linear layers with Softplus in between.

    Source: Makiuchi 2021, section 6.2: four linear layers of 2048, 1024, 1024 and 8 neurons name the speaker. What
    stands between them is not stated; the authors' code has Softplus, no dropout, and 10 outputs.

    Deviates: as many outputs as there are classes.

    Arguments
    ---------
    input_dim : int
        Width of the probed vectors.
    hidden_dims : sequence of int
        Width of each hidden layer; `HIDDEN_DIMS` in the paper.
    num_classes : int

    Raises
    ------
    ConfigError
        If a width is not positive.

    Example
    -------
    >>> import torch
    >>> probe = Probe(input_dim=32, hidden_dims=HIDDEN_DIMS, num_classes=8)
    >>> probe(torch.rand(5, 32)).shape
    torch.Size([5, 8])
    """

    def __init__(self, input_dim: int, hidden_dims: Sequence[int], num_classes: int) -> None:
        super().__init__()
        widths = [input_dim, *hidden_dims]
        if min(*widths, num_classes) < 1:
            raise ConfigError(f"The widths of a probe must be 1 or more, but are {[*widths, num_classes]} instead.")
        layers: list[nn.Module] = []
        for narrow, wide in zip(widths, hidden_dims, strict=False):
            layers += [nn.Linear(narrow, wide), nn.Softplus()]
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-1], num_classes))

    def forward(self, vectors: Tensor) -> Tensor:
        """Scores classes before any softmax: (B, D) -> (B, K)."""
        return self.layers(vectors)
