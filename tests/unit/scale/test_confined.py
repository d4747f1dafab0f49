"""Work in a process that may die: everything is answered, and only what kills it is left out."""

import os
import signal
import time
from pathlib import Path

import pytest

from emorec_lobes.errors import DataError
from emorec_lobes.scale.confined import Confined, at_most, in_processes


def doubled(group):
    """What the process does: some items kill it, one hangs in a library, one dies the first time only, one is wrong."""
    answers = []
    for item in group:
        with at_most(0.3):
            if item == "poison":
                os.kill(os.getpid(), signal.SIGKILL)
            if item == "stall":
                time.sleep(30)
            if isinstance(item, Path) and not item.exists():
                item.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            if item == "wrong":
                raise DataError("it is wrong. Mend it.")
        answers.append(str(item) * 2)
    return answers


@pytest.fixture()
def confined():
    with Confined(doubled, lost=lambda item: f"lost {item}") as work:
        yield work


def test_what_kills_or_stalls_is_left_out_and_its_neighbours_are_answered_in_place(confined):
    assert confined(["a", "poison", "b", "stall"]) == ["aa", "lost poison", "bb", "lost stall"]


def test_a_process_that_dies_once_loses_nothing(confined, tmp_path):
    assert confined([tmp_path / "mark", "a"]) == [str(tmp_path / "mark") * 2, "aa"]


def test_an_error_for_the_user_comes_through(confined):
    with pytest.raises(DataError, match="it is wrong"):
        confined(["a", "wrong"])
    assert confined(["a"]) == ["aa"]


def test_nothing_ends_what_is_in_time(confined):
    assert confined(["a"]) == ["aa"]
    time.sleep(0.5)  # the limit was for the item, and the process is idle now
    assert confined(["b"]) == ["bb"]


def with_process(group):
    """Slow where the first letter says so, so that a later group is done before an earlier one."""
    time.sleep(0.5 if group[0] == "slow" else 0)
    return [(item, os.getpid()) for item in group]


def test_several_processes_answer_in_order():
    groups = [["slow", "a"], *([str(number)] for number in range(20))]
    answers = list(in_processes(with_process, repr, groups, count=2))
    assert [[item for item, _ in each] for each in answers] == groups
    assert len({process for each in answers for _, process in each}) == 2


def test_what_kills_a_process_hurts_no_other_group():
    answers = in_processes(doubled, lambda item: f"lost {item}", [["a"], ["poison", "b"], ["c"]], count=2)
    assert list(answers) == [["aa"], ["lost poison", "bb"], ["cc"]]


def test_an_error_for_the_user_ends_all():
    with pytest.raises(DataError, match="it is wrong"):
        list(in_processes(doubled, repr, [["a"], ["wrong"], ["c"]], count=2))
