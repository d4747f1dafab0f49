"""Alignment files of three aligners -> phones in absolute time."""

import importlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emorec_lobes.errors import DataError, UnavailableError, not_one_of
from emorec_lobes.features.phone_table import SILENCE_ID, TOKENS, UNKNOWN, in_word, phone_id
from emorec_lobes.units import Seconds

# Sphinx counts 10 ms frames and gives the end inclusively.
_SPHINX_FRAME_S: Seconds = 0.01


@dataclass(frozen=True)
class Segment:
    """One phone, silence or bracket token; `label` is as `phone_table.phone_id` takes it."""

    start_s: Seconds
    stop_s: Seconds
    label: str


def read_alignment(path: Path, duration_s: Seconds) -> list[Segment]:
    """Reads an alignment file.

    Arguments
    ---------
    path : Path
        `.phseg` (Sphinx, as IEMOCAP ships it), `.json` (Gentle) or `.TextGrid` (Praat, from the Montreal Forced
        Aligner, with a tier `phones` and at best a tier `words`).
    duration_s : float
        Of the audio; what Gentle did not find after its last word lasts until there.

    Returns
    -------
    list of Segment
        In order of time; what lies between them is silence.

    Raises
    ------
    DataError
        If the file is missing or is not what its suffix says.
    UnavailableError
        If a TextGrid is read and `praatio` is not installed.
    """
    path = Path(path)
    readers = {".phseg": _read_sphinx, ".json": _read_gentle, ".textgrid": _read_textgrid}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise DataError(f"{path}: " + not_one_of("suffix", path.suffix, (".phseg", ".json", ".TextGrid")))
    try:
        segments = reader(path, duration_s)
    except OSError as error:
        raise DataError(
            f"{path} cannot be read ({error.strerror}). Restore it, or run `emorec prepare` again."
        ) from None
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path} is not a whole {path.suffix} alignment ({reason}). Restore or delete it.") from None
    if any(not 0 <= segment.start_s <= segment.stop_s < math.inf for segment in segments):
        raise DataError(f"{path} holds a phone that ends before it starts. Restore or delete it.")
    return sorted(segments, key=lambda segment: segment.start_s)


def _read_sphinx(path: Path, duration_s: Seconds) -> list[Segment]:
    """Rows of first frame, last frame, score, phone, and for all but fillers left, right neighbour and position."""
    header, *rows, total = [line.split() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    if header[:2] != ["SFrm", "EFrm"] or total[0] != "Total":
        raise ValueError("its first line must begin with SFrm EFrm, its last one with Total")
    segments = []
    for first, last, _score, phone, *context in rows:
        label = f"{phone}_{context[2]}" if len(context) == 3 else phone
        segments.append(Segment(int(first) * _SPHINX_FRAME_S, (int(last) + 1) * _SPHINX_FRAME_S, label))
    return segments


def _read_gentle(path: Path, duration_s: Seconds) -> list[Segment]:
    content = json.loads(path.read_text(encoding="utf-8"))
    segments: list[Segment] = []
    clock_s, missed = 0.0, ""
    for word in content["words"]:
        if word["case"] != "success":
            missed = missed if missed in TOKENS else _missed_label(word, content.get("transcript", ""))
            continue
        start_s = float(word["start"])
        if missed:
            segments.append(Segment(clock_s, max(clock_s, start_s), missed))
        segments += _gentle_phones(word, start_s)
        clock_s, missed = float(word["end"]), ""
    return [*segments, Segment(clock_s, max(clock_s, duration_s), missed)] if missed else segments


def _missed_label(word: Mapping[str, Any], transcript: str) -> str:
    """What a word that Gentle did not find stands for: a bracket token of the transcript, or something unknown."""
    name, offset = str(word["word"]).strip("[]").upper(), int(word.get("startOffset", 0))
    bracketed = str(word["word"]).startswith("[") or transcript[max(offset - 1, 0) : offset] == "["
    return name if bracketed and name in TOKENS else UNKNOWN


def _gentle_phones(word: Mapping[str, Any], start_s: Seconds) -> Iterator[Segment]:
    """Gentle gives durations; they count from the word's own start, so that no error adds up."""
    for phone in word["phones"]:
        stop_s = start_s + float(phone["duration"])
        yield Segment(start_s, stop_s, str(phone["phone"]))
        start_s = stop_s


def _read_textgrid(path: Path, duration_s: Seconds) -> list[Segment]:
    try:
        textgrid = importlib.import_module("praatio.textgrid")
        praatio_error = importlib.import_module("praatio.utilities.errors").PraatioException
    except ImportError:
        raise UnavailableError(f"{path} needs praatio to be read. Run `pip install praatio`.") from None
    try:
        grid = textgrid.openTextgrid(str(path), includeEmptyIntervals=False)
    except praatio_error as error:
        raise ValueError(error) from None
    phones = _tier(grid, "phones")
    if phones is None:
        raise ValueError(f"it has no tier `phones`, but {', '.join(grid.tierNames)}")
    words = _tier(grid, "words")
    if words is None:
        return [Segment(start_s, stop_s, label) for start_s, stop_s, label in phones]
    return list(_placed(phones, words))


def _tier(grid: Any, name: str) -> list[tuple[Seconds, Seconds, str]] | None:
    """The entries of the first tier of that name; the Montreal aligner puts the speaker before it, `Anna - phones`."""
    tier = next((tier for tier in grid.tierNames if tier.lower().split(" - ")[-1].strip() == name), None)
    return None if tier is None else [(entry.start, entry.end, entry.label) for entry in grid.getTier(tier).entries]


def _placed(phones: list[tuple[Seconds, Seconds, str]], words: list[tuple[Seconds, Seconds, str]]) -> Iterator[Segment]:
    """Phones with their place in the word that covers their middle; silences have none."""
    silences = [phone for phone in phones if phone_id(phone[2]) == SILENCE_ID]
    rest = [phone for phone in phones if phone not in silences]
    for start_s, stop_s, _ in words:
        members = [phone for phone in rest if start_s <= (phone[0] + phone[1]) / 2 < stop_s]
        rest = [phone for phone in rest if phone not in members]
        labels = in_word([label for *_, label in members]) if members else []
        yield from (Segment(begin, end, label) for (begin, end, _), label in zip(members, labels, strict=True))
    yield from (Segment(begin, end, label) for begin, end, label in (*rest, *silences))
