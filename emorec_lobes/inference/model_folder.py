"""A trained model on the disk, opened only after it is checked: a finished fold, or an export of one."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from emorec_lobes.errors import ConfigError
from emorec_lobes.features.huggingface_precision import FP32, PRECISIONS
from emorec_lobes.features.speech import BUILT_IN, STORED_AS, layers_header
from emorec_lobes.features.text import text_header
from emorec_lobes.files import read_json
from emorec_lobes.inference.check import load_checked, load_plain
from emorec_lobes.inference.hub import locate_folder
from emorec_lobes.inference.tasks import task_named, task_of
from emorec_lobes.inference.verify import CHECKSUMS, HPARAMS, RECORD, verify_files
from emorec_lobes.inference.weights import WEIGHTS, load_weights

FOLD_RECORD = "results.json"
# Layers that the speech encoder has, where the model was cut to use only `num_layers` of them.
ENCODER_LAYERS = "encoder_layers"


@dataclass(frozen=True)
class LoadedModel:
    """A model that was checked, and everything needed to ask it."""

    task: str  # speech, ad, text or speech_text
    hparams: dict[str, Any]  # plain data: `labels`, the encoder's, and what else of `Task.keys` it has
    model: nn.Module  # in eval mode, on the CPU
    source: Path
    temperature: float = 1.0  # of its probabilities, fitted on validation; 1 where nothing was
    card: dict[str, Any] = field(default_factory=dict)  # stamp, scores and licence of its run, as far as known


def open_model(
    source: str | Path, *, trust: bool = False, encoder: str | None = None, text_encoder: str | None = None
) -> LoadedModel:
    """Opens a model; all of it is checked before anything in it is built.

    Arguments
    ---------
    source : str or Path
        A model folder as `emorec export` makes it, a run's `fold_<k>` folder, or the hub id of a model folder, which is
        looked up in the hub's cache first and is never linked or copied from there.
    trust : bool
        Whether the hyperparameter file may build and run anything at all. Everything else is checked all the same.
    encoder, text_encoder : str, optional
        Folder of the encoder, where the model was trained on a local one; else that of the hyperparameters.

    Returns
    -------
    LoadedModel

    Raises
    ------
    ConfigError
        If it is no such folder, a file of it is not what it should be, or it needs an encoder that is not given, or
        another one than that.
    DataError
        If a file is missing or damaged.
    UnavailableError
        If a hub id is neither in the cache nor to be had.
    """
    loaded = open_folder(locate_folder(source), trust)
    given = {"encoder": encoder, "text_encoder": text_encoder}
    for key, feature in task_named(loaded.task).encoders.items():
        expected = loaded.hparams.get(f"{key}_features")
        if given[key]:
            loaded.hparams[key] = given[key]
        elif loaded.hparams[key] is None:
            raise ConfigError(
                f"The model in {loaded.source} was trained on a local encoder ({expected}), which is not stored with "
                f"it. Give its folder as `{key}`."
            )
        if not given[key] or not expected:
            continue
        names = _features_names(loaded.hparams, key, feature)
        if (found := next(names)) != expected and expected not in names:
            raise ConfigError(
                f"`{key}` must be the one that the model in {loaded.source} was trained on ({expected}), but "
                f"{loaded.hparams[key]} is {found} instead. Name that one."
            )
    return loaded


def verify(folder: Path) -> Iterator[str]:
    """Checks all of a model folder, as `open_model` does; the network is built, of listed classes, to compare weights.

    Arguments
    ---------
    folder : Path

    Yields
    ------
    str
        What was found to be right, a line each.

    Raises
    ------
    ConfigError, DataError
        At the first fault.
    """
    yield from verify_files(folder)
    state = _open_export(folder).model.state_dict()
    yield f"{WEIGHTS}: {len(state)} tensors, each of the network's and no other, all finite"


def open_folder(folder: Path, trust: bool = False) -> LoadedModel:
    """As `open_model`, of a folder on the disk, whose encoder may be unknown."""
    folder = Path(folder)
    if (folder / CHECKSUMS).exists():
        for _ in verify_files(folder, trust):
            pass
        return _open_export(folder, trust)
    if (folder / FOLD_RECORD).exists():
        record = read_json(folder / FOLD_RECORD, "the recipe")
        return _open(folder, ["labels", *task_of(folder / HPARAMS).keys], record)
    raise ConfigError(
        f"{folder} must be a model folder ({CHECKSUMS}) or a finished fold ({FOLD_RECORD}), but is neither. "
        "Name the fold_<k> folder of a finished run, or what `emorec export` made."
    )


def _open_export(folder: Path, trust: bool = False) -> LoadedModel:
    task = task_of(folder / HPARAMS)
    keys = ["labels", *task.keys, *(f"{key}_features" for key in task.encoders), "temperature"]
    keys += [ENCODER_LAYERS] if ENCODER_LAYERS in load_plain(folder / HPARAMS) else []
    return _open(folder, keys, read_json(folder / RECORD, "`emorec export`"), trust)


def _open(folder: Path, keys: Sequence[str], record: Mapping[str, Any], trust: bool = False) -> LoadedModel:
    # Without memory until the weights have shown that they fit: a file may ask for any size.
    with torch.device("cpu" if trust else "meta"):
        hparams = load_checked(folder / HPARAMS, [*keys, "model"], trust)
    model = hparams.pop("model")
    load_weights(model, folder / WEIGHTS)
    temperature = float(hparams.pop("temperature", 1.0))
    return LoadedModel(task_of(folder / HPARAMS).name, hparams, model.eval(), folder, temperature, card_of(record))


def _features_names(hparams: Mapping[str, Any], key: str, feature: str) -> Iterator[str]:
    """What the features of an encoder may be called: the name tells its weights and options, and of layers how exact
    they were in training."""
    if feature == "layers":
        num_layers = hparams.get(ENCODER_LAYERS, hparams["num_layers"])
        options = (num_layers, hparams["encoder_dim"], hparams["encoder_padding"])
        for precision in (FP32,) if hparams[key] in BUILT_IN else PRECISIONS:
            header = layers_header(hparams[key], *options, precision)
            yield from (replace(header, dtype=dtype).folder_name for dtype in STORED_AS)
        return
    prefix = "text_" if key == "text_encoder" else ""
    sizes = (hparams[f"{prefix}num_layers"], hparams[f"{prefix}encoder_dim"])
    yield text_header(hparams[key], *sizes, hparams["brackets"], hparams["max_tokens"]).folder_name


def card_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """What a run's record says of a model: nothing of paths, commands or single speakers."""
    known = ("labels", "num_utterances", "accuracy", "uar", "weighted_f1", "macro_f1", "per_class_recall", "interval")
    known += ("baseline", "stamp", "versions", "licence", "run", "dropped_layers")
    return {key: record[key] for key in known if key in record}
