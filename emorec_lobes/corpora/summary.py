"""What a manifest holds, as a small table for the terminal."""

from collections import Counter
from collections.abc import Mapping

from emorec_lobes.corpora.manifest import SPLITS, Utterance
from emorec_lobes.labels import ordered

_MOST_ROWS = 24
_SECONDS_PER_HOUR = 3600
_SPLIT_RANK = {name: rank for rank, name in enumerate(SPLITS)}


def summary(utterances: Mapping[str, Utterance]) -> str:
    """Utterances, speakers and hours; then utterances per class and per fold of the corpus's own, session or speaker.

    Arguments
    ---------
    utterances : mapping
        A manifest.

    Returns
    -------
    str
        Aligned lines without a newline at the end.

    Example
    -------
    >>> angry = Utterance("a_1", "1.wav", 1800.0, "angry", "W", speaker="a_1", session="1")
    >>> print(summary({"a_1": angry}))
    1 utterance, 1 speaker, 0.50 h
    <BLANKLINE>
    session  angry  total
    1            1      1
    total        1      1
    """
    items = list(utterances.values())
    field = next((name for name in ("fold", "session") if all(getattr(item, name) for item in items)), "speaker")
    counts = Counter((getattr(item, field) or "unknown", item.emotion) for item in items)
    groups = sorted({group for group, _ in counts}, key=lambda name: (_SPLIT_RANK.get(name, 0), name))
    labels = ordered(item.emotion for item in items)

    table = [[group, *(counts[group, label] for label in labels)] for group in groups]
    total = ["total", *(sum(counts[group, label] for group in groups) for label in labels)]
    shown = [*(table if len(groups) <= _MOST_ROWS else []), total]
    cells = [[field, *labels, "total"]] + [[*map(str, row), str(sum(row[1:]))] for row in shown]
    return "\n".join([_headline(items), "", *_align(cells)])


def _headline(items: list[Utterance]) -> str:
    speakers = {item.speaker for item in items} - {None}
    hours = sum(item.duration for item in items) / _SECONDS_PER_HOUR
    known = _plural(len(speakers), "speaker") if speakers else "speakers unknown"
    extent = f"{hours:.2f} h" if any(item.wav for item in items) else "text alone"
    return f"{_plural(len(items), 'utterance')}, {known}, {extent}"


def _plural(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _align(cells: list[list[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in cells]
