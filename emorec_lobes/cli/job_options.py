"""The options of commands that run jobs: how many at a time, and where."""

import argparse
import sys
from typing import TYPE_CHECKING

from emorec_lobes.errors import ConfigError

if TYPE_CHECKING:
    from emorec_lobes.experiments.engines import Engine


def add_job_options(parser: argparse.ArgumentParser) -> None:
    """Adds them."""
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes at a time (default: 1)")
    parser.add_argument(
        "--threads",
        type=int,
        metavar="T",
        help="of each process (default: cores over jobs); the last digits of results may depend on it",
    )
    parser.add_argument(
        "--engine",
        default="local",
        help="where processes run: local (default), or ray, a Ray cluster: the one that RAY_ADDRESS names, whose "
        "machines share the file system, or one that is started on this machine",
    )
    parser.add_argument(
        "--cpus-per-job", type=int, metavar="C", help="of --engine ray: what a job asks for (default: its threads)"
    )
    parser.add_argument(
        "--gpus-per-job", type=float, default=0.0, metavar="G", help="of --engine ray, e.g. 1 or 0.5 (default: 0)"
    )


def threads_of(args: argparse.Namespace) -> int:
    """The threads of each process.

    Raises
    ------
    ConfigError
        If a number is not one of processes or threads.
    """
    from emorec_lobes.scale.cluster import num_cores

    for name in ("jobs", "threads"):
        if getattr(args, name) is not None and getattr(args, name) < 1:
            raise ConfigError(f"`{name}` must be 1 or more, but is {getattr(args, name)} instead. Raise it.")
    return args.threads or max(1, num_cores() // args.jobs)


def engine_of(args: argparse.Namespace) -> "Engine":
    """The engine that was asked for; says what will run at a time."""
    from emorec_lobes.experiments.engines import Share, make_engine

    engine = make_engine(args.engine, Share(args.cpus_per_job, args.gpus_per_job))
    print(f"processes at a time: {args.jobs}, threads of each: {threads_of(args)}", file=sys.stderr)
    return engine
