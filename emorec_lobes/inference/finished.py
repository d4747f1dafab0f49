"""A finished fold on the disk: what it was trained with, and its network, built only after it is checked."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from emorec_lobes.errors import ConfigError, not_one_of
from emorec_lobes.files import read_json
from emorec_lobes.inference.check import load_checked, load_plain, target_of
from emorec_lobes.inference.weights import load_weights


@dataclass(frozen=True)
class FinishedFold:
    """A fold's folder, and what was in it."""

    folder: Path
    hparams: dict[str, Any]  # what is data in its hyperparams.yaml, and nothing that would be built
    record: dict[str, Any]  # its results.json
    target: str  # dotted name of the network's class
    model: nn.Module  # trained, in eval mode


def open_fold(run: Path, name: str, targets: Collection[str]) -> FinishedFold:
    """Opens a fold of a run.

    Arguments
    ---------
    run : Path
        A run's folder, with `fold_1` and so on.
    name : str
        Of the fold, e.g. "1".
    targets : collection of str
        Dotted names of the networks that will do.

    Raises
    ------
    ConfigError
        If it is no run, has no such fold, the fold is not finished, or has another kind of model; or as `load_checked`
        and `load_weights`.
    """
    run = Path(run)
    names = sorted(path.name.removeprefix("fold_") for path in run.glob("fold_*") if path.is_dir())
    if not names:
        raise ConfigError(f"{run} must be the folder of a run, with fold_1 and so on, but has none. Name another one.")
    if name not in names:
        raise ConfigError(f"{not_one_of('fold', name, names)} These are the folds of {run}.")
    folder = run / f"fold_{name}"
    if not (folder / "results.json").exists():
        raise ConfigError(f"{folder} is not finished: it has no results.json. Run its recipe again to go on.")
    path = folder / "hyperparams.yaml"
    target = target_of(path, "model")
    if target not in targets:
        kinds = " or a ".join(each.rpartition(".")[2] for each in targets)
        raise ConfigError(
            f"{folder} must hold a {kinds}, but holds {target.rpartition('.')[2] or 'no network'} instead. "
            "Name a run of train_ser.py or train_ad.py."
        )
    model = load_checked(path, ["model"])["model"].eval()
    load_weights(model, folder / "model.safetensors")
    record = dict(read_json(folder / "results.json", "the recipe", needed=("stamp",)))
    return FinishedFold(folder, load_plain(path), record, target, model)
