"""`emorec extract`: a manifest with its audio or transcripts -> feature stores."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emorec_lobes.features.spec import ExtractionSpec, TextSpec

HELP = "compute the features of a manifest's utterances"

_TOKENS = "tokens"
# encoder, num_layers, encoder_dim: those of the papers' recipes
_SPEECH = ("facebook/wav2vec2-large-lv60", 25, 1024)
_TEXT = ("google-bert/bert-large-uncased", 1, 1024)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("--manifest", type=Path, required=True, metavar="IN.json", help="made by `emorec prepare`")
    parser.add_argument("--data-folder", required=True, metavar="DIR", help="where the corpus lies; may be a URL")
    parser.add_argument("--to", type=Path, required=True, metavar="FEATURES", help="folder of the feature stores")

    encoder = parser.add_argument_group("encoder", f"by default {_SPEECH[0]}, or of tokens {_TEXT[0]}")
    encoder.add_argument("--encoder", help="resemblyzer, mel, minilm, or a Hugging Face model's id or folder")
    encoder.add_argument("--num-layers", type=int, metavar="N", help="hidden states; 1 for the last one of a text")
    encoder.add_argument("--encoder-dim", type=int, metavar="D", help="width")
    encoder.add_argument("--padding", default="centred", help="of speech: centred (default) or authors")
    encoder.add_argument("--precision", default="fp32", help="fp32 (default), or bf16 with Hugging Face speech models")
    encoder.add_argument("--dtype", default="float16", help="layers are stored as float16 (default), or int8 in half")
    encoder.add_argument("--device", default="cpu", help="cpu (default), cuda, ...")

    text = parser.add_argument_group("tokens")
    text.add_argument("--brackets", default="keep", help="[LAUGHTER] and its like: keep (default), drop or map")
    text.add_argument(
        "--max-tokens", type=int, default=512, metavar="N", help="longer texts are cut (default: %(default)s)"
    )

    parser.add_argument("--aligner", default="none", help="phones: none (default), file or pocketsphinx")
    parser.add_argument(
        "--features",
        default="layers,mel,phones,speaker",
        metavar="A,B",
        help="which of them to compute (default: %(default)s), or tokens: of the transcripts, without audio",
    )
    parser.add_argument(
        "--workers", type=int, default=0, metavar="N", help="processes (default: this one, all threads)"
    )
    parser.add_argument("--engine", default="local", help="local (default), or ray: as many workers as it has cores")


def run(args: argparse.Namespace) -> int:
    """Fills the stores and prints where they are."""
    from emorec_lobes.corpora.manifest import read_manifest
    from emorec_lobes.features.extract import extract
    from emorec_lobes.features.phones import unaligned, warn_of_unaligned

    spec = _spec(args)
    utterances = read_manifest(args.manifest)
    stores = extract(utterances, args.data_folder, args.to, spec, workers=args.workers, engine=args.engine)
    if "phones" in stores:
        warn_of_unaligned(unaligned(stores["phones"], utterances), len(utterances))
    for feature, store in stores.items():
        shape = " x ".join(str(size) for size in ("N" if feature == _TOKENS else "T", *store.header.shape))
        print(f"{feature:<8}{len(store):>6} utterances  {shape:<14}{store.header.dtype:<9}{store.folder}")
    return 0


def _spec(args: argparse.Namespace) -> "ExtractionSpec | TextSpec":
    """What the options ask for: of speech, or of transcripts."""
    from emorec_lobes.errors import ConfigError
    from emorec_lobes.features.spec import ExtractionSpec, TextSpec

    features = tuple(name.strip() for name in args.features.split(","))
    if _TOKENS in features and len(features) > 1:
        raise ConfigError(
            f"`--features` must be tokens alone, which another encoder makes, but is {args.features} instead. "
            "Run it once for each."
        )
    given = (args.encoder, args.num_layers, args.encoder_dim)
    default = _TEXT if _TOKENS in features else _SPEECH
    sizes = [one if one is not None else other for one, other in zip(given, default, strict=True)]
    if _TOKENS in features:
        return TextSpec(*sizes, brackets=args.brackets, max_tokens=args.max_tokens, device=args.device)
    return ExtractionSpec(
        *sizes,
        padding=args.padding,
        aligner=args.aligner,
        features=features,
        device=args.device,
        dtype=args.dtype,
        precision=args.precision,
    )
