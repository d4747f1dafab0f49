"""Batches of items of about one length, so that little is computed on padding."""

from collections.abc import Iterator, Sequence

# A wave may be so much shorter than the longest beside it: else more is computed on padding than on speech.
_MAX_STRETCH = 1.25


def by_length(lengths: Sequence[int], batch_size: int, max_total: int) -> Iterator[list[int]]:
    """Splits items into batches of about one length each, longest first.

    Arguments
    ---------
    lengths : sequence of int
    batch_size : int
        Items of a batch, at most.
    max_total : int
        Of a batch, padding included; an item that is longer goes alone.

    Returns
    -------
    iterator of list of int
        Indices; each item is in one batch.

    Example
    -------
    >>> list(by_length([10, 100, 11, 90, 95], batch_size=2, max_total=1_000))
    [[1, 4], [3], [2, 0]]
    """
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda index: (-lengths[index], index)):
        longest = lengths[batch[0]] if batch else 0
        is_full = len(batch) == batch_size or longest * (len(batch) + 1) > max_total
        if batch and (is_full or longest > _MAX_STRETCH * lengths[index]):
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch
