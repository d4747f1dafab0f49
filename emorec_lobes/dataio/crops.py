"""Which frames of an utterance a model sees: one random crop, or all consecutive segments."""

from torch import Tensor


def crop_start(fraction: float, num_frames: int, crop_frames: int, reaches_end: bool = True) -> int:
    """First frame of a random crop.

    Source: Makiuchi 2021, section 4.2.
    Deviates: the last possible start can be drawn; the authors' exclusive bound never
    reaches it (`reaches_end=False` brings that back).

    Arguments
    ---------
    fraction : float
        Uniform draw in [0, 1).
    num_frames, crop_frames : int
        Frames there are, and frames wanted. A shorter utterance starts at 0.
    reaches_end : bool
        Whether the last frame can be in a crop.

    Example
    -------
    >>> crop_start(0.999, 100, 96), crop_start(0.999, 100, 96, reaches_end=False), crop_start(0.5, 50, 96)
    (4, 3, 0)
    """
    starts = num_frames - crop_frames + (1 if reaches_end else 0)
    return int(fraction * max(starts, 1))


def segment_bounds(num_frames: int, crop_frames: int, keep_single_frame_tail: bool = True) -> list[tuple[int, int]]:
    """Consecutive segments that cover an utterance; the last may be shorter.

    Source: Makiuchi 2021, section 4.2.
    Deviates: a tail of one frame is kept; the authors drop it
    (`keep_single_frame_tail=False` brings that back).

    Returns
    -------
    list of (start, stop)
        At least one.

    Example
    -------
    >>> segment_bounds(200, 96)
    [(0, 96), (96, 192), (192, 200)]
    >>> segment_bounds(97, 96, keep_single_frame_tail=False)
    [(0, 96)]
    """
    bounds = [(start, min(start + crop_frames, num_frames)) for start in range(0, num_frames, crop_frames)]
    if not keep_single_frame_tail and len(bounds) > 1 and bounds[-1][1] - bounds[-1][0] == 1:
        bounds.pop()
    return bounds


def pad_frames(frames: Tensor, num_frames: int) -> Tensor:
    """Zeros after the last frame: (t, ...) -> (num_frames, ...), t <= num_frames.

    Example
    -------
    >>> import torch
    >>> pad_frames(torch.ones(2, 3), 4).shape
    torch.Size([4, 3])
    """
    if len(frames) == num_frames:
        return frames
    padded = frames.new_zeros((num_frames, *frames.shape[1:]))
    padded[: len(frames)] = frames
    return padded
