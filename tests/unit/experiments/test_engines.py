"""Jobs as processes of this machine, with scripts in place of recipes: ends, deaths, interrupts."""

import io
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from emorec_lobes.errors import ConfigError
from emorec_lobes.experiments.engines import Job, LocalEngine, make_engine
from emorec_lobes.experiments.jobs import View, last_line, run_jobs, state

PATIENCE_S = 60


@pytest.fixture
def job(tmp_path):
    """`job(name, code)`: a script that knows its own folder as `here`."""

    def make(name, code, threads=1):
        script = tmp_path / f"{name}.py"
        script.write_text(f"import os, pathlib, signal, sys, time\nhere = pathlib.Path({str(tmp_path)!r})\n{code}\n")
        return Job(name, (str(script), "an argument"), tmp_path / f"{name}.txt", threads)

    return make


def wait_for(happened):
    deadline = time.monotonic() + PATIENCE_S
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_running(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_job_gets_its_arguments_and_threads_and_its_output_goes_to_its_log(job):
    one = job("one", "print(sys.argv[1:], __name__, os.environ['OMP_NUM_THREADS'])", threads=3)
    assert LocalEngine().submit(one).code == 0
    assert one.log.read_text() == "['an argument'] __main__ 3\n"


def test_a_failed_job_stops_no_other_and_is_told_with_its_last_line(job, capsys):
    jobs = [
        job("bad", "print('all is well'); print('b.py: the end'); sys.exit(2)"),
        job("good", "(here / 'x').touch()"),
    ]
    failures = run_jobs(jobs, LocalEngine(), 1, "jobs")
    assert failures == {jobs[0]: "b.py: the end"} and (jobs[1].log.parent / "x").exists()
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "bad: begun" and lines[1].startswith("bad: FAILED (b.py: the end) after ")
    assert lines[-1].startswith("good: done after ") and lines[-1].endswith(" s, 2 of 2")


def test_a_traceback_is_told_by_the_error_it_ends_with(job):
    one = job("one", "raise KeyError('lost')")
    assert run_jobs([one], LocalEngine(), 1, "jobs") == {one: "KeyError: 'lost'"}


def test_a_job_that_is_killed_is_run_again_once(job, capsys):
    count = "seen = here / sys.argv[0].split('/')[-1]; seen = seen.with_suffix('.runs'); "
    count += "seen.write_text((seen.read_text() if seen.exists() else '') + 'x'); "
    die = "os.kill(os.getpid(), signal.SIGKILL)"
    once, always = job("once", f"{count}\nif seen.read_text() == 'x': {die}"), job("always", f"{count}{die}")
    assert run_jobs([once, always], LocalEngine(), 2, "jobs") == {always: "killed by SIGKILL twice"}
    assert [one.log.with_suffix(".runs").read_text() for one in (once, always)] == ["xx", "xx"]
    assert "once: killed by SIGKILL; it is run again." in capsys.readouterr().err


def test_no_more_jobs_run_at_a_time_than_are_asked_for(job):
    code = "mine = here / f'{os.getpid()}.on'; mine.touch(); time.sleep(0.3); n = len(list(here.glob('*.on'))); "
    code += "mine.unlink(); print(n)"
    jobs = [job(f"job{number}", code) for number in range(4)]
    assert run_jobs(jobs, LocalEngine(), 2, "jobs") == {}
    assert {int(last_line(each.log)) for each in jobs} <= {1, 2}


@pytest.mark.parametrize("code", ["time.sleep(60)", "signal.signal(signal.SIGINT, signal.SIG_IGN); time.sleep(60)"])
def test_an_interrupt_ends_all_jobs_and_starts_no_other(job, monkeypatch, code):
    monkeypatch.setattr("emorec_lobes.experiments.engines._GRACE_S", 1.0)
    jobs = [job(f"job{number}", f"print(os.getpid(), flush=True); {code}") for number in range(3)]

    def interrupt():
        wait_for(lambda: all(each.log.exists() and each.log.read_text() for each in jobs[:2]))
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        run_jobs(jobs, LocalEngine(), 2, "jobs")
    assert not any(is_running(int(each.log.read_text().split()[0])) for each in jobs[:2])
    assert not jobs[2].log.exists() or jobs[2].log.read_text() == ""


def test_a_job_ends_with_its_starter_even_if_that_is_killed(job):
    one = job("one", "print(os.getpid(), flush=True); time.sleep(60)")
    code = "from pathlib import Path; from emorec_lobes.experiments.engines import Job, LocalEngine; "
    code += f"LocalEngine().submit(Job('one', {one.words!r}, Path({str(one.log)!r}), 1))"
    starter = subprocess.Popen([sys.executable, "-c", code])
    wait_for(lambda: one.log.exists() and one.log.read_text())
    starter.kill()
    starter.wait()
    wait_for(lambda: not is_running(int(one.log.read_text())))


def test_an_unknown_engine_is_one_line():
    with pytest.raises(ConfigError, match=r"^`engine` must be one of local, ray, but is 'lokal' instead. Did you mean"):
        make_engine("lokal")


def test_a_running_job_is_shown_by_its_training_log_or_else_by_what_it_said_last(tmp_path):
    one = Job("one", (), tmp_path / "log.txt", 1, tmp_path / "fold_1")
    assert state(one) == ""
    one.log.write_text("features: 1%\rfeatures: 2%")
    assert state(one) == "features: 2%"
    (tmp_path / "fold_1").mkdir()
    (tmp_path / "fold_1/train_log.txt").write_text("update: 10\nupdate: 20\n")
    assert state(one) == "update: 20"


def test_on_a_terminal_there_is_a_line_for_each_running_job(job, tmp_path):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal, one = Terminal(), job("one", "")
    one.log.write_text("half of it\n")
    with View("jobs", 3, 2, terminal) as view:
        view.begins(one)
        view.refresh()
    assert "jobs:   0%" in terminal.getvalue() and "  one, 0 s: half of it" in terminal.getvalue()


def test_what_an_engine_says_is_no_result(job, capsys):
    class Talkative(LocalEngine):
        def submit(self, job):
            print("a worker died")
            return super().submit(job)

    run_jobs([job("one", "")], Talkative(), 1, "jobs")
    captured = capsys.readouterr()
    assert captured.out == "" and "a worker died" in captured.err
