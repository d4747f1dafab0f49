"""What a training item's target is: a class, or shares of the classes."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import one_hot


def training_target(
    utterance_id: str, index: int, num_classes: int, soft_targets: Mapping[str, Tensor] | None
) -> int | Tensor:
    """The target of a training item.

    Arguments
    ---------
    utterance_id : str
    index : int
        Class of its label.
    num_classes : int
        K.
    soft_targets : mapping, optional
        id -> shares of the classes, (K,), summing to 1; None where targets are classes.

    Returns
    -------
    int or torch.Tensor, (K,)
        The class without `soft_targets`; else the utterance's shares, or, if it has none, all for its class.

    Example
    -------
    >>> shares = {"u1": torch.tensor([0.75, 0.25])}
    >>> training_target("u1", 1, 2, None)
    1
    >>> training_target("u1", 1, 2, shares), training_target("u2", 1, 2, shares)
    (tensor([0.7500, 0.2500]), tensor([0., 1.]))
    """
    if soft_targets is None:
        return index
    if utterance_id in soft_targets:
        return soft_targets[utterance_id]
    return one_hot(torch.tensor(index), num_classes).float()
