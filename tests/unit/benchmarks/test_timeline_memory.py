"""The benchmark of a timeline's memory writes what it says, and measures what it says."""

import mmap

import pytest
import soundfile

from emorec_lobes.features.audio import load_audio

SCRIPT = "timeline_memory.py"


def test_its_recording_is_as_long_as_asked_and_quiet_in_its_pauses(benchmark, tmp_path):
    benchmark.write(tmp_path / "a.wav", 50, seed=0)
    assert soundfile.info(tmp_path / "a.wav").duration == 50
    loud, quiet = load_audio(tmp_path / "a.wav", 0, 20), load_audio(tmp_path / "a.wav", 20, 40)
    assert loud.square().mean() > 1_000 * quiet.square().mean()


def test_memory_that_is_taken_is_seen(benchmark):
    # From the system itself: the process may have kept what was freed before.
    with benchmark.watched() as found, mmap.mmap(-1, 60_000_000) as block:
        block[::4096] = b"x" * len(block[::4096])
        found.append(benchmark.resident_mb())
    assert 50 < max(found) - found[0] < 90


def test_bad_input_is_one_line_and_exit_code_2(benchmark, capsys):
    assert benchmark.main(["--minutes", "0"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.slow
def test_two_hours_take_no_more_than_100_mb(benchmark, capsys):
    assert benchmark.main(["--minutes", "120", "--shift-s", "3"]) == 0
    growth = float(capsys.readouterr().out.splitlines()[-1].split("|")[6])
    assert growth < 100
