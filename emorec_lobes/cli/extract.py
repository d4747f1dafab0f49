"""`emorec extract`: a manifest and its audio -> feature stores."""

import argparse
from pathlib import Path

HELP = "compute the features of a manifest's utterances"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("--manifest", type=Path, required=True, metavar="IN.json", help="made by `emorec prepare`")
    parser.add_argument("--data-folder", type=Path, required=True, metavar="DIR", help="where the corpus lies")
    parser.add_argument("--to", type=Path, required=True, metavar="FEATURES", help="folder of the feature stores")

    encoder = parser.add_argument_group("speech encoder")
    encoder.add_argument(
        "--encoder",
        default="facebook/wav2vec2-large-lv60",
        help="resemblyzer, mel, or a Hugging Face model's id or folder (default: %(default)s)",
    )
    encoder.add_argument("--num-layers", type=int, default=25, metavar="N", help="hidden states (default: %(default)s)")
    encoder.add_argument("--encoder-dim", type=int, default=1024, metavar="D", help="width (default: %(default)s)")
    encoder.add_argument("--padding", default="centred", help="centred (default) or authors")
    encoder.add_argument("--device", default="cpu", help="cpu (default), cuda, ...")

    parser.add_argument("--aligner", default="none", help="phones: none (default), file or pocketsphinx")
    parser.add_argument(
        "--features",
        default="layers,mel,phones,speaker",
        metavar="A,B",
        help="which of them to compute (default: %(default)s)",
    )
    parser.add_argument(
        "--workers", type=int, default=0, metavar="N", help="processes (default: this one, all threads)"
    )


def run(args: argparse.Namespace) -> int:
    """Fills the stores and prints where they are."""
    from emorec_lobes.corpora.manifest import read_manifest
    from emorec_lobes.features.extract import ExtractionSpec, extract
    from emorec_lobes.features.phones import unaligned, warn_of_unaligned

    spec = ExtractionSpec(
        encoder=args.encoder,
        num_layers=args.num_layers,
        encoder_dim=args.encoder_dim,
        padding=args.padding,
        aligner=args.aligner,
        features=tuple(name.strip() for name in args.features.split(",")),
        device=args.device,
    )
    utterances = read_manifest(args.manifest)
    stores = extract(utterances, args.data_folder, args.to, spec, workers=args.workers)
    if "phones" in stores:
        warn_of_unaligned(unaligned(stores["phones"], utterances), len(utterances))
    for feature, store in stores.items():
        shape = " x ".join(str(size) for size in ("T", *store.header.shape))
        print(f"{feature:<8}{len(store):>6} utterances  {shape:<14}{store.header.dtype:<9}{store.folder}")
    return 0
