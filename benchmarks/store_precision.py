"""A trained speech run answers its test utterances from a store of float16 and from one of int8.

    python benchmarks/store_precision.py RUN --data-folder DIR [--feature-folder DIR] [--folds N]

RUN is a finished run of train_ser.py, with its fold_<k> folders. Each fold's network is given the layers of its own
test utterances from both stores, which are filled first where they are not. README.md beside this file has a run.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from emorec_lobes.errors import ConfigError, exit_code_of
from emorec_lobes.experiments.probed_run import Inputs, fold_settings, load_fold, speech_inputs
from emorec_lobes.experiments.speech import extract_features
from emorec_lobes.features.speech import STORED_AS
from emorec_lobes.features.store import FeatureStore
from emorec_lobes.inference.check import load_plain
from emorec_lobes.inference.model_folder import open_model


class Answers(NamedTuple):
    """What a fold's network says of its test utterances, by store; and the stores."""

    ids: Sequence[str]
    probabilities: dict[str, Tensor]  # (N, K)
    truth: Tensor  # (N,)
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


@torch.inference_mode()
def probabilities_of(model: nn.Module, inputs: Inputs, utterance_id: str, by_frames: bool) -> Tensor:
    """The mean over an utterance's segments, as its run evaluates: (K,)."""
    layers, speakers, num_valid = inputs(utterance_id)
    rows = model(layers.float(), speakers, num_valid=num_valid).logits.softmax(dim=-1)
    weights = num_valid.float() if by_frames else torch.ones(len(rows))
    return weights @ rows / weights.sum()


def table(found: Sequence[Answers]) -> Iterator[str]:
    """A line for each store."""
    exact, truth = (
        torch.cat(column)
        for column in ([each.probabilities[STORED_AS[0]] for each in found], [each.truth for each in found])
    )
    yield "| layers as | bytes of the layers | accuracy | labels changed | largest difference of a probability | mean |"
    yield "|---|--:|--:|--:|--:|--:|"
    for dtype in STORED_AS:
        rows = torch.cat([each.probabilities[dtype] for each in found])
        store = found[0].stores[dtype]
        size = sum((store.folder / store.entry(item).file).stat().st_size for item in store.ids)
        changed = int((rows.argmax(dim=1) != exact.argmax(dim=1)).sum())
        accuracy = (rows.argmax(dim=1) == truth).double().mean()
        apart = (rows - exact).abs()
        cells = (
            dtype,
            size,
            f"{accuracy:.4f}",
            f"{changed} of {len(rows)}",
            f"{apart.max():.5f}",
            f"{apart.mean():.6f}",
        )
        yield f"| {' | '.join(map(str, cells))} |"


def run(argv: Sequence[str] | None = None) -> int:
    """Asks and prints."""
    parser = argparse.ArgumentParser(description="Answers of a trained run from a store of float16 and one of int8.")
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of a finished run of train_ser.py")
    parser.add_argument("--data-folder", type=Path, required=True, help="where its corpus lies")
    parser.add_argument("--feature-folder", type=Path, help="of the stores (default: a temporary one)")
    parser.add_argument("--folds", type=int, help="only the first ones (default: all)")
    args = parser.parse_args(argv)
    if args.folds is not None and args.folds < 1:
        raise ConfigError(f"`folds` must be 1 or more, but is {args.folds} instead. Raise it.")
    folders = sorted(args.run.glob("fold_*"))[: args.folds]
    if not folders:
        raise ConfigError(
            f"`run` must be a folder with fold_<k> folders, but {args.run} has none. Name a finished run."
        )
    with ExitStack() as stack:
        features = args.feature_folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        found = [answers_of(folder, args.data_folder, features) for folder in folders]
        print(f"{len(folders)} folds of {args.run.name}, {sum(len(each.ids) for each in found)} test utterances")
        for line in table(found):
            print(line)
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """The benchmark's exit code."""
    return exit_code_of("store_precision", lambda: run(argv))


if __name__ == "__main__":
    sys.path.pop(0)  # else numba, which asks for the library of that name, would be given coverage.py beside this file
    sys.exit(main())
