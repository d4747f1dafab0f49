"""`emorec tune`: hyperparameters chosen by validation speakers, trial by trial -> a report and the best command."""

import argparse
import sys
from pathlib import Path

from emorec_lobes.cli.job_options import add_job_options, engine_of, threads_of
from emorec_lobes.errors import EXIT_BAD_INPUT, ConfigError

HELP = "tune hyperparameters of a recipe on validation speakers; what is finished is not run again"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.usage = "emorec tune RECIPE HPARAMS [--key value ...] --try KEY=VALUES ... --trials N --to DIR [--folds F]"
    parser.epilog = "Every other --key value goes to the recipe and is the same in all trials."
    parser.add_argument("recipe", metavar="RECIPE", help="its path, or its name, e.g. IEMOCAP/train_ser.py")
    parser.add_argument("hparams", metavar="HPARAMS", help="a path, or the name of one that comes with emorec")
    parser.add_argument(
        "--try",
        dest="tries",
        action="append",
        default=[],
        metavar="KEY=VALUES",
        help="a key of HPARAMS and its values: LOW..HIGH, LOW..HIGH:log, or A,B,C; once for each key",
    )
    parser.add_argument("--space", type=Path, metavar="FILE.yaml", help="the same in a file: a line KEY: VALUES each")
    parser.add_argument("--trials", type=int, required=True, metavar="N", help="how many, with those that are there")
    parser.add_argument("--to", type=Path, required=True, metavar="DIR", help="gets the study and a folder a trial")
    parser.add_argument(
        "--folds", default="all", metavar="F", help="whose validation counts: all (default), or e.g. 1,3"
    )
    parser.add_argument(
        "--seed", type=int, default=1, metavar="S", help="of trainings, and of what is tried (default: 1)"
    )
    parser.add_argument("--no-pruning", action="store_true", help="run all folds of poor trials too")
    add_job_options(parser)
    parser.set_defaults(overrides=[])


def run(args: argparse.Namespace) -> int:
    """Runs the trials that are missing and prints the best ones."""
    from emorec_lobes.evaluation.tuning import tuning_text
    from emorec_lobes.experiments.cross_validation import numbers
    from emorec_lobes.experiments.shipped import find_hparams, find_recipe
    from emorec_lobes.experiments.tuning import make_search, tune

    if args.trials < 1:
        raise ConfigError(f"`trials` must be 1 or more, but is {args.trials} instead. Raise it.")
    search = make_search(
        find_recipe(args.recipe),
        find_hparams(args.hparams),
        args.overrides,
        args.tries,
        args.space,
        args.seed,
        None if args.folds == "all" else numbers("folds", args.folds),
        args.to,
        threads_of(args),
    )
    tuning = tune(search, args.trials, engine_of(args), args.jobs, prune=not args.no_pruning)
    print(tuning_text(tuning), end="")
    lacking = args.trials - sum(trial.failure is None for trial in tuning.trials)
    if lacking > 0:
        print(f"emorec: failed trials: {lacking}. Run the same command again to replace them.", file=sys.stderr)
    return EXIT_BAD_INPUT if lacking > 0 else 0
