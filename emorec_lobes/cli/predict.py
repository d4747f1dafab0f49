"""`emorec predict`: the emotion of audio files, by a model that a run has trained."""

import argparse
from pathlib import Path

HELP = "recognise the emotion of audio files with a trained fold"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    parser.add_argument("audio", nargs="+", type=Path, help="audio files: wav, flac, mp3 or ogg")
    parser.add_argument("--model", required=True, type=Path, metavar="FOLD", help="a run's fold_<k> folder")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default: cpu)")


def run(args: argparse.Namespace) -> int:
    """Prints one line a file: the label and the probability of every class."""
    from emorec_lobes.inference.recognizer import EmotionRecognizer

    recognizer = EmotionRecognizer(args.model, args.device)
    for path in args.audio:
        answer = recognizer.predict(path)
        rest = "  ".join(f"{label} {value:.2f}" for label, value in answer.probabilities.items())
        print(f"{path}: {answer.label}  ({rest})")
    return 0
