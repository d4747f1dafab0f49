"""Reconstruction losses over the valid frames of a padded batch."""

from torch import Tensor

from emorec_lobes.errors import ConfigError
from emorec_lobes.lengths import frames_to_mask
from emorec_lobes.ranks import rank_weight


def masked_mse(estimate: Tensor, target: Tensor, num_valid: Tensor | None = None) -> Tensor:
    """Mean squared error over valid frames and all their channels.

    The two shapes must be equal, since broadcasting would compare each item with every other one (as AutoVC's
    own loss did). What stands beyond the valid frames, not-a-number included, moves neither loss nor gradient.

    Source: Makiuchi 2021, eq. 2, read as the mean over all elements, as the authors' code has it.

    Deviates: `num_valid` leaves padded frames out; the mean is over the valid ones of all processes of a training;
    without it, nothing.

    Arguments
    ---------
    estimate : torch.Tensor, (B, T, D)
    target : torch.Tensor, (B, T, D), any float dtype
    num_valid : torch.Tensor, (B,), integer, optional
        Valid frames of each item; None counts them all.

    Returns
    -------
    torch.Tensor, ()

    Raises
    ------
    ConfigError
        If the shapes differ.

    Example
    -------
    >>> import torch
    >>> estimate, target = torch.zeros(1, 3, 80), torch.ones(1, 3, 80)
    >>> target[:, 2] = 100.0
    >>> masked_mse(estimate, target, num_valid=torch.tensor([2]))
    tensor(1.)
    """
    if estimate.shape != target.shape:
        raise ConfigError(
            f"`estimate` must have the shape of the target, {tuple(target.shape)}, "
            f"but has {tuple(estimate.shape)} instead. Check num_mels and the segment length."
        )
    error = estimate.float() - target.float()
    if num_valid is None:
        return error.square().mean()
    valid = frames_to_mask(num_valid, error.shape[1])
    # Before squaring: the gradient of a padded frame is then zero even where its content is not finite.
    error = error.masked_fill(~valid.unsqueeze(-1), 0)  # (B, T) -> (B, T, 1)
    count = valid.sum()
    return error.square().sum() / (count.clamp(min=1) * error.shape[2]) * rank_weight(count)
