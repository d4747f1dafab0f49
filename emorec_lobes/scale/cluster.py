"""Ray's cluster: one that is started on this machine, or the one that RAY_ADDRESS names."""

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from emorec_lobes.errors import ConfigError, UnavailableError, not_one_of

ADDRESS = "RAY_ADDRESS"

# Where work on many files may be done.
ENGINES = ("local", "ray")

_KNOCK_S = 10.0  # for a cluster to answer
_OBJECT_STORE_BYTES = 80 * 2**20  # near the least that Ray takes: jobs hand over an exit code, or lines of text


def start_ray() -> Any:
    """Ray, connected to a cluster, without a word on the terminal or to the network.

    Raises
    ------
    UnavailableError
        If Ray is not installed, or its cluster cannot be reached.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # else its C++ part warns of what Ray Data does by itself
    try:
        import ray
    except ImportError:
        raise UnavailableError("`ray` is not installed. Run pip install 'emorec[scale]'.") from None
    logging.getLogger("ray").setLevel(logging.ERROR)
    quietly = {"configure_logging": False, "log_to_driver": False}
    address = os.environ.get(ADDRESS)
    try:
        if address:
            _knock(address)
            with _no_stderr():
                ray.init(address, **quietly)
        else:  # Without a name, Ray would join whatever cluster someone else has started on this machine.
            store = {"object_store_memory": _OBJECT_STORE_BYTES, "include_dashboard": False}
            with _no_stderr():
                ray.init("local", num_cpus=num_cores(), **store, **quietly)
    except (OSError, OverflowError, RuntimeError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0]
        where = f"the cluster at {address}, which {ADDRESS} names, cannot be reached" if address else "cannot start"
        raise UnavailableError(f"Ray: {where} ({reason}). Mend it, or leave out --engine ray.") from None
    return ray


def check_engine(name: str) -> None:
    """Refuses an engine that there is not."""
    if name not in ENGINES:
        raise ConfigError(not_one_of("engine", name, ENGINES))


def num_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _no_stderr() -> Iterator[None]:
    """Drops what the C++ part says while it starts: that it was told to say nothing."""
    kept = os.dup(2)
    with open(os.devnull, "wb") as nowhere:  # noqa: PTH123 - a device
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _knock(address: str) -> None:
    """Ray itself waits for minutes where nobody listens."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), _KNOCK_S).close()
