"""Files appear whole or not at all, and a folder is free as soon as its holder is dead."""

import os
import signal
import subprocess
import sys
import time

import pytest

from emorec_lobes.errors import ConfigError, DataError
from emorec_lobes.files import locked, read_json, write_atomically, write_together


def dead_process():
    """The id of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_writing_a_file_removes_what_killed_writers_left_of_it_and_nothing_else(tmp_path):
    left = tmp_path / f".[1].json.{dead_process()}.tmp"
    others = [f".[1].json.{os.getppid()}.tmp", f".1.json.{dead_process()}.tmp", ".[1].json.mine.tmp", "[1].json.tmp"]
    for path in [left, *(tmp_path / name for name in others)]:
        path.write_text("half")
    write_atomically(tmp_path / "[1].json", "whole")
    assert (tmp_path / "[1].json").read_text() == "whole"
    assert {path.name for path in tmp_path.iterdir()} == {*others, "[1].json"}


def test_files_that_belong_together_appear_together_or_not_at_all(tmp_path, monkeypatch):
    write_together({tmp_path / "a": "old", tmp_path / "b": b"old"})
    real, calls = os.fsync, []

    def refuse_the_second(descriptor):
        calls.append(descriptor)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", refuse_the_second)
    with pytest.raises(OSError, match="No space left") as caught:
        write_together({tmp_path / "a": "new", tmp_path / "b": "new"})
    assert caught.value.filename == str(tmp_path / "b")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a": "old", "b": "old"}


@pytest.mark.parametrize("held_alone", [True, False])
def test_only_those_that_share_a_folder_hold_it_together(tmp_path, held_alone):
    with locked(tmp_path, "run", shared=True), locked(tmp_path, "run", shared=True):
        pass
    held, wanted = locked(tmp_path, "run", shared=not held_alone), locked(tmp_path, "run", shared=held_alone)
    with held, pytest.raises(ConfigError, match="Another run is using"), wanted:
        pass


def test_a_folder_is_free_when_its_holder_is_killed_although_a_process_forked_from_it_lives_on(tmp_path):
    reading, writing = os.pipe()
    holder = os.fork()
    if holder == 0:
        with locked(tmp_path, "run"):
            if not os.fork():
                os.write(writing, str(os.getpid()).encode())  # itself, so that it has begun
            time.sleep(60)
            os._exit(0)
    child = int(os.read(reading, 20))
    try:
        with pytest.raises(ConfigError, match="Another run is using"), locked(tmp_path, "run"):
            pass
        os.kill(holder, signal.SIGKILL)
        os.waitpid(holder, 0)
        os.kill(child, 0)  # it lives
        with locked(tmp_path, "run"):
            pass
    finally:
        os.kill(child, signal.SIGKILL)


@pytest.mark.parametrize("text", ["{", "\udcff", '{"a": ' + "1" * 5_000 + "}", "[" * 100_000])
def test_what_is_no_json_is_one_line(tmp_path, text):
    path = tmp_path / "a.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(DataError, match="is not valid JSON"):
        read_json(path, "the recipe")


def test_what_cannot_be_read_is_one_line(tmp_path):
    path = tmp_path / "a.json"
    path.symlink_to(path)
    with pytest.raises(
        DataError, match=r"a\.json cannot be read \(Too many levels of symbolic links\)\. Make it again"
    ):
        read_json(path, "the recipe")
