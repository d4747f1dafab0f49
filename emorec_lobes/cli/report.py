"""`emorec report`: runs under several seeds -> one table of systems, with intervals."""

import argparse
import sys
from pathlib import Path

from emorec_lobes.errors import ConfigError

HELP = "put the results of runs side by side, as Markdown or as a figure"


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
    if args.into:
        write_atomically(args.into, text)
    else:
        print(content, end="")
    return 0
