"""How answers are written: lines for people, JSON lines, CSV; and a file of them that a stopped run goes on with."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from emorec_lobes.errors import ConfigError, DataError
from emorec_lobes.inference.prediction import Prediction
from emorec_lobes.inference.timeline import Timeline, columns, csv_text

FORMATS = ("table", "json", "csv")
TIMELINE_FORMATS = (*FORMATS, "rttm", "audacity")


def header(form: str, labels: Sequence[str], is_timeline: bool) -> str:
    """The first line; empty where a format has none.

    Example
    -------
    >>> header("csv", ["angry", "sad"], is_timeline=False)
    'name,label,confidence,margin,duration_s,p_angry,p_sad,warnings\\n'
    """
    if form != "csv":
        return ""
    if is_timeline:
        return csv_text([columns(labels)])
    names = ["name", "label", "confidence", "margin", "duration_s"]
    return csv_text([[*names, *(f"p_{label}" for label in labels), "warnings"]])


def written(form: str, name: str, answer: Prediction | Timeline) -> str:
    """An answer in a format: one line, or as many as a timeline has segments.

    Example
    -------
    >>> written("table", "a.wav", Prediction("sad", {"angry": 0.25, "sad": 0.75}, 0.5, 0.75, warnings=("clipped",)))
    'a.wav: sad  (angry 0.25  sad 0.75)  [clipped]\\n'
    """
    if form == "json":
        return json.dumps({"name": name, **answer.as_dict()}, ensure_ascii=False) + "\n"
    return _timeline(form, answer) if isinstance(answer, Timeline) else _prediction(form, name, answer)


def _prediction(form: str, name: str, answer: Prediction) -> str:
    if form == "csv":
        numbers = [f"{value:.6f}" for value in (answer.confidence, answer.margin)]
        duration = "" if answer.duration_s is None else f"{answer.duration_s:.3f}"
        probabilities = [f"{value:.6f}" for value in answer.probabilities.values()]
        row = [name, answer.label or "", *numbers, duration, *probabilities, "; ".join(answer.warnings)]
        return csv_text([row])
    values = "  ".join(f"{label} {value:.2f}" for label, value in answer.probabilities.items())
    notes = f"  [{', '.join(answer.warnings)}]" if answer.warnings else ""
    return f"{name}: {answer.label or '-'}  ({values}){notes}\n"


def _timeline(form: str, answer: Timeline) -> str:
    if form == "csv":
        return csv_text(answer.rows())
    if form == "rttm":
        return answer.to_rttm()
    if form == "audacity":
        return answer.to_audacity()
    notes = f"  [{', '.join(answer.warnings)}]" if answer.warnings else ""
    rows = [f"  {start:8.2f} - {stop:8.2f} s  {label}\n" for start, stop, label in answer.merged()]
    return f"{answer.name}{notes}\n" + "".join(rows or ["  nobody speaks\n"])


class AnswerFile:
    """A file of predictions in JSON lines or CSV that grows while it goes, and is gone on with after a stop.

    Arguments
    ---------
    path : Path
        Made if missing. A line that a killed run left unfinished is taken away.
    form : str
        `json` or `csv`.
    labels : sequence of str

    Attributes
    ----------
    done : set of str
        The names in it already.

    Raises
    ------
    ConfigError
        If the format cannot be gone on with.
    DataError
        If the file holds something else.
    """

    def __init__(self, path: Path, form: str, labels: Sequence[str]) -> None:
        if form not in ("json", "csv"):
            raise ConfigError(f"`--to` must go with --format json or csv, but goes with {form}. Name one of them.")
        self.path, self._labels = Path(path), list(labels)
        first = header(form, labels, is_timeline=False)
        text = self.path.read_text(encoding="utf-8") if self.path.exists() else ""
        self._text = text[: text.rfind("\n") + 1]
        self._has_header = not self._text or self._text.startswith(first)
        self.done = self._names(form)
        if len(self._text) < len(text) or not text:
            self.path.write_text(self._text or first, encoding="utf-8")

    def open(self) -> TextIO:
        """For appending."""
        return self.path.open("a", encoding="utf-8")

    def _names(self, form: str) -> set[str]:
        try:
            if form == "csv" and self._has_header:
                return {row["name"] for row in csv.DictReader(io.StringIO(self._text))}
            rows = [json.loads(line) for line in self._text.splitlines()] if form == "json" else None
            if rows is not None and all(list(row["probabilities"]) == self._labels for row in rows):
                return {row["name"] for row in rows}
        except (ValueError, KeyError, TypeError, csv.Error) as error:
            raise self._other(f"cannot be read ({type(error).__name__})") from None
        raise self._other("holds something else")

    def _other(self, what: str) -> DataError:
        return DataError(f"{self.path} must hold answers with the same labels, but {what}. Name another file.")
