"""`emorec reproduce`: every row of a paper's own systems, run, and the paper's tables with ours beneath."""

import argparse
import os
import sys
from pathlib import Path

from emorec_lobes.errors import EXIT_BAD_INPUT, ConfigError, not_one_of

HELP = "run every row of a paper's tables and print its numbers and ours; what is finished is not run again"
_CORPORA = ("iemocap", "synthetic")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.usage = "emorec reproduce PAPER --data_folder DIR [--key value ...] [--seeds S] [--jobs N] [--to DIR]"
    parser.epilog = "Every other --key value goes to the recipes whose hyperparameter files have the key, or to all."
    parser.add_argument("paper", metavar="PAPER", help="makiuchi2021 or xi2022")
    parser.add_argument(
        "--corpus", default="iemocap", metavar="C", help="iemocap (default), or synthetic: a rehearsal in minutes"
    )
    parser.add_argument(
        "--data_folder", type=Path, metavar="DIR", help="IEMOCAP_full_release; a rehearsal makes its own"
    )
    parser.add_argument("--voxceleb", type=Path, metavar="DIR", help="VoxCeleb1, or a subfolder a speaker; for xi2022")
    parser.add_argument(
        "--encoders",
        type=Path,
        metavar="DIR",
        help="holds encoders in folders named as their hub ids (default: the hub)",
    )
    parser.add_argument("--seeds", default="1", metavar="S", help="e.g. 1-3 or 1,2 (default: 1)")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes at a time (default: 1)")
    parser.add_argument("--threads", type=int, metavar="T", help="of each process (default: cores over jobs)")
    parser.add_argument("--engine", default="local", help="where processes run: local (default)")
    parser.add_argument(
        "--to", type=Path, metavar="DIR", help="default: results/reproduce/PAPER, of a rehearsal PAPER_rehearsal"
    )
    parser.add_argument("--dry-run", action="store_true", help="list the jobs, and run nothing")
    parser.set_defaults(overrides=[])


def run(args: argparse.Namespace) -> int:
    """Runs what is missing and prints the tables; exit code 2 if anything is missing then."""
    from emorec_lobes.experiments.cross_validation import numbers
    from emorec_lobes.experiments.engines import make_engine
    from emorec_lobes.experiments.paper_jobs import paper_jobs, places_of
    from emorec_lobes.experiments.papers import read_paper, read_rehearsal
    from emorec_lobes.experiments.reproduce import listing, reproduce, tables
    from emorec_lobes.files import write_atomically

    for name in ("jobs", "threads"):
        if getattr(args, name) is not None and getattr(args, name) < 1:
            raise ConfigError(f"`{name}` must be 1 or more, but is {getattr(args, name)} instead. Raise it.")
    if args.corpus not in _CORPORA:
        raise ConfigError(not_one_of("corpus", args.corpus, _CORPORA))
    paper, seeds, engine = read_paper(args.paper), numbers("seeds", args.seeds), make_engine(args.engine)
    rehearsal = read_rehearsal() if args.corpus == "synthetic" else None
    places = places_of(paper.name, args.to, args.data_folder, args.voxceleb, args.encoders, rehearsal is not None)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    jobs = paper_jobs(paper, places, seeds, args.threads or max(1, cores // args.jobs), args.overrides, rehearsal)
    if args.dry_run:
        print(listing(jobs), end="")
        return 0
    missing = reproduce(jobs, engine, args.jobs)
    write_atomically(places.to / "results.md", tables(jobs))
    print(tables(jobs, plain=True), end="")
    for line in missing:
        print(f"emorec: {line}", file=sys.stderr)
    return EXIT_BAD_INPUT if missing else 0
