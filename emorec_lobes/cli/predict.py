"""`emorec predict`: the emotion of audio files and texts, by a model that a run has trained."""

import argparse
import os
from pathlib import Path

HELP = "recognise the emotion of audio files, folders and texts with a trained model"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    parser.add_argument("audio", nargs="*", help="files, folders, patterns, URLs of these; `-` reads names from stdin")
    parser.add_argument("--list", type=Path, metavar="FILE", help="a file with a name a line")
    parser.add_argument("--model", metavar="MODEL", help="a run's fold_<k>, an exported folder, or a hub id")
    parser.add_argument("--text", nargs="+", metavar="TEXT", help="what is said, one for each file, or without files")
    parser.add_argument("--timeline", action="store_true", help="what is felt when, for recordings of any length")
    parser.add_argument("--window-s", type=float, metavar="S", help="what a timeline hears at once (default: 3)")
    parser.add_argument("--shift-s", type=float, metavar="S", help="from one of its answers to the next (default: 1)")
    parser.add_argument("--format", default="table", help="table, json or csv; of timelines also rttm or audacity")
    parser.add_argument("--labels", nargs="+", metavar="LABEL", help="the only labels that may be answered")
    parser.add_argument("--threshold", type=float, metavar="P", help="least confidence of an answer")
    parser.add_argument("--batch-size", type=int, default=16, metavar="N", help="utterances at a time (default: 16)")
    parser.add_argument("--precision", default="fp32", help="fp32, or bf16 or int8 with Hugging Face models")
    parser.add_argument("--encoder", metavar="DIR", help="the model's encoder, where it is a folder elsewhere now")
    parser.add_argument("--text-encoder", metavar="DIR", help="likewise, that of its texts")
    parser.add_argument("--enrol", type=Path, metavar="DIR", help="a folder with more audio of the speaker")
    parser.add_argument("--to", type=Path, metavar="FILE", help="adds the answers to a file, and skips those in it")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default: cpu)")
    parser.add_argument(
        "--jobs", type=int, metavar="N", help="processes (default: this one; on Ray, all it has room for)"
    )
    parser.add_argument("--engine", default="local", help="local (default), or ray: on the cores or GPUs of a cluster")


def run(args: argparse.Namespace) -> int:
    """Writes answers as they come, and what failed to stderr at the end; 1 if anything did."""
    # oneDNN prepares something for every new length, and keeps a thousand of these: hundreds of MB in a long list.
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "64")
    from emorec_lobes.inference.predicting import predict_files

    names = ("batch_size", "precision", "device", "enrol", "encoder", "text_encoder")
    windows = {"window_s": args.window_s, "shift_s": args.shift_s}
    return predict_files(
        args.audio,
        args.model,
        {name: getattr(args, name) for name in names},
        list_file=args.list,
        texts=args.text,
        windows={name: value for name, value in windows.items() if value is not None} if args.timeline else None,
        form=args.format,
        labels=args.labels,
        threshold=args.threshold,
        to=args.to,
        engine=args.engine,
        jobs=args.jobs,
    )
