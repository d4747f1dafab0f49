"""`emorec synth`: makes the synthetic corpus."""

import argparse
from pathlib import Path

HELP = "make a small synthetic corpus, spoken by eSpeak NG, in the tree of IEMOCAP"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's options."""
    parser.add_argument("--to", type=Path, required=True, metavar="DIR", help="where it goes; missing or empty")
    parser.add_argument("--seed", type=int, default=1, help="another seed gives other speakers, words and deliveries")


def run(args: argparse.Namespace) -> int:
    """Makes the corpus and says how to go on."""
    from emorec_lobes.corpora.synthetic import make_corpus

    made = make_corpus(args.to, seed=args.seed)
    print(f"{args.to} holds the synthetic corpus of seed {args.seed}{'' if made else ' already; nothing was done'}.")
    print(f"Next: emorec prepare synthetic --data-folder {args.to} --manifest synthetic.json")
    return 0
