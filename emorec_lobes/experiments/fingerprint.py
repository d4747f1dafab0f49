"""What a fold was trained from: a run goes on, or counts as finished, only where all of it is the same."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from emorec_lobes.corpora.manifest import Utterance
from emorec_lobes.corpora.protocol import Fold
from emorec_lobes.errors import ConfigError
from emorec_lobes.experiments.settings import Settings
from emorec_lobes.files import read_json

FINGERPRINT = "fingerprint.json"

# SpeechBrain's options that change what is computed.
RUN_OPTIONS = ("precision", "eval_precision", "grad_accumulation_factor")


def fold_fingerprint(
    settings: Settings, task: Any, run_opts: Any, fold: Fold, utterances: Mapping[str, Utterance]
) -> dict[str, Any]:
    """Hyperparameters, data, features and the options of the run, each in a few characters."""
    return {
        "config": settings.fingerprint(),
        "data": data_fingerprint(fold, utterances, task.audio_hashes),
        "features": dict(task.features),
        "run": run_fingerprint(run_opts),
    }


def run_fingerprint(run_opts: Any) -> dict[str, str]:
    """The options of the run that change what is computed."""
    return {name: str(run_opts[name]) for name in RUN_OPTIONS} | {"num_processes": str(num_processes())}


def check_fingerprint(folder: Path, fingerprint: Mapping[str, Any]) -> None:
    """Refuses a fold that was begun, or finished, with other data, features or run options.

    Raises
    ------
    ConfigError
        Says which of them differ. Going on would mix two trainings, perhaps with one's test in the other's training.
    """
    path = folder / FINGERPRINT
    if not path.exists():
        return
    held = read_json(path, "the recipe")
    differing = [name for name in fingerprint if held.get(name) != fingerprint[name]]
    if differing:
        raise ConfigError(
            f"{folder} was begun with other values of {', '.join(differing)}. "
            "Choose another --output_folder, or delete that one."
        )


def data_fingerprint(fold: Fold, utterances: Mapping[str, Utterance], audio_hashes: Mapping[str, str]) -> str:
    """12 hex digits of who is where in the fold, with label, speaker and audio."""
    content = [
        [split, item, utterances[item].emotion, utterances[item].speaker, audio_hashes[item]]
        for split in ("train", "valid", "test")
        for item in getattr(fold, split)
    ]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:12]


def num_processes() -> int:
    """Processes that train together."""
    return torch.distributed.get_world_size() if torch.distributed.is_initialized() else 1
