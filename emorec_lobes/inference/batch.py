"""What goes through a system together, and what comes out of it."""

import threading
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from emorec_lobes.errors import DataError
from emorec_lobes.features.store_values import clipped


class Batch(NamedTuple):
    """Utterances, each with what is there of it."""

    waves: list[Tensor]
    """(S,) at 16 kHz; without a sample where there is only text."""
    texts: list[str | None]
    names: list[str]
    """What errors call them."""

    def part(self, indices: Sequence[int]) -> "Batch":
        """Some of them."""
        return Batch(*([column[index] for index in indices] for column in self))


class Scores(NamedTuple):
    """What a system says of a batch; on the CPU, in single precision."""

    probabilities: Tensor
    """(B, K)."""
    embeddings: Tensor
    """(B, E): what the classifier saw, the mean over an utterance's segments."""


class Tap:
    """Keeps what a module was given last, for each thread by itself.

    Example
    -------
    >>> layer = nn.Linear(2, 3)
    >>> tap = Tap(layer)
    >>> _ = layer(torch.ones(1, 2))
    >>> tap.seen
    tensor([[1., 1.]])
    """

    def __init__(self, module: nn.Module) -> None:
        self._of_thread = threading.local()
        module.register_forward_pre_hook(self._keep)

    @property
    def seen(self) -> Tensor:
        """The first argument of the last call."""
        return self._of_thread.seen

    def _keep(self, module: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        self._of_thread.seen = arguments[0]


def weighted_means(rows: Tensor, weights: Tensor, owners: Tensor, num_items: int) -> Tensor:
    """The mean of each item's rows: (N, K), (N,), (N,) item of each row -> (num_items, K), on the CPU.

    Example
    -------
    >>> weighted_means(torch.tensor([[1.0], [4.0], [7.0]]), torch.tensor([2.0, 1.0, 1.0]), torch.tensor([0, 0, 1]), 2)
    tensor([[2.],
            [7.]])
    """
    rows, weights, owners = rows.float().cpu(), weights.float().cpu(), owners.cpu()
    # Not a matrix product: on a GPU that may be rounded to ten bits.
    sums = rows.new_zeros(num_items, rows.shape[1]).index_add_(0, owners, rows * weights.unsqueeze(-1))
    return sums / rows.new_zeros(num_items).index_add_(0, owners, weights).unsqueeze(-1)


def as_stored(values: Tensor) -> Tensor:
    """Rounded and clipped to half precision, as the store keeps features in training.

    Example
    -------
    >>> as_stored(torch.tensor([1.0001, -1e6])).tolist()
    [1.0, -65504.0]
    """
    return clipped(values, "float16").float()


def check_finite(values: Sequence[Tensor], names: Sequence[str], what: str) -> None:
    """Refuses features of an utterance that are not finite; `what` made them."""
    for each, name in zip(values, names, strict=True):
        if not torch.isfinite(each).all():
            raise DataError(f"The layers of {name} must be finite, but are not. Check the weights of {what}.")
