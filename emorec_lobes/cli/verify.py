"""`emorec verify`: whether a model folder is what it should be, told without running anything in it."""

import argparse

HELP = "check a model folder, without running anything in it"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("folder", metavar="DIR", help="what `emorec export` made, or the hub id of such a folder")


def run(args: argparse.Namespace) -> int:
    """Prints one line a check; the first fault ends it."""
    from emorec_lobes.inference.model_folder import locate_folder, verify

    for line in verify(locate_folder(args.folder)):
        print(line, flush=True)
    return 0
