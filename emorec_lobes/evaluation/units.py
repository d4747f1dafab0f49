"""What an interval draws: whole speakers, or, where a test does not hold speakers out, dialogues or utterances.

Speakers' confusion counts stand in every record. Where something else is drawn, the record has each answer too, one
character each, sorted by unit and id.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from emorec_lobes.evaluation.metrics import count_confusions
from emorec_lobes.evaluation.predictions import Predictions

SPEAKERS, DIALOGS, UTTERANCES = "speakers", "dialogues", "utterances"


@dataclass(frozen=True)
class Units:
    """What the answers of a test are drawn by, if not by speakers.

    Arguments
    ---------
    name : str
        Of many units, for the reader.
    of : mapping
        Id -> the unit it belongs to.
    """

    name: str
    of: Mapping[str, str]


def answers_by_unit(tested: Predictions, units: Units) -> dict[str, Any]:
    """What a record keeps of the answers, for `confusion_by_unit`.

    Example
    -------
    >>> tested = Predictions(["b", "a", "c"], ["1"] * 3, ["test"] * 3, [None] * 3, [0, 1, 1], ("angry", "sad"),
    ...                      [[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]])
    >>> answers_by_unit(tested, Units("dialogues", {"a": "x", "b": "x", "c": "y"}))
    {'name': 'dialogues', 'sizes': [2, 1], 'targets': '101', 'answers': '001'}
    """
    names = np.array([units.of[item] for item in tested.ids.tolist()])
    order = np.lexsort((tested.ids, names))
    _, sizes = np.unique(names, return_counts=True)
    return {
        "name": units.name,
        "sizes": sizes.tolist(),
        "targets": _digits(tested.targets[order]),
        "answers": _digits(tested.predicted[order]),
    }


def confusion_by_unit(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """Confusion counts, (K, K), of each unit of a record, as `runs.interval_over_runs` takes them.

    Units other than speakers have no names, but numbers: the same ones in all records of a test.
    """
    kept = record.get("units")
    if kept is None:
        return record["confusion_by_speaker"]
    groups = np.repeat(np.arange(len(kept["sizes"])), kept["sizes"])
    targets, answers = (np.array([int(digit, 16) for digit in kept[name]]) for name in ("targets", "answers"))
    counts = count_confusions(targets, answers, len(record["labels"]), groups)
    return {f"{number:06}": count for number, count in enumerate(counts)}


def unit_name(record: Mapping[str, Any]) -> str:
    """What is drawn of a record's test."""
    return SPEAKERS if record.get("units") is None else record["units"]["name"]


def _digits(classes: np.ndarray) -> str:
    """A hexadecimal digit a class; there are 15 emotions."""
    return "".join(f"{number:x}" for number in classes.tolist())
