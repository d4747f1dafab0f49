"""What each rater of an utterance heard, as a manifest has it: rater -> canonical emotions."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

from emorec_lobes.corpora.manifest import Utterance
from emorec_lobes.errors import DataError
from emorec_lobes.labels import canonical

SEPARATOR = ";"  # of a table's cell

Ratings = dict[str, list[str]]


def parse_ratings(cell: str, label_map: Mapping[str, str] | None, where: str) -> Ratings | None:
    """The ratings in a cell of a table, a label a rater; raters are numbered.

    Arguments
    ---------
    cell : str
        Empty where nobody rated the utterance.
    label_map : mapping, optional
        As that of the table's labels.
    where : str
        File and row, for messages.

    Raises
    ------
    DataError
        If a rating is empty or is no emotion.

    Example
    -------
    >>> parse_ratings("angry; Anger;T", {"T": "sad"}, "row 1")
    {'1': ['angry'], '2': ['angry'], '3': ['sad']}
    """
    if not cell:
        return None
    found = {}
    for number, label in enumerate(cell.split(SEPARATOR), start=1):
        if not label.strip():
            raise DataError(
                f"{where}: rating {number} of {cell!r:.60} must be a label, but is empty. "
                f"Write one a rater, separated by {SEPARATOR}."
            )
        try:
            found[str(number)] = [canonical(label, label_map)]
        except DataError as error:
            raise DataError(f"{where}, rating {number}: {error}") from None
    return found


def canonical_ratings(
    utterances: Iterable[Utterance], merged: Mapping[str, str], left_out: Iterable[str] = ()
) -> tuple[list[Utterance], list[str]]:
    """Utterances whose ratings, as the corpus spells them, become canonical.

    Arguments
    ---------
    utterances : iterable of Utterance
    merged : mapping
        Canonical emotion -> the one that it counts as.
    left_out : iterable of str
        Raters who are none, such as the actors themselves.

    Returns
    -------
    tuple
        The utterances, and a warning where a rating is no emotion that is known: it counts as other.
    """
    left_out, unknown, found = set(left_out), Counter(), []
    for item in utterances:
        ratings: Ratings = {}
        for rater, named in (item.ratings or {}).items():
            if rater in left_out:
                continue
            emotions = [_canonical(label, unknown) for label in named]
            ratings[rater] = list(dict.fromkeys(merged.get(emotion, emotion) for emotion in emotions))
        found.append(replace(item, ratings=ratings))
    if not unknown:
        return found, []
    names = ", ".join(repr(name) for name in sorted(unknown))
    return found, [f"{unknown.total()} ratings name no emotion that is known ({names:.200}) and count as other."]


def _canonical(label: str, unknown: Counter[str]) -> str:
    try:
        return canonical(label)
    except DataError:
        unknown[label] += 1
        return "other"
