"""Learning rates over training, as functions of the epoch."""

from bisect import bisect_right
from collections.abc import Sequence


class MilestoneScheduler:
    """Divides the learning rate at certain epochs; SpeechBrain's own step schedule knows only equal steps.

    Source: Xi 2022, section 4.1: by 10 when epochs 21, 31 and 41 begin.

    Arguments
    ---------
    initial_value : float
    milestones : sequence of int
        The first epochs, counted from 1, of each lower rate.
    factor : float
        What the rate is multiplied with at each.

    Example
    -------
    >>> schedule = MilestoneScheduler(initial_value=0.01, milestones=[21, 31, 41], factor=0.1)
    >>> [round(schedule(epoch - 1)[1], 6) for epoch in (1, 20, 21, 50)]
    [0.01, 0.01, 0.001, 1e-05]
    """

    def __init__(self, initial_value: float, milestones: Sequence[int], factor: float) -> None:
        self.initial_value = initial_value
        self.milestones = sorted(milestones)
        self.factor = factor

    def __call__(self, num_finished: int) -> tuple[float, float]:
        """The rates of the epoch that has just ended and of the next one, given how many have."""
        return self._rate(num_finished), self._rate(num_finished + 1)

    def _rate(self, epoch: int) -> float:
        return self.initial_value * self.factor ** bisect_right(self.milestones, epoch)
