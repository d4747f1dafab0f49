"""A few utterances that stand for a corpus: what a plan extracts and trains on."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.optimize import nnls

from emorec_lobes.corpora.manifest import Utterance
from emorec_lobes.corpora.protocol import Fold
from emorec_lobes.experiments.settings import Settings
from emorec_lobes.experiments.text_reference import TFIDF

_FEW, _MANY = 10, 1000
# Transcripts of one length go through an encoder together: as many of each as a corpus might have.
_ALIKE = 16


def size_of(utterance: Utterance, of_text: bool = False) -> float:
    """What features take time and space in proportion to: seconds, or of text and where no audio is, characters."""
    return len(utterance.text or "") if of_text or not utterance.duration else utterance.duration


def sample(settings: Settings, utterances: Mapping[str, Utterance]) -> dict[str, Utterance]:
    """Utterances of evenly spread sizes, the largest and one of each class among them.

    Words alone are counted in no time, so that many are taken. Other transcripts are few, each several times under
    different ids, with the turns that a recipe with context puts in front of them.

    Arguments
    ---------
    settings : Settings
        Of a recipe.
    utterances : mapping
        id -> `Utterance`, of the whole corpus.

    Returns
    -------
    dict
        id -> `Utterance`.
    """
    is_text = "brackets" in settings.values and "encoder_padding" not in settings.values
    counted = settings.values.get("encoder") == TFIDF
    ordered = sorted(utterances.values(), key=lambda item: (size_of(item, is_text), item.id))
    chosen = {item.id: item for item in _spread(ordered, _MANY if counted else _FEW)}
    for label in settings["labels"]:
        if label not in {item.emotion for item in chosen.values()}:
            [item] = _spread([item for item in ordered if item.emotion == label], 1)
            chosen[item.id] = item
    if is_text and settings["context_turns"]:
        chosen = {**_turns_before(chosen, utterances, settings["context_turns"]), **chosen}
    if not is_text or counted:
        return chosen
    copies = (_copy(item, number) for number in range(_ALIKE) for item in chosen.values())
    return {item.id: item for item in copies}


def sample_fold(items: Mapping[str, Utterance], has_valid: bool) -> Fold:
    """A fold that trains on a sample without its largest one, which few batches of a training meet, and evaluates all
    and a third: two sizes tell time a call from time a second."""
    largest = max(map(size_of, items.values()))
    ids = tuple(items)
    usual = tuple(key for key in ids if size_of(items[key]) < largest)
    return Fold("1", train=usual or ids, valid=ids if has_valid else (), test=ids[:: 3 if len(ids) > 5 else 1])


def _spread(ordered: list[Utterance], number: int) -> list[Utterance]:
    """As many of these, evenly from the middle of the first stretch on; the last one too, if several are asked for."""
    number = min(number, len(ordered))
    places = {int((each + 0.5) * len(ordered) / number) for each in range(number)}
    # A typical one comes first: what is done for the first time takes longer, and is told apart.
    middle_first = sorted(places, key=lambda place: abs(place - len(ordered) // 2))
    return [ordered[place] for place in middle_first] + (ordered[-1:] if number > 1 else [])


def _turns_before(
    chosen: Mapping[str, Utterance], utterances: Mapping[str, Utterance], num_turns: int
) -> dict[str, Utterance]:
    wanted: set[tuple[Any, int]] = {
        (item.dialog, item.turn - back)
        for item in chosen.values()
        if item.turn is not None
        for back in range(1, num_turns + 1)
    }
    return {key: item for key, item in utterances.items() if (item.dialog, item.turn) in wanted}


def _copy(item: Utterance, number: int) -> Utterance:
    dialog = None if item.dialog is None else f"{item.dialog} {number}"
    return replace(item, id=f"{item.id} {number}", dialog=dialog)


def line(sizes: list[float], values: list[float]) -> tuple[float, float]:
    """Least squares: a part that is the same for each, and a part in proportion to its size, neither below 0.

    Arguments
    ---------
    sizes, values : list of float
        Of each; at least one.

    Returns
    -------
    fixed, per_size : float

    Example
    -------
    >>> [round(part, 6) for part in line([1.0, 2.0, 4.0], [3.0, 5.0, 9.0])]
    [1.0, 2.0]
    >>> [round(part, 6) for part in line([2.0], [6.0])]
    [0.0, 3.0]
    """
    if len(set(sizes)) < 2:  # nothing tells the parts apart
        return 0.0, float(np.sum(values) / max(np.sum(sizes), 1e-9))
    fixed, per_size = nnls(np.column_stack([np.ones(len(sizes)), sizes]), np.array(values))[0]
    return float(fixed), float(per_size)
