"""A finished fold becomes a model folder: what inference needs, and no more, checked before it is there."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from emorec_lobes.errors import ConfigError, DataError, not_one_of
from emorec_lobes.evaluation.calibration import fit_temperature
from emorec_lobes.evaluation.metrics import scores
from emorec_lobes.evaluation.predictions import Predictions, read_predictions
from emorec_lobes.files import read_json, write_atomically, write_json
from emorec_lobes.inference.card import card_text, dropped_in_words
from emorec_lobes.inference.check import load_plain
from emorec_lobes.inference.cut import Cut, cut_layers, largest_change, measured_on
from emorec_lobes.inference.graph import make_graph
from emorec_lobes.inference.model_folder import ENCODER_LAYERS, FOLD_RECORD, LoadedModel, card_of, open_folder
from emorec_lobes.inference.slim import slim_hparams
from emorec_lobes.inference.tasks import Task, task_named
from emorec_lobes.inference.verify import (
    CHECKSUMS,
    CUSTOM,
    CUSTOM_TEXT,
    HPARAMS,
    LABEL_ENCODER,
    README,
    RECORD,
    checksum,
    label_encoder_text,
)
from emorec_lobes.inference.weights import WEIGHTS
from emorec_lobes.names import natural
from emorec_lobes.units import SAMPLE_RATE_HZ

PREDICTIONS = "predictions.csv"
# A model whose answers moved by more than this is not the one that was scored.
_MOST_MOVED = 1e-5
_NUM_BATCHES = 3
# Of the corpora that recipes know; another one's has to be told.
LICENCES = {
    "emodb": "CC0-1.0",
    "iemocap": "by agreement with USC",
    "emorynlp": "Apache-2.0",
    "goemotions": "Apache-2.0",
    "meld": "GPL-3.0",
    "synthetic": "none needed: made by emorec with eSpeak NG",
}


@dataclass(frozen=True)
class TrainedFold:
    """A finished fold, opened."""

    loaded: LoadedModel
    predictions: Predictions
    record: dict[str, Any]

    @property
    def task(self) -> Task:
        """Its kind of model."""
        return task_named(self.loaded.task)


def choose_fold(run: Path, name: str | None = None) -> Path:
    """The fold of a run that did best on its own validation, or the one that is named.

    Arguments
    ---------
    run : Path
        A run's folder, or a fold's.
    name : str, optional

    Returns
    -------
    Path
        The fold's folder.

    Raises
    ------
    ConfigError
        If there is no such fold, or no validation to choose by.
    """
    run = Path(run)
    folders = {path.name.removeprefix("fold_"): path for path in run.glob("fold_*") if (path / FOLD_RECORD).exists()}
    if not folders and (run / HPARAMS).exists() and name is None:
        return run
    if not folders:
        raise ConfigError(f"{run} must be a run with finished folds, or one of them, but is neither. Name another.")
    names = sorted(folders, key=natural)
    if name is not None:
        if name not in folders:
            raise ConfigError(f"{not_one_of('fold', name, names)} These are the finished folds of {run}.")
        return folders[name]
    found = {each: _validation_score(folders[each]) for each in names}
    if None in found.values():
        raise ConfigError(
            f"The folds of {run} must have validation rows to choose the best by, but have none. Name one with --fold."
        )
    return folders[max(names, key=lambda each: found[each])]


def read_fold(folder: Path) -> TrainedFold:
    """Opens a finished fold with its answers and its record.

    Raises
    ------
    ConfigError, DataError
        As `open_folder`, or if the record or the answers are missing or broken.
    """
    folder = Path(folder)
    loaded = open_folder(folder)
    record = dict(read_json(folder / FOLD_RECORD, "the recipe", needed=("stamp", "labels", "folds", "fingerprint")))
    return TrainedFold(loaded, read_predictions(folder / PREDICTIONS), record)


def export(
    fold: TrainedFold,
    to: Path,
    licence: str | None = None,
    source: str | None = None,
    with_programs: bool = False,
    drop_layers: float | None = None,
) -> Iterator[str]:
    """Writes a model folder: beside its place first, and into it after its answers have been compared.

    Arguments
    ---------
    fold : Fold
    to : Path
        Must not exist.
    licence : str, optional
        Terms of the corpus, where `LICENCES` does not know them.
    source : str, optional
        What the card tells users to load, e.g. a hub id; the folder's name by default.
    with_programs : bool
        Whether to write model.onnx and model.pt2 too.
    drop_layers : float, optional
        Drops the topmost encoder layers whose absolute shares in the mix sum to no more, as `cut_layers`.

    Yields
    ------
    str
        What was done, a line each.

    Raises
    ------
    ConfigError
        If the place is taken, the terms of the corpus are unknown, or no layer can be dropped.
    DataError
        If the answers of what was written differ from those of the fold.
    UnavailableError
        If a library is missing that `with_programs` needs.
    """
    to = Path(to)
    if to.exists():
        raise ConfigError(f"{to} must not exist yet, but does. Delete it, or name another folder.")
    to.parent.mkdir(parents=True, exist_ok=True)
    card = _card(fold, licence)
    if drop_layers is not None:
        cut = cut_layers(fold.loaded, drop_layers)
        card["dropped_layers"] = _measured(fold, cut)
        fold = replace(fold, loaded=cut.loaded)
    temperature = temperature_of(fold.predictions)
    beside = to.with_name(f".{to.name}.{os.getpid()}.tmp")
    try:
        beside.mkdir()
        write_folder(fold, beside, card, temperature, source or to.name)
        programs = list(_programs(fold.loaded, beside)) if with_programs else []
        write_checksums(beside)
        moved = largest_move(fold.loaded, open_folder(beside))
        if not moved < _MOST_MOVED:
            raise DataError(
                f"The exported model must answer as {fold.loaded.source} does, but its probabilities differ by "
                f"{moved:.2g}. Report this: it should not happen."
            )
        beside.rename(to)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    yield f"fold: {fold.loaded.source}"
    yield f"temperature, fitted on validation: {temperature:.4g}"
    what = "the fold" if drop_layers is None else "the fold without the layers that are dropped"
    yield f"largest |dp| between this folder and {what} over {_NUM_BATCHES} random batches: {moved:.2g}"
    if drop_layers is not None:
        yield dropped_in_words(card["dropped_layers"])
    yield from programs
    yield f"written: {to}"


def write_folder(fold: TrainedFold, folder: Path, card: dict[str, Any], temperature: float, source: str) -> None:
    """Writes the files of a model folder but the checksums."""
    loaded, task = fold.loaded, fold.task
    values, local = _encoder_values(fold)
    values |= {"sample_rate": SAMPLE_RATE_HZ, "temperature": temperature}
    used = None
    if ENCODER_LAYERS in loaded.hparams:
        used = loaded.hparams["num_layers"]
        values |= {"num_layers": used, ENCODER_LAYERS: loaded.hparams[ENCODER_LAYERS]}
        local.append("num_layers")
    write_atomically(folder / HPARAMS, slim_hparams(loaded.source / HPARAMS, task, values, local, used))
    weights = {
        name: tensor.contiguous()
        for name, tensor in loaded.model.state_dict().items()
        if not name.startswith(task.training_only)
    }
    write_atomically(folder / WEIGHTS, save(weights))
    write_atomically(folder / LABEL_ENCODER, label_encoder_text(loaded.hparams["labels"]))
    write_atomically(folder / CUSTOM, CUSTOM_TEXT)
    write_json(folder / RECORD, card)
    write_atomically(folder / README, card_text(card, task, temperature, source))


def write_checksums(folder: Path) -> None:
    """Writes the checksums of all files of a model folder."""
    names = sorted(path.name for path in folder.iterdir() if path.name != CHECKSUMS)
    write_json(folder / CHECKSUMS, {name: checksum(folder / name) for name in names})


def _measured(fold: TrainedFold, cut: Cut) -> dict[str, Any]:
    """What the card says of layers that were dropped."""
    features = fold.record["fingerprint"]["features"]
    data, batches = measured_on(fold.loaded, fold.predictions, features)
    return cut.record(largest_change(fold.loaded, cut, batches), data)


def _programs(loaded: LoadedModel, folder: Path) -> Iterator[str]:
    from emorec_lobes.inference.programs import write_programs
    from emorec_lobes.inference.waves import WaveGraph, takes_waves

    graph = make_graph(loaded.task, loaded.model, loaded.hparams)
    if takes_waves(graph, loaded.hparams):
        graph = WaveGraph(graph).eval()
    return write_programs(graph, folder, loaded.hparams["labels"])


def temperature_of(predictions: Predictions) -> float:
    """The temperature fitted on the validation rows; 1 where there are none.

    Rows that are all answered right fit none: the colder the better, without an end.
    """
    if "valid" not in predictions.splits:
        return 1.0
    rows = predictions.only("valid")
    if (rows.predicted == rows.targets).all():
        return 1.0
    return fit_temperature(rows.probabilities, rows.targets)


@torch.inference_mode()
def largest_move(one: LoadedModel, other: LoadedModel) -> float:
    """The largest difference between two models' probabilities of random features of random lengths."""
    generator = torch.Generator().manual_seed(0)
    graphs = [make_graph(each.task, each.model, each.hparams) for each in (one, other)]
    batches = [graphs[0].example(generator) for _ in range(_NUM_BATCHES)]
    return max(float((graphs[0](*batch) - graphs[1](*batch)).abs().max()) for batch in batches)


def _validation_score(folder: Path) -> float | None:
    predictions = read_predictions(folder / PREDICTIONS)
    if "valid" not in predictions.splits:
        return None
    rows = predictions.only("valid")
    name = load_plain(folder / HPARAMS).get("validation_score", "uar")
    return scores(rows.targets, rows.predicted, rows.labels)[name]


def _encoder_values(fold: TrainedFold) -> tuple[dict[str, Any], list[str]]:
    """What the file says of the encoders, and which of them are local folders, whose place is told to nobody."""
    values, local = {}, []
    for key, feature in fold.task.encoders.items():
        features = fold.record["fingerprint"]["features"][feature]
        values[f"{key}_features"] = features
        if not features.startswith(f"{feature}-{fold.loaded.hparams[key].replace('/', '--')}-"):
            values[key] = None
            local.append(key)
    return values, local


def _card(fold: TrainedFold, licence: str | None) -> dict[str, Any]:
    corpus = fold.record["stamp"].get("corpus")
    known = licence or LICENCES.get(str(corpus))
    if known is None:
        raise ConfigError(f"The terms of the corpus {corpus!r} are not known to emorec. Say them with --licence TEXT.")
    made_by = fold.record.get("command", {})
    run = {key: made_by.get(key, "unknown") for key in ("recipe", "hparams", "fingerprint")}
    _, local = _encoder_values(fold)
    features = fold.record["fingerprint"]["features"]
    card = card_of(fold.record)
    named = {key: features[fold.task.encoders[key]] for key in local}  # and not by a path on this machine
    run["fold"] = fold.record["folds"][0]["fold"]
    return {**card, "stamp": {**card["stamp"], **named}, "licence": known, "run": run}
