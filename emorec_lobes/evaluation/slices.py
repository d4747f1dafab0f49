"""Parts of a test: by speaker, session and kind, by duration and level of the utterances."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from emorec_lobes.evaluation.predictions import Predictions
from emorec_lobes.names import natural
from emorec_lobes.units import Decibels, Seconds

FEW = 20  # a score of fewer answers moves by more than 5 points with a single one
NUM_BINS = 4
NOT_STATED = "not stated"


@dataclass(frozen=True)
class Facts:
    """What is known of an utterance beside its answer; None where it is not."""

    session: str | None = None
    kind: str | None = None  # improvised | scripted
    duration_s: Seconds | None = None
    level_db: Decibels | None = None  # root mean square, of full scale


@dataclass(frozen=True, eq=False)
class Cut:
    """A test cut into parts."""

    title: str
    parts: Mapping[str, np.ndarray]  # name -> which rows, (N,) of bool; empty where nothing is known


def cuts(tested: Predictions, facts: Mapping[str, Facts]) -> list[Cut]:
    """All cuts of a test, each with every row in one part.

    Arguments
    ---------
    tested : Predictions
        Rows in any order.
    facts : mapping
        Id -> what is known; ids may be missing.

    Returns
    -------
    list of Cut
        Speaker, session, kind, duration, level. Numbers are cut into `NUM_BINS` parts of like size.

    Example
    -------
    >>> tested = Predictions(["a", "b"], ["1"] * 2, ["test"] * 2, ["x", "y"], [0, 1], ("angry", "sad"),
    ...                      [[0.9, 0.1], [0.8, 0.2]])
    >>> {cut.title: list(cut.parts) for cut in cuts(tested, {"a": Facts(kind="scripted")})}["Kind of speech"]
    ['scripted', 'not stated']
    """
    known = [facts.get(item, Facts()) for item in tested.ids.tolist()]
    return [
        Cut("Speaker", parts([speaker or None for speaker in tested.speakers.tolist()])),
        Cut("Session", parts([each.session for each in known])),
        Cut("Kind of speech", parts([each.kind for each in known])),
        Cut("Duration", binned([each.duration_s for each in known], "{:.2f} to {:.2f} s")),
        Cut("Level", binned([each.level_db for each in known], "{:.1f} to {:.1f} dB")),
    ]


def parts(names: Sequence[str | None]) -> dict[str, np.ndarray]:
    """Rows by name: numbers in names in their order, what has no name last; nothing where none has one.

    Example
    -------
    >>> parts(["s10", "s9", None])["s9"]
    array([False,  True, False])
    """
    if all(name is None for name in names):
        return {}
    shown = np.array([NOT_STATED if name is None else name for name in names], dtype=object)
    order = sorted(set(shown.tolist()), key=lambda name: (name == NOT_STATED, natural(name)))
    return {name: shown == name for name in order}


def binned(values: Sequence[float | None], form: str, num_bins: int = NUM_BINS) -> dict[str, np.ndarray]:
    """Rows by bins of like size, as far as equal numbers, which share a bin, allow it; rising, the unknown last.

    Example
    -------
    >>> binned([3.0, 1.0, 2.0, 4.0], "{:.0f} to {:.0f}", num_bins=2)
    {'1 to 2': array([False,  True,  True, False]), '3 to 4': array([ True, False, False,  True])}
    """
    numbers = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    known = ~np.isnan(numbers)
    if not known.any():
        return {}
    edges = np.quantile(numbers[known], np.arange(1, num_bins) / num_bins, method="inverted_cdf")
    bins = np.where(known, np.searchsorted(edges, numbers, side="left"), num_bins)
    found: dict[str, np.ndarray] = {}
    for place in np.unique(bins).tolist():
        rows = bins == place
        name = NOT_STATED if place == num_bins else form.format(numbers[rows].min(), numbers[rows].max())
        found[name] = found.get(name, False) | rows  # bins may be alike when rounded
    return found
