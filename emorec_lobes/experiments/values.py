"""Whether the values of a hyperparameter file can mean anything, before an hour is spent on them."""

from collections.abc import Mapping
from typing import Any

from emorec_lobes.errors import ConfigError, not_one_of
from emorec_lobes.evaluation.metrics import METRICS
from emorec_lobes.features.huggingface_precision import PRECISIONS
from emorec_lobes.features.speech import STORED_AS

# Every other whole number of a hyperparameter file counts something that there must be one of.
_MAY_BE_0 = frozenset(
    {"seed", "num_workers", "extract_workers", "wave_copies", "num_statistics", "context_turns", "conv_padding"}
)

_MOST = 2**63 - 1  # what a computer counts to

# The keys that take one of a few words.
_CHOICES = {"validation_score": METRICS, "feature_dtype": STORED_AS, "encoder_precision": PRECISIONS}

# What a key holds whose value in the file may be null.
_OPTIONAL = {
    "num_groups": int,
    "patience": int,
    "speaker_groups": list,
    "number_of_updates": int,
    "updates_per_validation": int,
    "pretrained": str,
    "noise_csv": str,
    "reverb_csv": str,
    "attention_activation": str,
}

# Of these, null is something only where the file says so.
_NULL_IN_FILE = frozenset({"number_of_updates", "updates_per_validation"})

_KINDS: dict[type, str] = {
    bool: "True or False",
    int: "a whole number",
    float: "a number",
    str: "text",
    list: "a list",
    dict: "a mapping",
}


def check_values(file: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Checks the kind and range of each value, and that a choice is one there is.

    An override must be of the kind that its file has there.

    What the file builds takes arguments, or null; what a null of the file leaves open is not looked at.

    Arguments
    ---------
    file : mapping
        The hyperparameter file, without overrides.
    given : mapping
        The overrides; each a key of `file`.

    Raises
    ------
    ConfigError
        For the first value of another kind, a number too small, or a word that is not among its key's.

    Example
    -------
    >>> check_values({"batch_size": 2, "lr": 1e-3, "manifest": None}, {"lr": 1, "manifest": "a.json"})
    >>> check_values({"batch_size": 2}, {"batch_size": 0})
    Traceback (most recent call last):
    emorec_lobes.errors.ConfigError: `batch_size` must be a whole number from 1 up, but is 0 instead. Change it.
    """
    for key, value in {**file, **given}.items():
        is_open = value is None and (file[key] is None or key in _OPTIONAL.keys() - _NULL_IN_FILE)
        kind = _OPTIONAL.get(key) or _kind(file[key])
        if isinstance(file[key], Mapping) and _kind(file[key]) is None and not isinstance(value, Mapping | None):
            raise ConfigError(f"`{key}` must be arguments of what it builds, but is {value!r} instead. Change it.")
        if kind is None or is_open:
            continue
        least = (0 if kind is float or key in _MAY_BE_0 else 1) if kind in (int, float) else None
        fits = _kind(value) is kind or (kind is float and _kind(value) is int)
        if not fits or not (least is None or least <= value) or (kind is int and value > _MOST):
            bound = "" if least is None else f" from {least} up"
            bound += " and below 2 ** 63" if fits and kind is int and value > _MOST else ""
            raise ConfigError(f"`{key}` must be {_KINDS[kind]}{bound}, but is {value!r} instead. Change it.")
        if key in _CHOICES and value not in _CHOICES[key]:
            raise ConfigError(not_one_of(key, value, _CHOICES[key]))


def _kind(value: Any) -> type | None:
    """Which of `_KINDS` a plain value is; None for null and for a tagged one."""
    if getattr(getattr(value, "tag", None), "value", None):
        return None
    return next((kind for kind in _KINDS if isinstance(value, kind)), None)
