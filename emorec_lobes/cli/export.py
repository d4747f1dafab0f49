"""`emorec export`: a finished fold as a folder that others can load, check and ask."""

import argparse
from pathlib import Path

HELP = "make a model folder of a finished run, for predict, serve and the hub"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("run_folder", type=Path, metavar="RUN", help="a run's folder, or one of its fold_<k>")
    parser.add_argument("--to", type=Path, required=True, metavar="DIR", help="the model folder; must not exist")
    parser.add_argument("--fold", metavar="K", help="of a run (default: the one that did best on its validation)")
    parser.add_argument("--licence", metavar="TEXT", help="terms of the corpus, for the card, where it is your own")
    parser.add_argument("--push", metavar="ID", help="then upload it to the Hugging Face hub as owner/name")
    parser.add_argument(
        "--drop-layers",
        type=float,
        metavar="SHARE",
        help="drop the encoder's topmost layers while their shares in the mix sum to no more (0: only unused ones)",
    )
    parser.add_argument(
        "--onnx",
        action="store_true",
        help="write model.onnx and model.pt2 too: from waves or features to probabilities",
    )


def run(args: argparse.Namespace) -> int:
    """Writes the folder, and prints what was done."""
    from emorec_lobes.inference.export import choose_fold, export, read_fold
    from emorec_lobes.inference.hub import check_hub_id, push

    if args.push:
        check_hub_id(args.push)
    fold = read_fold(choose_fold(args.run_folder, args.fold))
    for line in export(fold, args.to, args.licence, args.push, args.onnx, args.drop_layers):
        print(line, flush=True)
    if args.push:
        print(f"pushed: {push(args.to, args.push)}")
    return 0
