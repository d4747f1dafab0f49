"""Jobs on a Ray cluster: one that is started on this machine, or the one that RAY_ADDRESS names."""

import logging
import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from signal import SIGINT, SIGKILL
from typing import Any

from emorec_lobes.errors import ConfigError
from emorec_lobes.experiments.engines import Job, LocalEngine, Outcome, Share
from emorec_lobes.scale.cluster import ADDRESS, start_ray

_GRACE_S = 10.0  # for workers to end after an interrupt

# What Ray sets in a worker to say which devices are its own.
_DEVICES = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES")

_logger = logging.getLogger(__name__)


class RayEngine:
    """Each job is a Ray task that starts the process which `LocalEngine` would start, in the same folder.

    A cluster of several machines must share the file system: recipe, corpus, features and results lie at the same paths
    everywhere. If the process, its Ray worker or its machine dies, the job ends as killed. The cluster that was started
    here ends with this process; when that is killed, two of Ray's helpers stay for a minute or two.

    Made in the main thread: Ray's processes end with the thread that started them.

    Arguments
    ---------
    share : Share
        What a job asks the cluster for.

    Raises
    ------
    UnavailableError
        If Ray is not installed, or its cluster cannot be reached.
    """

    def __init__(self, share: Share) -> None:
        self._environment = dict(os.environ)  # before Ray writes into it
        self._folder = Path.cwd()
        self._share = share
        self._ray = start_ray()
        errors = self._ray.exceptions
        self._deaths = (errors.WorkerCrashedError, errors.OutOfMemoryError, errors.NodeDiedError)
        self._task = self._ray.remote(max_retries=0)(_run)
        self._running: set[Any] = set()
        self._changing = threading.Lock()
        self._stopped = False

    def submit(self, job: Job) -> Outcome:
        """Runs a job to its end, as soon as a machine has what it asks for."""
        start = time.monotonic()
        asked = {"CPU": self._share.cpus or job.threads, "GPU": self._share.gpus}
        self._check_room(asked)
        with self._changing:
            if self._stopped:
                return Outcome(-SIGINT, 0.0)
            options = {"name": job.name, "num_cpus": asked["CPU"], "num_gpus": asked["GPU"]}
            task = self._task.options(**options).remote(job, self._environment, self._folder)
            self._running.add(task)
        try:
            return self._ray.get(task)
        except self._ray.exceptions.TaskCancelledError:
            return Outcome(-SIGINT, time.monotonic() - start)
        except self._deaths:
            return Outcome(-SIGKILL, time.monotonic() - start)
        finally:
            with self._changing:
                self._running.discard(task)

    def stop(self) -> None:
        """Kills the workers of all running jobs, with which their processes end, and lets the cluster go."""
        with self._changing:
            self._stopped = True
            running = list(self._running)
        for task in running:
            self._ray.cancel(task, force=True)
        if running:
            self._ray.wait(running, num_returns=len(running), timeout=_GRACE_S)
        self._ray.shutdown()

    def _check_room(self, asked: Mapping[str, float]) -> None:
        """No machine can run a job that asks for more than any has: it would wait forever, or for a machine to join."""
        machines = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        if any(all(machine.get(name, 0) >= number for name, number in asked.items()) for machine in machines):
            return
        most = {name: max(machine.get(name, 0) for machine in machines) for name in asked}
        has = ", ".join(f"{number:g} {name}" for name, number in most.items())
        wish = ", ".join(f"{number:g} {name}" for name, number in asked.items())
        if self._environment.get(ADDRESS):
            _logger.warning("A job asks for %s, but the machines of the cluster have at most %s: it waits.", wish, has)
        else:
            raise ConfigError(
                f"A job must fit on this machine, which has {has}, but asks for {wish} instead. "
                "Lower --cpus-per-job, --threads or --gpus-per-job."
            )


def _run(job: Job, environment: Mapping[str, str], folder: Path) -> Outcome:
    """What a Ray worker does; when it dies, the job's process ends too, whose input it holds open."""
    os.chdir(folder)
    devices = {name: os.environ[name] for name in _DEVICES if name in os.environ}
    return LocalEngine({**environment, **devices}).submit(job)
