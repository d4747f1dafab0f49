"""`emorec prepare CORPUS`: a corpus folder -> manifest.json."""

import argparse
from pathlib import Path

HELP = "read a corpus and write its manifest"

_KNOWN = "iemocap, emodb, synthetic, emorynlp, goemotions, meld, or table for any other"
_OPTIONS = ("selection", "merge_excited", "multi_label", "table", "corpus_name")
_COLUMNS = ("path", "label", "id", "speaker", "gender", "session", "text", "fold", "kind", "ratings")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("corpus", metavar="CORPUS", help=_KNOWN)
    parser.add_argument("--data-folder", type=Path, required=True, metavar="DIR", help="where the corpus lies")
    parser.add_argument("--manifest", type=Path, required=True, metavar="OUT.json", help="the manifest to write")
    parser.add_argument("--labels", metavar="A,B,C", help="emotions to keep, e.g. angry,happy,neutral,sad")
    parser.add_argument("--allow-incomplete", action="store_true", help="go on with what is there, with a warning")

    iemocap = parser.add_argument_group("iemocap and synthetic")
    iemocap.add_argument("--selection", help="makiuchi2021 (default: happy includes excited) or xi2022 (improvised)")
    iemocap.add_argument("--merge-excited", action="store_true", default=None, help="happy includes excited, in xi2022")

    goemotions = parser.add_argument_group("goemotions")
    goemotions.add_argument("--multi-label", action="store_true", default=None, help="train on rows of several labels")

    table = parser.add_argument_group("table")
    table.add_argument("--table", type=Path, metavar="FILE", help=".csv, .tsv, .json or .jsonl, a row an utterance")
    table.add_argument("--corpus-name", metavar="NAME", help="what ids and speakers begin with (default: table)")
    table.add_argument("--label-map", metavar="W=angry,...", help="the table's labels -> emotions")
    for name in _COLUMNS:
        table.add_argument(f"--{name}-column", metavar="NAME", help=f"column of the {name} (default: {name})")


def run(args: argparse.Namespace) -> int:
    """Writes the manifest and prints what it holds."""
    from emorec_lobes.corpora.manifest import info_path, read_manifest
    from emorec_lobes.corpora.prepare import prepare
    from emorec_lobes.corpora.summary import summary
    from emorec_lobes.corpora.table import parse_label_map

    names = (*_OPTIONS, *(f"{name}_column" for name in _COLUMNS))
    options = {name: getattr(args, name) for name in names}
    options["label_map"] = None if args.label_map is None else parse_label_map(args.label_map)
    labels = None if args.labels is None else [label.strip() for label in args.labels.split(",")]
    info = prepare(args.corpus, args.data_folder, args.manifest, labels, args.allow_incomplete, **options)

    print(f"{info.corpus}{f' ({info.selection})' if info.selection else ''}: {summary(read_manifest(args.manifest))}\n")
    for warning in info.warnings:
        print(f"warning: {warning}")
    print(f"wrote {args.manifest}")
    print(f"      {info_path(args.manifest)}")
    return 0
