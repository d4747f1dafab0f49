"""Requests that come at about the same time become one question to the model."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from emorec_lobes.units import Seconds

Item = TypeVar("Item")
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class _Waiting(Generic[Item, Answer]):
    item: Item
    kind: Hashable
    answer: "asyncio.Future[Answer]"


class Batcher(Generic[Item, Answer]):
    """Collects questions for a moment, asks them together, and gives each one its own answer.

    Arguments
    ---------
    ask : callable
        Answers several items of one kind: (items, kind) -> as many answers, in that order.
    size : int
        Most items in one question.
    wait_s : float
        How long the first one waits for others. While a question is being answered, others
        gather anyway.
    """

    def __init__(
        self, ask: Callable[[Sequence[Item], Hashable], Awaitable[Sequence[Answer]]], size: int, wait_s: Seconds
    ) -> None:
        self._ask = ask
        self._size = size
        self._wait_s = wait_s
        self._waiting: asyncio.Queue[_Waiting[Item, Answer]] = asyncio.Queue()

    async def answer(self, item: Item, kind: Hashable = None) -> Answer:
        """The answer to one item; only items of the same kind are asked together.

        Raises
        ------
        Exception
            What `ask` raises for this item by itself.
        """
        waiting = _Waiting(item, kind, asyncio.get_running_loop().create_future())
        self._waiting.put_nowait(waiting)
        return await waiting.answer

    async def run(self) -> None:
        """Answers until it is cancelled."""
        while True:
            for group in _by_kind(await self._gather()):
                await self._settle(group)

    async def _gather(self) -> list[_Waiting[Item, Answer]]:
        batch = [await self._waiting.get()]
        try:
            async with asyncio.timeout(self._wait_s if self._size > 1 else 0):
                while len(batch) < self._size:
                    batch.append(await self._waiting.get())
        except TimeoutError:
            while len(batch) < self._size and not self._waiting.empty():
                batch.append(self._waiting.get_nowait())
        return batch

    async def _settle(self, group: Sequence[_Waiting[Item, Answer]]) -> None:
        group = [each for each in group if not each.answer.done()]  # some have been given up meanwhile
        if not group:
            return
        try:
            answers = await self._ask([each.item for each in group], group[0].kind)
            pairs = list(zip(group, answers, strict=True))
        except Exception as error:
            if len(group) > 1:  # one spoilt it for all: each by itself
                for each in group:
                    await self._settle([each])
            elif not group[0].answer.done():
                group[0].answer.set_exception(error)
            return
        for each, answer in pairs:
            if not each.answer.done():
                each.answer.set_result(answer)


def _by_kind(batch: Sequence[_Waiting[Item, Answer]]) -> list[list[_Waiting[Item, Answer]]]:
    groups: dict[Hashable, list[_Waiting[Item, Answer]]] = {}
    for each in batch:
        groups.setdefault(each.kind, []).append(each)
    return list(groups.values())
