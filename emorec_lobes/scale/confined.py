"""Work in a process of its own, which may die or hang, with whatever kills it found and left out."""

import faulthandler
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from multiprocessing import connection
from queue import SimpleQueue
from typing import Any

from emorec_lobes.units import Seconds

# Times that the same items may end their process before they are blamed for it: once may be the machine's fault.
_TRIES = 2

# A group of items -> what there is to say of them, in any number.
Work = Callable[[list[Any]], list[Any]]


class Confined:
    """Calls a function in a process of its own; when that dies, another one, and what kills each of them is left out.

    Arguments
    ---------
    work : callable
        A group of items -> list of answers; importable, so that the process finds it.
    lost : callable
        An item that has killed its process -> the answer in its place.

    Example
    -------
    >>> with Confined(sorted, repr) as work:
    ...     work([3, 1, 2])
    [1, 2, 3]
    """

    def __init__(self, work: Work, lost: Callable[[Any], Any]) -> None:
        self._work, self._lost = work, lost
        self._process: ProcessPoolExecutor | None = None

    def __call__(self, group: list[Any]) -> list[Any]:
        """The answers of a group: asked together, or, where that kills the process, one after the other."""
        for _ in range(_TRIES):
            self._process = self._process or ProcessPoolExecutor(
                1, multiprocessing.get_context("spawn"), initializer=end_with_parent
            )
            try:
                return self._process.submit(self._work, group).result()
            except BrokenProcessPool:
                self.close()
        if len(group) == 1:
            return [self._lost(group[0])]
        return [answer for item in group for answer in self([item])]

    def close(self) -> None:
        """Ends the process, if there is one."""
        process, self._process = self._process, None
        if process is not None:
            process.shutdown(cancel_futures=True)

    def __enter__(self) -> "Confined":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def in_processes(
    work: Work, lost: Callable[[Any], Any], groups: Sequence[list[Any]], count: int
) -> Iterator[list[Any]]:
    """The answers of each group, in the order of the groups, by so many processes at a time.

    The rest is as of `Confined`.

    Example
    -------
    >>> list(in_processes(sorted, repr, [[3, 1], [2, 0]], count=2))
    [[1, 3], [0, 2]]
    """
    idle: SimpleQueue[Confined] = SimpleQueue()

    def ask(group: list[Any]) -> list[Any]:
        one = idle.get()
        try:
            return one(group)
        finally:
            idle.put(one)

    with ExitStack() as stack:
        for _ in range(count):
            idle.put(stack.enter_context(Confined(work, lost)))
        threads = ThreadPoolExecutor(count)
        # What has not begun is not begun when nobody wants it any more.
        stack.callback(threads.shutdown, cancel_futures=True)
        yield from threads.map(ask, groups)


@contextmanager
def at_most(limit_s: Seconds) -> Iterator[None]:
    """Ends this process, at once and whatever it is at, if what is inside takes longer.

    A thread that needs nothing of Python watches: code of a library that hangs is ended too.
    """
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123 - faulthandler wants to say where it hung
        faulthandler.dump_traceback_later(limit_s, exit=True, file=nowhere)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()


def end_with_parent() -> None:
    """Makes a worker process leave an interrupt to its parent, and end with it even if that is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
