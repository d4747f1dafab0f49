"""Learnt weights from a file of tensors: all of them, and nothing else, or an error."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from speechbrain.utils.fetching import FetchSource, guess_source
from speechbrain.utils.parameter_transfer import Pretrainer
from torch import Tensor, nn

from emorec_lobes.errors import ConfigError, DataError
from emorec_lobes.inference.check import short

WEIGHTS = "model.safetensors"


def load_weights(model: nn.Module, path: Path) -> None:
    """Loads weights into their model; every tensor must be there, finite and of its shape and kind, and no other.

    Arguments
    ---------
    model : torch.nn.Module
        May be on the device `meta`: its tensors are then those of the file.
    path : Path
        A safetensors file, names as in the model or with `model.` in front.

    Raises
    ------
    ConfigError
        If a tensor is missing, left over, of another shape or kind, or not finite.
    DataError
        If the file is missing, damaged, or of another kind.
    """
    weights = {name.removeprefix("model."): value for name, value in read_tensors(path).items()}
    reason = _misfit(weights, model.state_dict())
    if reason:
        raise ConfigError(f"{path} does not fit its hyperparams.yaml: {reason}. Restore it, or make it again.")
    model.load_state_dict(weights, strict=True, assign=True)


def _misfit(weights: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> str:
    """What is wrong with some weights; PyTorch alone would let a count of batches be missing, and convert kinds."""
    for name in sorted({*weights} ^ {*expected}):
        return f"{short(name)} is {'missing' if name in expected else 'not of this network'}"
    for name, value in weights.items():
        if value.shape != expected[name].shape or value.dtype != expected[name].dtype:
            asked, held = ([*each.shape, each.dtype] for each in (expected[name], value))
            return f"{name} must be {asked}, but is {held}"
        if not torch.isfinite(value).all():
            return f"{name} is not finite"
    return ""


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file, by name.

    Raises
    ------
    DataError
        If the file is missing, damaged, or of another kind.
    """
    try:
        return load_file(path)
    except FileNotFoundError:
        raise DataError(f"{path} does not exist. Finish the fold first, or get the model again.") from None
    except (SafetensorError, OSError) as error:
        raise DataError(f"{path} is damaged, or no safetensors file ({error}). Get or train it again.") from None


class SafetensorsPretrainer(Pretrainer):
    """SpeechBrain's, for models in `<name>.safetensors` beside the hyperparameter file, loaded strictly.

    SpeechBrain's own hook reads pickled weights, and goes on with a warning where tensors are missing.

    Arguments
    ---------
    loadables : mapping
        Name -> model.
    """

    def __init__(self, loadables: Mapping[str, nn.Module]) -> None:
        super().__init__(loadables=loadables, custom_hooks=dict.fromkeys(loadables, load_weights))

    def collect_files(self, default_source: str | FetchSource | None = None, **options: Any) -> dict[str, Path]:
        """Finds the files in the source of the hyperparameter file.

        Arguments
        ---------
        default_source : str or FetchSource
            A folder or a hub id.
        **options
            As SpeechBrain's.
        """
        kind, place = guess_source(default_source)
        self.add_paths({name: FetchSource(kind, f"{place}/{name}.safetensors") for name in self.loadables})
        return super().collect_files(default_source, **options)
