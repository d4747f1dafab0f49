"""`emorec cv`: a recipe on all folds under several seeds, some at a time -> one table."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from emorec_lobes.cli.job_options import add_job_options, engine_of, threads_of
from emorec_lobes.errors import EXIT_BAD_INPUT, ConfigError

if TYPE_CHECKING:
    from emorec_lobes.experiments.cross_validation import SeedRun

HELP = "run a recipe on all folds under several seeds; what is finished is not run again"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.usage = (
        "emorec cv RECIPE HPARAMS [--key value ...] [--folds F] [--seeds S] [--jobs N] [--to DIR] [--inflation KINDS]"
    )
    parser.epilog = "Every other --key value goes to the recipe: it is a key of HPARAMS, or an option of the recipe."
    parser.add_argument("recipe", metavar="RECIPE", help="its path, or its name, e.g. IEMOCAP/train_ser.py")
    parser.add_argument("hparams", metavar="HPARAMS", help="a path, or the name of one that comes with emorec")
    parser.add_argument("--folds", default="all", metavar="F", help="all (default), or e.g. 1,3 or 1-5")
    parser.add_argument("--seeds", default="1", metavar="S", help="e.g. 1-3 or 1,2 (default: 1)")
    add_job_options(parser)
    parser.add_argument("--to", type=Path, metavar="DIR", help="gets a folder a seed (default: where HPARAMS says)")
    parser.add_argument(
        "--inflation",
        metavar="KINDS",
        help="also measure what bad habits would report: best-epoch (on the test), random-split (shared speakers, an "
        "extra job a fold), or both with a comma",
    )
    parser.set_defaults(overrides=[])


def run(args: argparse.Namespace) -> int:
    """Runs what is missing and prints the table; exit code 2 if a job has failed."""
    from emorec_lobes.experiments.cross_validation import cross_validate
    from emorec_lobes.experiments.inflation import check_watched, inflation_kinds, measure

    kinds = inflation_kinds(args.inflation)
    if kinds and args.folds != "all":
        raise ConfigError(
            f"`--inflation` must come with all folds, but comes with --folds {args.folds}. Leave one out."
        )
    runs, wanted = asked_for(args)
    check_watched(runs, kinds)
    engine = engine_of(args)
    done = cross_validate(runs, wanted, engine, args.jobs)

    from emorec_lobes.evaluation.seed_table import seed_table

    print(seed_table(done.folders, done.folds), end="")
    failures = dict(done.failures)
    if kinds:
        failed, table = measure(runs, kinds, engine, args.jobs)
        failures |= failed
        print(f"\n{table}", end="")
    for job, reason in failures.items():
        print(f"emorec: {job.name} failed: {reason} (log: {job.log})", file=sys.stderr)
    return EXIT_BAD_INPUT if failures else 0


def asked_for(args: argparse.Namespace) -> "tuple[list[SeedRun], list[int] | None]":
    """The runs of all seeds, and the folds if not all are wanted."""
    from emorec_lobes.experiments.cross_validation import numbers, seed_runs
    from emorec_lobes.experiments.inflation import inflation_kinds, watching
    from emorec_lobes.experiments.shipped import find_hparams, find_recipe

    threads = threads_of(args)
    wanted = None if args.folds == "all" else numbers("folds", args.folds)
    overrides = watching(args.overrides, inflation_kinds(args.inflation))
    seeds, recipe, hparams = numbers("seeds", args.seeds), find_recipe(args.recipe), find_hparams(args.hparams)
    return seed_runs(recipe, hparams, overrides, seeds, args.to, threads), wanted
