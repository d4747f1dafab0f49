"""A trained speech model answers from a store of float16 and from one of int8.

    python benchmarks/store_precision.py [RUN --data-folder DIR [--feature-folder DIR] [--folds N]]

RUN is a finished run of train_ser.py, with its fold_<k> folders: each fold's network is given the layers of its own
test utterances from both stores, which are filled first where they are not. Without one, the model in the package is
given noise that swings as syllables do.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import torch
from _material import noises
from torch import Tensor, nn

from emorec_lobes.corpora.manifest import Utterance
from emorec_lobes.dataio.normalise import Normaliser
from emorec_lobes.dataio.speech import SpeechData
from emorec_lobes.errors import ConfigError, exit_code_of
from emorec_lobes.experiments.probed_run import Inputs, fold_settings, load_fold, speech_inputs
from emorec_lobes.experiments.speech import extract_features
from emorec_lobes.features.speaker import DIM
from emorec_lobes.features.speech import STORED_AS, layers_header, load_encoder
from emorec_lobes.features.store import FeatureStore
from emorec_lobes.inference.check import load_plain
from emorec_lobes.inference.model_folder import open_model
from emorec_lobes.inference.shipped import shipped_model
from emorec_lobes.units import SAMPLE_RATE_HZ

_COUNT = 32


class Answers(NamedTuple):
    """What a fold's network says of its test utterances, by store; and the stores."""

    ids: Sequence[str]
    probabilities: dict[str, Tensor]  # (N, K)
    truth: Tensor | None  # (N,)
    stores: dict[str, FeatureStore]


def answers_of(folder: Path, data_folder: Path, feature_folder: Path) -> Answers:
    """One fold, from both stores."""
    loaded = open_model(folder)
    by_frames = loaded.hparams["segment_weights"] == "frames"
    probabilities, stores = {}, {}
    run_opts = {"device": "cpu", "noprogressbar": True}
    for dtype in STORED_AS:
        hparams = {**load_plain(folder / "hyperparams.yaml"), "feature_dtype": dtype}
        settings = fold_settings(folder, hparams, data_folder=str(data_folder), feature_folder=str(feature_folder))
        utterances, fold = load_fold(settings, folder.name.removeprefix("fold_"))
        inputs = speech_inputs(settings, utterances, fold, run_opts)
        probabilities[dtype] = torch.stack(
            [probabilities_of(loaded.model, inputs, item, by_frames) for item in fold.test]
        )
        stores[dtype] = extract_features(settings, utterances, run_opts, features=("layers",))["layers"]
    labels = list(loaded.hparams["labels"])
    truth = torch.tensor([labels.index(utterances[item].emotion) for item in fold.test])
    return Answers(fold.test, probabilities, truth, stores)


def packaged(count: int, root: Path) -> Answers:
    """The model in the package, on utterances made up of noise."""
    loaded = open_model(shipped_model())
    hparams = loaded.hparams
    options = [hparams[key] for key in ("encoder", "num_layers", "encoder_dim", "encoder_padding")]
    encoder = load_encoder(*options)
    stores = {dtype: FeatureStore.open(root, layers_header(*options, dtype=dtype)) for dtype in STORED_AS}
    probabilities, utterances = {}, {}
    for number, wave in enumerate(noises(count, seed=0)):
        item, duration_s = f"u{number}", len(wave) / SAMPLE_RATE_HZ
        utterances[item] = Utterance(item, "", duration_s, hparams["labels"][0], "")
        for store in stores.values():
            store.write(item, encoder.layers(torch.from_numpy(wave)), audio_hash="0", source=(0,))
    for dtype, store in stores.items():
        data = SpeechData(
            utterances, hparams["labels"], store, store, store, {}, Normaliser(store, utterances, hparams["normalise"]),
            hparams["crop_frames"], keep_single_frame_tail=hparams["keep_single_frame_tail"],
        )  # fmt: skip

        def inputs(item: str, data: SpeechData = data) -> tuple[Tensor, ...]:
            layers, num_valid = data.segments(item)
            return layers, torch.zeros(len(layers), DIM), num_valid

        by_frames = hparams["segment_weights"] == "frames"
        probabilities[dtype] = torch.stack(
            [probabilities_of(loaded.model, inputs, item, by_frames) for item in utterances]
        )
    return Answers(list(utterances), probabilities, None, stores)


@torch.inference_mode()
def probabilities_of(model: nn.Module, inputs: Inputs, utterance_id: str, by_frames: bool) -> Tensor:
    """The mean over an utterance's segments, as its run evaluates: (K,)."""
    layers, speakers, num_valid = inputs(utterance_id)
    rows = model(layers.float(), speakers, num_valid=num_valid).logits.softmax(dim=-1)
    weights = num_valid.float() if by_frames else torch.ones(len(rows))
    return weights @ rows / weights.sum()


def table(found: Sequence[Answers]) -> Iterator[str]:
    """A line for each store."""
    exact = torch.cat([each.probabilities[STORED_AS[0]] for each in found])
    truth = None if found[0].truth is None else torch.cat([each.truth for each in found])
    yield "| layers as | bytes of the layers | accuracy | labels changed | largest difference of a probability | mean |"
    yield "|---|--:|--:|--:|--:|--:|"
    for dtype in STORED_AS:
        rows = torch.cat([each.probabilities[dtype] for each in found])
        store = found[0].stores[dtype]
        size = sum((store.folder / store.entry(item).file).stat().st_size for item in store.ids)
        changed = int((rows.argmax(dim=1) != exact.argmax(dim=1)).sum())
        accuracy = "-" if truth is None else f"{(rows.argmax(dim=1) == truth).double().mean():.4f}"
        apart = (rows - exact).abs()
        cells = (
            dtype,
            size,
            accuracy,
            f"{changed} of {len(rows)}",
            f"{apart.max():.5f}",
            f"{apart.mean():.6f}",
        )
        yield f"| {' | '.join(map(str, cells))} |"


def run(argv: Sequence[str] | None = None) -> int:
    """Asks and prints."""
    parser = argparse.ArgumentParser(description="Answers of a trained run from a store of float16 and one of int8.")
    parser.add_argument("run", type=Path, nargs="?", metavar="RUN", help="folder of a finished run of train_ser.py")
    parser.add_argument("--data-folder", type=Path, help="where its corpus lies")
    parser.add_argument("--feature-folder", type=Path, help="of the stores (default: a temporary one)")
    parser.add_argument("--folds", type=int, help="only the first ones (default: all)")
    args = parser.parse_args(argv)
    if args.folds is not None and args.folds < 1:
        raise ConfigError(f"`folds` must be 1 or more, but is {args.folds} instead. Raise it.")
    if (args.run is None) != (args.data_folder is None):
        raise ConfigError("`data_folder` must be given with a run and only then. Name both or neither.")
    folders = sorted(args.run.glob("fold_*"))[: args.folds] if args.run else []
    if args.run and not folders:
        raise ConfigError(
            f"`run` must be a folder with fold_<k> folders, but {args.run} has none. Name a finished run."
        )
    with ExitStack() as stack:
        features = args.feature_folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        found = [answers_of(folder, args.data_folder, features) for folder in folders] or [packaged(_COUNT, features)]
        about = f"{len(folders)} folds of {args.run.name}, test" if args.run else "the model in the package, noise as"
        print(f"{about} utterances: {sum(len(each.ids) for each in found)}")
        for line in table(found):
            print(line)
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """The benchmark's exit code."""
    return exit_code_of("store_precision", lambda: run(argv))


if __name__ == "__main__":
    sys.exit(main())
