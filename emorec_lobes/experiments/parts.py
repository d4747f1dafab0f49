"""What a recipe would train, and on what, told instead of run."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

_PARTS: ContextVar[list[tuple[Any, Any]] | None] = ContextVar("parts", default=None)


@contextmanager
def parts_only() -> Iterator[list[tuple[Any, Any]]]:
    """Inside it, a recipe runs nothing: its `FoldSolver` and its `Task` are put into the list."""
    parts: list[tuple[Any, Any]] = []
    token = _PARTS.set(parts)
    try:
        yield parts
    finally:
        _PARTS.reset(token)


def is_told(solve: Any, task_class: Any) -> bool:
    """Tells what a recipe would run, where it is asked for; whether it was."""
    parts = _PARTS.get()
    if parts is None:
        return False
    parts.append((solve, task_class))
    return True
