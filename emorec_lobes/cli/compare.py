"""`emorec compare`: two systems' answers to the same utterances -> how far apart, and how sure that is."""

import argparse
from pathlib import Path

HELP = "compare the answers of two systems, ours or another toolkit's, utterance by utterance"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    for name in ("A", "B"):
        parser.add_argument(
            name.lower(),
            type=Path,
            metavar=name,
            help="predictions.csv, a run's folder, a folder of seed_<n> runs; .csv, .tsv, .json, .jsonl with a column "
            "of ids and one of predictions; or lines of an id and an emotion",
        )
    for name in ("id", "prediction", "target", "speaker"):
        parser.add_argument(f"--{name}-column", metavar="NAME", help=f"the column of {name}s, in tables of others")
    parser.add_argument(
        "--map", nargs="+", default=[], metavar="LABEL=EMOTION", help="what labels mean, e.g. 0=angry glad=happy"
    )
    parser.add_argument(
        "--targets", type=Path, metavar="FILE", help="has the targets, if A has not; any of these kinds"
    )
    parser.add_argument("--labels", nargs="+", metavar="EMOTION", help="all classes, if the targets are of fewer")
    parser.add_argument("--common", action="store_true", help="leave out the ids that not all files have")
    parser.add_argument("--score", default="uar", metavar="NAME", help="what the verdict is about (default: uar)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the comparison there too, as JSON")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="what is printed (default: text)")


def run(args: argparse.Namespace) -> int:
    """Compares and prints."""
    from emorec_lobes.corpora.table import parse_label_map
    from emorec_lobes.evaluation.answers import Reading, check_columns, marks, read_answers, read_system
    from emorec_lobes.evaluation.paired import SIDES, compare_pair
    from emorec_lobes.evaluation.paired_report import markdown_pair, verdict
    from emorec_lobes.evaluation.pairing import pair
    from emorec_lobes.files import as_json, write_json

    given = {name: getattr(args, f"{name}_column") for name in ("id", "prediction", "target", "speaker")}
    reading = Reading(
        {name: column for name, column in given.items() if column},
        parse_label_map(",".join(args.map)) if args.map else {},
    )
    systems = [read_system(place, reading) for place in (args.a, args.b)]
    truth = read_answers(args.targets, reading, "target") if args.targets else None
    check_columns([*systems[0], *systems[1], *([truth] if truth else [])], reading)
    matched = pair(*systems, truth, args.labels, args.common)
    marked = {side: marks(system) for side, system in zip(SIDES, systems, strict=True)}
    compared = {**compare_pair(matched, args.score), "peeked": marked}
    files = {side: [str(path) for path in paths] for side, paths in zip(SIDES, matched.files, strict=True)}
    record = {"verdict": verdict(compared), "files": files, **compared}
    if args.json:
        write_json(args.json, record)
    print(as_json(record) if args.format == "json" else markdown_pair(record), end="")
    return 0
