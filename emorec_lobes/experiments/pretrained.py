"""What a front end has learnt before: weights that fit to the last tensor, or one clear line."""

import hashlib
import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load
from speechbrain.utils.fetching import LocalStrategy
from speechbrain.utils.parameter_transfer import Pretrainer
from torch import Tensor, nn

from emorec_lobes.errors import ConfigError
from emorec_lobes.features import resemblyzer
from emorec_lobes.features.pretraining import RESEMBLYZER
from emorec_lobes.features.spectrum_spec import SpectrumSpec
from emorec_lobes.files import read_json

RESEMBLYZER_WHEEL = "resemblyzer"
WEIGHTS, ABOUT = "front_end.safetensors", "front_end.json"

# What a front end's input must have been in pre-training too: hyperparameters, and of which kind.
INPUT_KEYS = ("num_mels", "window_ms", "hop_ms", "subtract_mean")
INPUT = ("kind", *INPUT_KEYS)


class Pretrained:
    """Weights of a front end from a folder that train_speaker.py wrote, from Resemblyzer's wheel, or none.

    Arguments
    ---------
    source : str, optional
        A folder, `resemblyzer`, or None.
    spec : SpectrumSpec
        What the front end will be given.

    Raises
    ------
    ConfigError
        If the folder lacks a file, or the weights learnt from other features.
    """

    def __init__(self, source: str | None, spec: SpectrumSpec) -> None:
        self.source = source
        self.trained_on: str | None = None
        self.fingerprint = "none"
        if source is None:
            return
        if source == RESEMBLYZER_WHEEL:
            about: dict[str, Any] = {"kind": "resemblyzer", "trained_on": RESEMBLYZER}
            path = resemblyzer.weights_file()
        else:
            path = Path(source) / WEIGHTS
            about = read_json(Path(source) / ABOUT, "train_speaker.py", needed=(*INPUT, "trained_on"))
            if not path.is_file():
                raise ConfigError(f"`pretrained` must be a folder with {WEIGHTS}, but {source} has none. Name another.")
        for key in INPUT:
            if key in about and about[key] != getattr(spec, key):
                name = "features" if key == "kind" else key
                raise ConfigError(
                    f"`{name}` must be {about[key]}, as in the pre-training of {source}, but is {getattr(spec, key)} "
                    "instead. Change it."
                )
        self.trained_on = about["trained_on"]
        self.fingerprint = hashlib.sha256(path.read_bytes()).hexdigest()[:16]

    def load_into(self, front_end: nn.Module) -> None:
        """Gives a front end what was learnt; does nothing if there is nothing.

        Raises
        ------
        ConfigError
            If the weights are damaged, or are not exactly those of this front end.
        """
        if self.source is None:
            return
        if self.source == RESEMBLYZER_WHEEL:
            weights = resemblyzer.pretrained_lstms().state_dict()
            _load_strictly(front_end, {f"blocks.layers.lstms.{k}": v for k, v in weights.items()}, self.source)
            return
        pretrainer = Pretrainer(
            loadables={"front_end": front_end},
            paths={"front_end": f"{self.source}/{WEIGHTS}"},
            custom_hooks={"front_end": _load_file},  # SpeechBrain's own leaves out what does not fit
        )
        pretrainer.collect_files(local_strategy=LocalStrategy.NO_LINK)
        pretrainer.load_collected()


def _load_file(front_end: nn.Module, path: str | Path) -> None:
    try:
        weights = load(Path(path).read_bytes())
    except (SafetensorError, json.JSONDecodeError) as error:
        raise ConfigError(f"{path} is damaged ({error}). Train it again, or restore it.") from None
    _load_strictly(front_end, weights, str(path))


def _load_strictly(front_end: nn.Module, weights: dict[str, Tensor], source: str) -> None:
    own = front_end.state_dict()
    absent = sorted(set(own) - set(weights))
    foreign = sorted(set(weights) - set(own))
    if absent or foreign:
        raise ConfigError(
            f"`pretrained` must hold the weights of {type(front_end).__name__}, but {source} "
            f"{f'has no {absent[0]}' if absent else f'has {foreign[0]} as well'}. Name another one."
        )
    for name, tensor in own.items():
        if tensor.shape != weights[name].shape:
            raise ConfigError(
                f"`pretrained` must be as wide as the front end, but {name} in {source} is "
                f"{tuple(weights[name].shape)}, not {tuple(tensor.shape)}. Name another one, or set the same sizes."
            )
        if not weights[name].isfinite().all():
            raise ConfigError(f"`pretrained` must hold finite weights, but {name} in {source} is not. Train it again.")
    front_end.load_state_dict(weights, strict=True)
