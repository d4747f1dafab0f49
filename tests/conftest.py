"""What tests of several parts share."""

import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_data() -> Callable[[str], Path]:
    """The folder of a real corpus, by name; the test is skipped where it is not on this machine."""
    root = Path(os.environ.get("EMOREC_TEST_DATA") or Path(__file__).parents[2] / "shared" / "data")

    def find(name: str) -> Path:
        if not (root / name).is_dir():
            pytest.skip(f"{root / name} is not there; set EMOREC_TEST_DATA to the folder that holds {name}")
        return root / name

    return find


@pytest.fixture(autouse=True)
def logs_end_with_their_test() -> Iterator[None]:
    """A recipe that runs in this process sends all logs to a file of its folder: not those of the next test, too."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    for handler in set(root.handlers) - set(handlers):
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)
