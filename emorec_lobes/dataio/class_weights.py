"""Weights of the classes in the training loss."""

from collections import Counter
from collections.abc import Sequence
from math import inf
from typing import Any

from emorec_lobes.errors import ConfigError


def check_class_weights(wanted: Any, labels: Sequence[str]) -> None:
    """Refuses what cannot weigh the classes.

    Raises
    ------
    ConfigError
        Unless it is null, `balanced`, or a positive number for each label.
    """
    if wanted is None or wanted == "balanced":
        return
    is_list = isinstance(wanted, list | tuple) and len(wanted) == len(labels)
    if not is_list or not all(_is_weight(value) for value in wanted):
        raise ConfigError(
            f"`class_weights` must be null, balanced or {len(labels)} positive numbers (one for each of "
            f"{', '.join(labels)}), but is {wanted!r} instead. Change it."
        )


def class_weights(wanted: Any, labels: Sequence[str], emotions: Sequence[str]) -> list[float] | None:
    """The weight of each class, in the order of `labels`.

    `balanced` is n / (K * n_k), n_k of n training utterances being of class k: every class then weighs the same.

    Arguments
    ---------
    wanted : None, "balanced" or sequence of float
    labels : sequence of str
        The K classes.
    emotions : sequence of str
        One a training utterance.

    Raises
    ------
    ConfigError
        If `wanted` is none of these, or is `balanced` and a class has no training utterance.

    Example
    -------
    >>> class_weights("balanced", ["angry", "sad"], ["angry", "sad", "sad", "sad"])
    [2.0, 0.6666666666666666]
    """
    check_class_weights(wanted, labels)
    if wanted is None:
        return None
    if wanted != "balanced":
        return [float(weight) for weight in wanted]
    counts = Counter(emotions)
    absent = [label for label in labels if not counts[label]]
    if absent:
        raise ConfigError(
            f"`class_weights` is balanced, but a fold has no training utterance of {', '.join(absent)}. "
            "Use another scheme, or null."
        )
    return [len(emotions) / (len(labels) * counts[label]) for label in labels]


def _is_weight(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < inf
