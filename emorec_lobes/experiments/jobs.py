"""Many jobs, some at a time: those that die are run again, those that fail stop no other."""

import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import redirect_stdout
from pathlib import Path
from types import TracebackType
from typing import TextIO

from tqdm import tqdm

from emorec_lobes.experiments.engines import Engine, Job, Outcome

_LOOK_EVERY_S = 1.0
_TAIL_BYTES = 4096


def run_jobs(jobs: Sequence[Job], engine: Engine, at_once: int, title: str) -> dict[Job, str]:
    """Runs jobs on an engine.

    A job that a signal kills, such as the system's when memory runs out, is run once more: a recipe goes on from its
    last checkpoint.

    Arguments
    ---------
    jobs : sequence of Job
    engine : Engine
    at_once : int
        The most that run at one time.
    title : str
        What they do, for the bar.

    Returns
    -------
    dict
        Each job that failed -> why, in one line.
    """
    if not jobs:
        return {}
    failures: dict[Job, str] = {}
    stopping = threading.Event()

    def work(job: Job) -> None:
        view.begins(job)
        outcome = engine.submit(job)
        if outcome.code < 0 and not stopping.is_set():
            view.says(f"{job.name}: {_killed(outcome)}; it is run again.")
            outcome = engine.submit(job)
        if outcome.code:
            failures[job] = f"{_killed(outcome)} twice" if outcome.code < 0 else last_line(job.log)
        view.ends(job, outcome, failures.get(job))

    # Standard output is for results: Ray would tell there of workers that died.
    quiet, view = redirect_stdout(sys.stderr), View(title, len(jobs), at_once, sys.stderr)
    with quiet, view, ThreadPoolExecutor(at_once) as pool:
        waiting = {pool.submit(work, job) for job in jobs}
        try:
            while waiting:
                done, waiting = wait(waiting, _LOOK_EVERY_S, return_when=FIRST_COMPLETED)
                for future in done:
                    future.result()
                view.refresh()
        except BaseException:
            stopping.set()
            pool.shutdown(wait=False, cancel_futures=True)
            engine.stop()
            raise
    return {job: failures[job] for job in jobs if job in failures}


def _killed(outcome: Outcome) -> str:
    return f"killed by {signal.Signals(-outcome.code).name}"


def last_line(path: Path) -> str:
    """The last line that a program has printed into a file; of a bar that was drawn over itself, the last state.

    Example
    -------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "log.txt"
    ...     _ = path.write_bytes(b"first\\n10%\\r20%\\r \\n")
    ...     last_line(path)
    '20%'
    """
    try:
        with path.open("rb") as stream:
            stream.seek(0, 2)
            stream.seek(max(0, stream.tell() - _TAIL_BYTES))
            text = stream.read().decode("utf-8", errors="replace")
    except FileNotFoundError:
        return ""
    lines = (line.strip() for line in reversed(text.replace("\r", "\n").split("\n")))
    return next(filter(None, lines), "")


def state(job: Job) -> str:
    """What a running job does now: where its training is, else what it said last."""
    logs = [job.progress / "train_log.txt", job.progress / "refit" / "train_log.txt"] if job.progress else []
    written = [line for line in map(last_line, logs) if line]
    return written[-1] if written else last_line(job.log)


class View:
    """What the user sees: on a terminal a bar and a line for each running job, elsewhere a line for each event.

    Arguments
    ---------
    title : str
        What the jobs do.
    total : int
        Jobs there are.
    at_once : int
        Jobs that run at one time.
    stream : file
        The terminal or the file.
    """

    def __init__(self, title: str, total: int, at_once: int, stream: TextIO) -> None:
        self.total, self.stream = total, stream
        self.live = stream.isatty()
        self.num_ended = 0
        self.running: dict[Job, float] = {}  # -> when it began
        options = {"file": stream, "disable": not self.live, "leave": False}
        self.bar = tqdm(total=total, desc=title, unit="job", position=0, **options)
        self.lines = [
            tqdm(total=0, bar_format="{desc}", position=row, **options) for row in range(1, min(at_once, total) + 1)
        ]

    def __enter__(self) -> "View":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for each in (*reversed(self.lines), self.bar):
            each.close()

    def says(self, text: str) -> None:
        """One line that stays."""
        if self.live:
            self.bar.write(text, file=self.stream)
        else:
            print(text, file=self.stream, flush=True)

    def begins(self, job: Job) -> None:
        """A job begins."""
        self.running[job] = time.monotonic()
        if not self.live:
            self.says(f"{job.name}: begun")

    def ends(self, job: Job, outcome: Outcome, failure: str | None) -> None:
        """A job has ended; `failure` says why, if it failed."""
        self.running.pop(job, None)
        self.num_ended += 1
        self.bar.update()
        how = "done" if failure is None else f"FAILED ({failure})"
        self.says(f"{job.name}: {how} after {outcome.duration_s:.0f} s, {self.num_ended} of {self.total}")

    def refresh(self) -> None:
        """Draws what the running jobs do now."""
        if not self.live:
            return
        self.bar.refresh()
        for line, text in zip(self.lines, self._states(), strict=False):
            line.set_description_str(text[: shutil.get_terminal_size().columns - 1])

    def _states(self) -> Iterable[str]:
        now = time.monotonic()
        for job, began in list(self.running.items()):
            yield f"  {job.name}, {now - began:.0f} s: {state(job)}"
        for _ in self.lines:
            yield ""
