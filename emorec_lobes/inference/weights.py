"""Learnt weights from a file of tensors: all of them, and nothing else, or an error."""

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from emorec_lobes.errors import ConfigError, DataError


def load_weights(model: nn.Module, path: Path) -> None:
    """Loads a run's weights into its model; every tensor must be there, and no other.

    Raises
    ------
    ConfigError
        If a tensor is missing, left over or of another shape.
    DataError
        If the file is missing or damaged.
    """
    try:
        tensors = load_file(path)
    except FileNotFoundError:
        raise DataError(f"{path} does not exist. Finish the fold first.") from None
    except (SafetensorError, OSError) as error:
        raise DataError(f"{path} is damaged ({error}). Train the fold again.") from None
    weights = {name.removeprefix("model."): value for name, value in tensors.items()}
    try:
        model.load_state_dict(weights, strict=True)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{path} does not fit its hyperparams.yaml: {reason}. Train the fold again.") from None
