"""`emorec cv`: a recipe on all folds under several seeds, some at a time -> one table."""

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from emorec_lobes.errors import EXIT_BAD_INPUT, ConfigError

if TYPE_CHECKING:
    from emorec_lobes.experiments.cross_validation import SeedRun

HELP = "run a recipe on all folds under several seeds; what is finished is not run again"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.usage = "emorec cv RECIPE HPARAMS [--key value ...] [--folds F] [--seeds S] [--jobs N] [--to DIR]"
    parser.epilog = "Every other --key value goes to the recipe: it is a key of HPARAMS, or an option of the recipe."
    parser.add_argument("recipe", metavar="RECIPE", help="its path, or its name, e.g. IEMOCAP/train_ser.py")
    parser.add_argument("hparams", metavar="HPARAMS", help="a path, or the name of one that comes with emorec")
    parser.add_argument("--folds", default="all", metavar="F", help="all (default), or e.g. 1,3 or 1-5")
    parser.add_argument("--seeds", default="1", metavar="S", help="e.g. 1-3 or 1,2 (default: 1)")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes at a time (default: 1)")
    parser.add_argument(
        "--threads",
        type=int,
        metavar="T",
        help="of each process (default: cores over jobs); the last digits of results may depend on it",
    )
    parser.add_argument("--engine", default="local", help="where processes run: local (default)")
    parser.add_argument("--to", type=Path, metavar="DIR", help="gets a folder a seed (default: where HPARAMS says)")
    parser.set_defaults(overrides=[])


def run(args: argparse.Namespace) -> int:
    """Runs what is missing and prints the table; exit code 2 if a job has failed."""
    from emorec_lobes.experiments.cross_validation import cross_validate
    from emorec_lobes.experiments.engines import make_engine

    engine = make_engine(args.engine)
    runs, wanted = asked_for(args)
    threads = runs[0].threads
    print(f"processes at a time: {args.jobs}, threads of each: {threads}", file=sys.stderr)
    done = cross_validate(runs, wanted, engine, args.jobs)

    from emorec_lobes.evaluation.seed_table import seed_table

    print(seed_table(done.folders, done.folds), end="")
    for job, reason in done.failures.items():
        print(f"emorec: {job.name} failed: {reason} (log: {job.log})", file=sys.stderr)
    return EXIT_BAD_INPUT if done.failures else 0


def num_cores() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def asked_for(args: argparse.Namespace) -> "tuple[list[SeedRun], list[int] | None]":
    """The runs of all seeds, and the folds if not all are wanted."""
    from emorec_lobes.experiments.cross_validation import numbers, seed_runs
    from emorec_lobes.experiments.shipped import find_hparams, find_recipe

    for name in ("jobs", "threads"):
        if getattr(args, name) is not None and getattr(args, name) < 1:
            raise ConfigError(f"`{name}` must be 1 or more, but is {getattr(args, name)} instead. Raise it.")
    wanted = None if args.folds == "all" else numbers("folds", args.folds)
    seeds, recipe, hparams = numbers("seeds", args.seeds), find_recipe(args.recipe), find_hparams(args.hparams)
    threads = args.threads or max(1, num_cores() // args.jobs)
    return seed_runs(recipe, hparams, args.overrides, seeds, args.to, threads), wanted
