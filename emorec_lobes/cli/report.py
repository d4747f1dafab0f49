"""`emorec report`: runs under several seeds -> one table of systems, with intervals."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from emorec_lobes.errors import ConfigError

if TYPE_CHECKING:
    from emorec_lobes.evaluation.comparison import Table

HELP = "put the results of runs side by side: as Markdown, LaTeX, CSV, a figure, or a page with everything"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument(
        "runs", nargs="+", type=Path, metavar="RUN", help="results.json of a run, its folder, or a folder of such"
    )
    parser.add_argument("--base", type=Path, metavar="RUN", help="the system the others are compared with")
    parser.add_argument(
        "--score",
        metavar="NAME",
        help="accuracy, uar, weighted_f1 or macro_f1: what intervals and differences are of (default: the one by which "
        "all runs were chosen, else uar)",
    )
    parser.add_argument("--into", type=Path, metavar="FILE.md", help="write into this file, not to the terminal")
    parser.add_argument("--name", help="between <!-- results:NAME:begin --> and <!-- results:NAME:end -->")
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 if FILE.md would change")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="copy the records there, for `emorec report DIR`")
    parser.add_argument("--figure", type=Path, metavar="FILE.png", help="draw a dot and an interval for each system")
    parser.add_argument(
        "--to", type=Path, metavar="DIR", help="write results.md, .tex, .csv and index.html, a page with all figures"
    )
    parser.add_argument(
        "--manifest", type=Path, metavar="FILE.json", help="for --to: of the tested utterances (default: a run's own)"
    )
    parser.add_argument(
        "--data-folder", type=Path, metavar="DIR", help="for --to: the corpus, to cut the test by level"
    )


def run(args: argparse.Namespace) -> int:
    """Prints the table or writes it, and what else was asked for."""
    from emorec_lobes.evaluation.comparison import compare, markdown_comparison
    from emorec_lobes.evaluation.generated import replaced
    from emorec_lobes.evaluation.systems import keep_records
    from emorec_lobes.files import write_atomically

    if (args.into is None) != (args.name is None) or (args.check and args.into is None):
        raise ConfigError(
            "`--into` must come with `--name`, and `--check` with both. Give FILE.md and the mark's NAME."
        )
    if args.to is None and (args.manifest or args.data_folder):
        raise ConfigError("`--manifest` and `--data-folder` must come with `--to`, but do not. Give --to DIR.")
    table = compare(args.runs, args.base, args.score)
    content = markdown_comparison(table)
    text = replaced(args.into, args.name, content) if args.into else ""
    if args.check:
        stale = text != args.into.read_text(encoding="utf-8")
        if stale:
            print(f"{args.into}: the table {args.name} is not made of these records.", file=sys.stderr)
        return int(stale)
    if args.keep:
        keep_records([row.system for row in table.rows], table.base, args.keep, table.sources)
    if args.figure:
        from emorec_lobes.evaluation.figures import forest_figure

        forest_figure(table, args.figure)
    if args.to:
        _write_report(args, table)
    if args.into:
        write_atomically(args.into, text)
    else:
        print(content, end="")
    return 0


def _write_report(args: argparse.Namespace, table: "Table") -> None:
    from emorec_lobes.evaluation.evidence import manifest_of, read_evidence, unfinished
    from emorec_lobes.evaluation.full_report import check_report_place, write_report
    from emorec_lobes.experiments.facts import read_facts

    check_report_place(args.to)
    evidence = read_evidence(table)
    manifest = args.manifest or manifest_of(table)
    if args.data_folder and manifest is None:
        raise ConfigError("`--data-folder` must come with a manifest, but no run's folder holds one. Give --manifest.")
    ids = next(iter(evidence[0].tested.values())).ids.tolist()
    facts = read_facts(manifest, ids, args.data_folder) if manifest else {}
    write_report(table, evidence, facts, args.to)
    for run in unfinished(args.runs):
        print(f"Left out, not all folds are finished: {run}", file=sys.stderr)
    print(f"Report: {args.to / 'index.html'}", file=sys.stderr)
