"""Questions asked together are answered apart."""

import asyncio

import pytest

from emorec_lobes.server.batches import Batcher


def answers(ask, items, size=4, wait_s=0.01, kinds=None):
    """The answers or errors to items that come at once."""

    async def run():
        batcher = Batcher(ask, size, wait_s)
        working = asyncio.create_task(batcher.run())
        asked = (batcher.answer(item, kind) for item, kind in zip(items, kinds or [None] * len(items), strict=True))
        found = await asyncio.gather(*asked, return_exceptions=True)
        working.cancel()
        return found

    return asyncio.run(run())


def test_each_item_gets_its_own_answer_in_batches_of_the_size():
    sizes = []

    async def squares(items, _):
        sizes.append(len(items))
        return [item**2 for item in items]

    assert answers(squares, range(10)) == [item**2 for item in range(10)]
    assert sizes == [4, 4, 2]


def test_only_items_of_one_kind_are_asked_together():
    async def kinds(items, kind):
        return [(kind, tuple(items))] * len(items)

    found = answers(kinds, [1, 2, 3, 4], kinds=["a", "b", "a", "b"])
    assert found == [("a", (1, 3)), ("b", (2, 4)), ("a", (1, 3)), ("b", (2, 4))]


def test_an_item_that_fails_fails_alone():
    async def inverses(items, _):
        return [1 / item for item in items]

    found = answers(inverses, [1, 0, 2])
    assert (found[0], found[2]) == (1, 0.5)
    assert isinstance(found[1], ZeroDivisionError)


def test_an_answer_too_few_is_given_to_nobody():
    async def forgets_one(items, _):
        return items[1:] if len(items) > 1 else items

    assert answers(forgets_one, [1, 2, 3]) == [1, 2, 3]  # each asked again by itself


def test_what_was_given_up_is_not_asked():
    asked = []

    async def slow(items, _):
        asked.extend(items)
        await asyncio.sleep(0.05)
        return items

    async def run():
        batcher = Batcher(slow, 1, 0)
        working = asyncio.create_task(batcher.run())
        first, second, third = (asyncio.create_task(batcher.answer(item)) for item in (1, 2, 3))
        await asyncio.sleep(0.01)
        second.cancel()
        assert await asyncio.gather(first, third) == [1, 3]
        working.cancel()

    asyncio.run(run())
    assert asked == [1, 3]


@pytest.mark.parametrize("wait_s", [0, 0.2])
def test_the_first_waits_as_long_as_it_is_told(wait_s):
    sizes = []

    async def count(items, _):
        sizes.append(len(items))
        return items

    async def run():
        batcher = Batcher(count, 4, wait_s)
        working = asyncio.create_task(batcher.run())
        first = asyncio.create_task(batcher.answer(1))
        await asyncio.sleep(0.05)
        await batcher.answer(2)
        await first
        working.cancel()

    asyncio.run(run())
    assert sizes == ([1, 1] if wait_s == 0 else [2])
