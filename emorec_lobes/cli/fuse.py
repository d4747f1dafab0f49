"""`emorec fuse`: the predictions of several models -> one, with weights that the test did not choose."""

import argparse
from pathlib import Path

HELP = "fuse the predictions of several models, e.g. of speech and of text"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("inputs", nargs="+", type=Path, metavar="FILE.csv", help="predictions.csv of two runs or more")
    parser.add_argument("--to", required=True, type=Path, metavar="DIR", help="folder for the fused results")
    parser.add_argument(
        "--method",
        choices=("stacking", "grid", "product", "weights", "oracle"),
        help="stacking (default), grid and product are fitted on each fold's valid rows; weights are given; "
        "oracle peeks at the test",
    )
    parser.add_argument(
        "--weights", nargs="+", type=float, metavar="W", help="one a file, means --method weights (which has 0.6 1.0)"
    )
    parser.add_argument("--calibrate", action="store_true", help="fit each file a temperature on valid rows first")
    parser.add_argument("--no-fallback", action="store_true", help="refuse files that lack utterances of the others")


def run(args: argparse.Namespace) -> int:
    """Fuses, writes the results and prints their tables."""
    from emorec_lobes.evaluation.fusion import DEFAULT_METHOD, fuse
    from emorec_lobes.evaluation.fusion_inputs import align, read_sources
    from emorec_lobes.evaluation.fusion_report import check_place, fusion_record, markdown_fusion, write_fusion

    check_place(args.to)
    sources, tables = read_sources(args.inputs)
    inputs = align(tables, fallback=not args.no_fallback)
    method = args.method or (DEFAULT_METHOD if args.weights is None else "weights")
    fused = fuse(inputs, method, args.weights, args.calibrate)
    record = fusion_record(inputs, fused, sources, method)
    write_fusion(args.to, record, inputs, fused)
    print(markdown_fusion(record), end="")
    return 0
