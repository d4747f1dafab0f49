"""The loss of an emotion classifier, whether a target is a class or shares of the classes."""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, nll_loss

from emorec_lobes.ranks import rank_weight


def emotion_loss(
    scores: Tensor, targets: Tensor, class_weights: list[float] | None = None, label_smoothing: float = 0.0
) -> Tensor:
    """Cross-entropy, weighted and smoothed.

    With shares as targets, an utterance weighs what its shares of the class weights sum to. Shares that are all for
    one class give, to the last digit, the loss of that class. Where several processes train, the mean is over the
    utterances of all.

    Arguments
    ---------
    scores : torch.Tensor, (B, K)
        Before any softmax.
    targets : torch.Tensor, (B,) or (B, K)
        Classes, or shares of them that sum to 1.
    class_weights : list of float, (K,), optional
    label_smoothing : float
        In [0, 1).

    Returns
    -------
    torch.Tensor, ()

    Example
    -------
    >>> scores = torch.tensor([[2.0, 0.0], [0.5, 1.0]])
    >>> emotion_loss(scores, torch.tensor([0, 1])) == emotion_loss(scores, torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
    tensor(True)
    >>> even = torch.full((2, 2), 0.5)  # half of what either class alone would cost
    >>> round(float(emotion_loss(scores, even)), 4)
    0.9255
    """
    weights = None if class_weights is None else torch.tensor(class_weights, dtype=torch.float32, device=scores.device)
    if targets.dim() == 1:
        loss = cross_entropy(scores, targets, weight=weights, label_smoothing=label_smoothing)
        return loss if weights is None else loss * rank_weight(weights[targets].sum())
    logs = scores.float().log_softmax(dim=1)
    weights = torch.ones_like(logs[0]) if weights is None else weights
    weighed = targets * weights  # (B, K)
    counted = weighed.sum(dim=1)
    share = rank_weight(counted.sum())
    loss = _total(-(weighed * logs).sum(dim=1)) / _total(counted) * share
    if not label_smoothing:
        return loss
    evenly = -(logs * weights).sum(dim=1).sum() / counted.sum() * share
    return (1 - label_smoothing) * loss + evenly * (label_smoothing / logs.shape[1])


def _total(values: Tensor) -> Tensor:
    """The sum over utterances, (B,) -> (), in the order in which PyTorch adds up losses of classes."""
    return nll_loss(-values.unsqueeze(1), torch.zeros_like(values, dtype=torch.long), reduction="sum")
