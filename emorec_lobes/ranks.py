"""What the processes of one training must know of each other, so that together they do what one would do alone."""

import torch
from torch import Tensor, distributed, nn
from torch.distributed.nn.functional import all_reduce


def num_ranks() -> int:
    """The processes that train together."""
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


def rank_weight(amount: Tensor) -> Tensor | float:
    """What a mean over this process's part of a batch weighs in the mean over the whole batch.

    Processes average their gradients, as if each had an equal part. A mean over valid frames, or one with class
    weights, is over more in one process than in another: times this, the average is the mean over all.

    Arguments
    ---------
    amount : torch.Tensor, ()
        What the process's own mean is divided by.

    Returns
    -------
    torch.Tensor, () or float
        1 where there is one process.

    Example
    -------
    >>> rank_weight(torch.tensor(96))
    1.0
    """
    if num_ranks() == 1:
        return 1.0
    total = amount.detach().float().clone()
    distributed.all_reduce(total)
    return amount * num_ranks() / total.clamp_min(torch.finfo(total.dtype).tiny)


def sum_over_ranks(values: Tensor, norm: nn.Module) -> Tensor:
    """The sum over all processes if the layer is a SyncBatchNorm, with gradients; else the values themselves.

    Example
    -------
    >>> sum_over_ranks(torch.tensor([1.0, 2.0]), nn.BatchNorm1d(2))
    tensor([1., 2.])
    """
    return all_reduce(values) if isinstance(norm, nn.SyncBatchNorm) and num_ranks() > 1 else values
