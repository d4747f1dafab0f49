"""What was felt when: segments of a recording, and the formats that other programs read."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from emorec_lobes.files import as_json
from emorec_lobes.units import Seconds


@dataclass(frozen=True)
class Segment:
    """The answer for a stretch of time."""

    start_s: Seconds
    stop_s: Seconds
    label: str
    probabilities: dict[str, float]

    def as_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        return {
            "start_s": round(self.start_s, 3),
            "stop_s": round(self.stop_s, 3),
            "label": self.label,
            "probabilities": self.probabilities,
        }


@dataclass(frozen=True)
class Timeline:
    """A recording's answers in the order of time; between segments nobody speaks.

    Example
    -------
    >>> sad = Segment(0.0, 1.0, "sad", {"angry": 0.25, "sad": 0.75})
    >>> timeline = Timeline((sad, Segment(1.0, 1.5, "sad", {"angry": 0.5, "sad": 0.5})), 2.0, ("angry", "sad"), "a.wav")
    >>> timeline.to_audacity().split()
    ['0.000000', '1.500000', 'sad']
    >>> print(timeline.to_rttm(), end="")
    SPEAKER a.wav 1 0.000 1.500 <NA> <NA> sad <NA> <NA>
    """

    segments: tuple[Segment, ...]
    duration_s: Seconds
    labels: tuple[str, ...]
    name: str = "audio"
    warnings: tuple[str, ...] = ()

    def merged(self) -> list[tuple[Seconds, Seconds, str]]:
        """Start, stop and label, with neighbours of one label joined."""
        joined: list[tuple[Seconds, Seconds, str]] = []
        for each in self.segments:
            if joined and joined[-1][2] == each.label and abs(joined[-1][1] - each.start_s) < 1e-6:
                joined[-1] = (joined[-1][0], each.stop_s, each.label)
            else:
                joined.append((each.start_s, each.stop_s, each.label))
        return joined

    def as_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        return {
            "name": self.name,
            "duration_s": round(self.duration_s, 3),
            "labels": list(self.labels),
            "warnings": list(self.warnings),
            "segments": [each.as_dict() for each in self.segments],
        }

    def to_json(self) -> str:
        """Everything."""
        return as_json(self.as_dict())

    def to_csv(self) -> str:
        """A row a segment: start, stop, label and the probability of each label."""
        return csv_text([columns(self.labels), *self.rows()])

    def rows(self) -> list[Sequence[Any]]:
        """The rows of the CSV, without their header."""
        return [
            [self.name, f"{each.start_s:.3f}", f"{each.stop_s:.3f}", each.label]
            + [f"{each.probabilities[label]:.6f}" for label in self.labels]
            for each in self.segments
        ]

    def to_rttm(self) -> str:
        """Lines in the shape of NIST's RTTM, with the emotion in the speaker's place."""
        name = "_".join(self.name.split()) or "audio"
        return "".join(
            f"SPEAKER {name} 1 {start:.3f} {stop - start:.3f} <NA> <NA> {'_'.join(label.split())} <NA> <NA>\n"
            for start, stop, label in self.merged()
        )

    def to_audacity(self) -> str:
        """A label track, as Audacity's File > Import > Labels reads it."""
        return "".join(f"{start:.6f}\t{stop:.6f}\t{label}\n" for start, stop, label in self.merged())


def columns(labels: Sequence[str]) -> list[str]:
    """The names of the columns of `Timeline.rows`."""
    return ["name", "start_s", "stop_s", "label", *(f"p_{label}" for label in labels)]


def csv_text(rows: Iterable[Sequence[Any]]) -> str:
    """Rows as CSV.

    Example
    -------
    >>> csv_text([["a, b.wav", 1]])
    '"a, b.wav",1\\n'
    """
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(rows)
    return stream.getvalue()
