"""Relative lengths -> frame counts and masks, in one place.

SpeechBrain hands lengths over as fractions of the longest item in the batch. Comparing
`frame < lens * T` as floats lets a padded frame in for 7 frames of 13; rounding to the
nearest frame count does not.
"""

import torch
from torch import Tensor


def lens_to_frames(lens: Tensor, num_frames: int) -> Tensor:
    """Frame counts from relative lengths.

    Arguments
    ---------
    lens : torch.Tensor, (B,)
        Fractions of `num_frames`, in (0, 1].
    num_frames : int
        Frames of the padded batch, T.

    Returns
    -------
    torch.Tensor, (B,), int64

    Example
    -------
    >>> lens_to_frames(torch.tensor([7 / 13, 1.0]), 13)
    tensor([ 7, 13])
    """
    return torch.round(lens * num_frames).long().clamp_(max=num_frames)


def frames_to_mask(frames: Tensor, num_frames: int) -> Tensor:
    """Mask of valid frames: (B,) counts -> (B, T) bool.

    Example
    -------
    >>> frames_to_mask(torch.tensor([1, 3]), 3)
    tensor([[ True, False, False],
            [ True,  True,  True]])
    """
    positions = torch.arange(num_frames, device=frames.device)
    return positions < frames.unsqueeze(-1)  # (T,) < (B, 1) -> (B, T)


def lens_to_mask(lens: Tensor, num_frames: int) -> Tensor:
    """Mask of valid frames: (B,) relative lengths -> (B, T) bool.

    Example
    -------
    >>> lens_to_mask(torch.tensor([0.5, 1.0]), 2)
    tensor([[ True, False],
            [ True,  True]])
    """
    return frames_to_mask(lens_to_frames(lens, num_frames), num_frames)
