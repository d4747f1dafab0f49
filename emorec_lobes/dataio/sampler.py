"""Training draws as a pure function of (seed, draw number), so that any run can resume exactly."""

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

# One training example to make: the item's index, and where in it to crop, as a fraction of
# all possible starts.
Draw = tuple[int, float]


class DrawSampler(Sampler[Draw]):
    """Endless shuffled passes over the training items, cut into nominal epochs of N updates.

    Draw `d` is the `d mod n`-th item of shuffled pass `d // n`. Nothing is carried from one
    epoch to the next: `set_epoch(e)` says which draws come now, so a resumed run sees the
    examples and crops that an uninterrupted one would have seen. With several processes,
    each takes its own slice of every global batch.

    Arguments
    ---------
    num_items : int
        Training items, n.
    batch_size : int
        Items a process takes per update.
    updates_per_epoch : int
        Updates in a nominal epoch.
    number_of_updates : int
        Updates of the whole training; the last epoch ends there.
    seed : int
    rank, world_size : int
        This process and the number of processes.

    Example
    -------
    >>> sampler = DrawSampler(num_items=3, batch_size=2, updates_per_epoch=3, number_of_updates=4, seed=1)
    >>> sampler.set_epoch(1)
    >>> sorted(index for index, _ in sampler)
    [0, 0, 1, 1, 2, 2]
    >>> sampler.set_epoch(2)
    >>> len(list(sampler))
    2
    """

    def __init__(
        self,
        num_items: int,
        batch_size: int,
        updates_per_epoch: int,
        number_of_updates: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.num_items = num_items
        self.batch_size = batch_size
        self.updates_per_epoch = updates_per_epoch
        self.number_of_updates = number_of_updates
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.epoch = 1
        self._pass: tuple[int, np.ndarray, np.ndarray] | None = None

    def set_epoch(self, epoch: int) -> None:
        """Chooses the nominal epoch, counted from 1, that the next iteration yields."""
        self.epoch = epoch

    def __len__(self) -> int:
        done = (self.epoch - 1) * self.updates_per_epoch
        return max(0, min(self.updates_per_epoch, self.number_of_updates - done)) * self.batch_size

    def __iter__(self) -> Iterator[Draw]:
        first_update = (self.epoch - 1) * self.updates_per_epoch
        for position in range(len(self)):
            update, place = divmod(position, self.batch_size)
            global_batch = (first_update + update) * self.world_size + self.rank
            yield self.draw(global_batch * self.batch_size + place)

    def draw(self, number: int) -> Draw:
        """The draw with this number, counted from 0 over the whole training."""
        pass_number, place = divmod(number, self.num_items)
        if self._pass is None or self._pass[0] != pass_number:
            generator = np.random.default_rng([self.seed, pass_number])
            self._pass = (pass_number, generator.permutation(self.num_items), generator.random(self.num_items))
        _, order, fractions = self._pass
        return int(order[place]), float(fractions[place])
