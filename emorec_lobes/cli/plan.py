"""`emorec plan`: what `emorec cv` with the same options would take of disk, memory and time."""

import argparse
import os

from emorec_lobes.cli import cv
from emorec_lobes.errors import ConfigError

HELP = "what a cross-validation will take of disk, memory and time, by a few real steps; and what would be cheaper"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments: those of `emorec cv`."""
    cv.add_arguments(parser)
    parser.usage = "emorec plan RECIPE HPARAMS [--key value ...] [--folds F] [--seeds S] [--jobs N] [--json]"
    parser.add_argument("--json", action="store_true", help="print the plan as JSON")


def run(args: argparse.Namespace) -> int:
    """Prints the plan; exit code 2 where a disk is too small, so that `emorec plan ... && emorec cv ...` stops."""
    os.environ["HF_HUB_OFFLINE"] = "1"  # read when the library is imported: a plan downloads nothing
    from emorec_lobes.experiments.plan import make_plan
    from emorec_lobes.experiments.plan_table import plan_table
    from emorec_lobes.files import as_json
    from emorec_lobes.scale.cluster import num_cores

    if args.inflation:
        raise ConfigError("`--inflation` must be left out of a plan, which does not count its jobs, but is given.")
    runs, wanted = cv.asked_for(args)
    plan = make_plan(runs, wanted, args.jobs, num_cores())
    print(as_json(plan) if args.json else plan_table(plan), end="")
    if plan["disk_warning"]:
        raise ConfigError(plan["disk_warning"])
    return 0
