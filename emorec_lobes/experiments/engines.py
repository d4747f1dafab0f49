"""Where jobs run. An engine is a class with `submit(job) -> Outcome` and `stop()`, and a line in `ENGINES`."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from emorec_lobes.errors import ConfigError, not_one_of

_GRACE_S = 10.0  # for a process to end after an interrupt


@dataclass(frozen=True)
class Job:
    """One call of a recipe."""

    name: str  # e.g. "seed 1, fold 2"
    words: tuple[str, ...]  # the recipe's path and its arguments
    log: Path  # gets what it prints, behind what earlier calls printed
    threads: int
    progress: Path | None = None  # a folder where a training log appears


@dataclass(frozen=True)
class Outcome:
    """How a job ended."""

    code: int  # the process's exit code; minus the signal that killed it
    duration_s: float


@dataclass(frozen=True)
class Share:
    """What each job asks a cluster for."""

    cpus: int | None = None  # None: as many as its threads
    gpus: float = 0.0  # below 1: jobs share one


class Engine(Protocol):
    """Runs jobs, as many at a time as threads call `submit`."""

    def submit(self, job: Job) -> Outcome:
        """Runs a job to its end."""

    def stop(self) -> None:
        """Ends all running jobs, in whatever state; `submit` returns, and starts nothing more."""


class LocalEngine:
    """Each job is a process of this machine, in a session of its own: Ctrl-C reaches it through `stop` alone.

    Arguments
    ---------
    environment : mapping, optional
        The variables that jobs get; by default those of this process.

    Example
    -------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as name:
    ...     recipe, log = Path(name) / "recipe.py", Path(name) / "log.txt"
    ...     written = recipe.write_text("print('done')")
    ...     outcome = LocalEngine().submit(Job("one", (str(recipe),), log, threads=1))
    ...     outcome.code, log.read_text()
    (0, 'done\\n')
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._environment = environment
        self._running: set[subprocess.Popen[bytes]] = set()
        self._changing = threading.Lock()
        self._stopped = False

    def submit(self, job: Job) -> Outcome:
        """Runs a job to its end, with its number of threads."""
        start = time.monotonic()
        job.log.parent.mkdir(parents=True, exist_ok=True)
        with job.log.open("ab") as log:
            with self._changing:
                if self._stopped:
                    return Outcome(-signal.SIGINT, 0.0)
                process = self._start(job, log.fileno())
                self._running.add(process)
            with process:
                code = process.wait()
            with self._changing:
                self._running.discard(process)
        return Outcome(code, time.monotonic() - start)

    def stop(self) -> None:
        """Interrupts all running jobs, and kills those that go on: the recipe resumes from either."""
        with self._changing:
            self._stopped = True
            running = list(self._running)
        for process in running:
            process.send_signal(signal.SIGINT)
        deadline = time.monotonic() + _GRACE_S
        try:
            while any(process.poll() is None for process in running) and time.monotonic() < deadline:
                time.sleep(0.05)
        finally:  # at once where the user interrupts again
            for process in running:
                if process.poll() is None:
                    with suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGKILL)

    def _start(self, job: Job, log: int) -> subprocess.Popen[bytes]:
        # -P: whatever lies in the current folder, no recipe imports it. A bar that is written to a file is seldom.
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "emorec_lobes.experiments.worker", *job.words],
            stdin=subprocess.PIPE,  # held open: see the worker
            stdout=log,
            stderr=log,
            env={**(self._environment or os.environ), "OMP_NUM_THREADS": str(job.threads), "TQDM_MININTERVAL": "2"},
            start_new_session=True,
        )


def _local(share: Share) -> Engine:
    if share != Share():
        raise ConfigError("`--cpus-per-job` and `--gpus-per-job` must come with --engine ray. Leave them out.")
    return LocalEngine()


def _ray(share: Share) -> Engine:
    from emorec_lobes.experiments.ray_engine import RayEngine

    return RayEngine(share)


ENGINES: Mapping[str, Callable[[Share], Engine]] = {"local": _local, "ray": _ray}


def make_engine(name: str, share: Share = Share()) -> Engine:
    """The engine of this name.

    Arguments
    ---------
    name : str
    share : Share
        What each job asks for, where the engine has a cluster.

    Raises
    ------
    ConfigError
        If there is none, or a share is not what one can ask for.
    """
    if name not in ENGINES:
        raise ConfigError(not_one_of("engine", name, ENGINES))
    if share.cpus is not None and share.cpus < 1:
        raise ConfigError(f"`cpus_per_job` must be 1 or more, but is {share.cpus} instead. Raise it.")
    if not (0 <= share.gpus < 1 or (share.gpus < float("inf") and share.gpus == int(share.gpus))):
        raise ConfigError(
            f"`gpus_per_job` must be a part of one, such as 0.5, or a whole number, but is {share.gpus:g} instead. "
            "Change it."
        )
    return ENGINES[name](share)
