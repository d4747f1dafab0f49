"""Our aligner's boundaries against true ones, beside phones of equal length.

    python benchmarks/alignment.py [--manual DIR] [--phones DIR] [--words DIR] [--full]

Each folder is one reference; one that is not there is left out. README.md beside this file says how they are read.
"""

import argparse
import csv
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from emorec_lobes.errors import exit_code_of
from emorec_lobes.evaluation.alignment import (
    Matcher,
    Unit,
    compare,
    match_phones,
    match_words,
    p_of_random_ends,
    timit_units,
)
from emorec_lobes.features.aligners import PocketSphinxAligner, words_and_tokens
from emorec_lobes.features.alignments import Segment
from emorec_lobes.features.audio import load_audio
from emorec_lobes.features.phone_table import ARPABET, BEGIN, END, SINGLE
from emorec_lobes.units import SAMPLE_RATE_HZ, Seconds

DATA = Path(os.environ.get("EMOREC_TEST_DATA") or Path(__file__).parents[2] / "shared" / "data")

# EmoDB's labels, SAMPA for German, and the English phones that come nearest.
GERMAN = {
    **{letter: letter.upper() for letter in "bdfgklmnpstvz"},
    **{"a": "AA", "E": "EH", "e": "EY", "@": "AH", "I": "IH", "i": "IY", "U": "UH", "u": "UW", "O": "AO", "o": "OW"},
    **{"Y": "IH", "y": "IY", "9": "ER", "2": "ER", "4": "AH", "6": "AH", "aI": "AY", "aU": "AW", "OY": "OY"},
    **{"X": "HH", "x": "HH", "H": "HH", "R": "R", "C": "SH", "S": "SH", "N": "NG", "B": "V", "V": "V", "D": "DH"},
    **{"h": "HH", "G": "G", "L": "L", "j": "Y"},
}
_STOP = re.compile(r"(?P<part>[_!]?)(?P<stop>[bdgkpt])(?P<breath>asp)?")
_GERMAN_PHONE = re.compile("|".join(sorted(GERMAN, key=len, reverse=True)))


@dataclass(frozen=True)
class Case:
    """One utterance with its reference, and what to align it with."""

    wave: Tensor
    text: str
    reference: Sequence[Unit]
    ends_s: Sequence[Seconds]  # of every label, before any mapping

    @property
    def duration_s(self) -> Seconds:
        """Length of the audio."""
        return len(self.wave) / SAMPLE_RATE_HZ


@dataclass(frozen=True)
class Reference:
    """The true times of one corpus, and how they are compared."""

    name: str
    cases: Sequence[Case]
    match: Matcher
    pronunciations: Mapping[str, Sequence[str]]

    @property
    def edges(self) -> tuple[str, ...]:
        """Phones are compared by their ends, words by both sides."""
        return ("start_s", "stop_s") if self.match is match_words else ("stop_s",)


def english_phones(folder: Path) -> Reference:
    """SpeechBrain's sample sentences; those without phone ends are left out."""
    annotations: dict[str, Any] = {}
    for path in sorted((folder / "annotation").glob("ASR_*.json")):
        annotations |= json.loads(path.read_text(encoding="utf-8"))
    cases = []
    for name, item in sorted(annotations.items()):
        if "ground_truth_phn_ends" in item:
            ends_s = [int(end) / SAMPLE_RATE_HZ for end in item["ground_truth_phn_ends"].split()]
            wave = load_audio(folder / "ASR" / f"{name}.wav")
            cases.append(Case(wave, item["words"], timit_units(item["phn"].split(), ends_s), ends_s))
    return Reference("phones, sample sentences", cases, match_phones, {})


def english_words(folder: Path) -> Reference:
    """LibriSpeech, with the times of some of its words."""
    texts = {Path(row["file"]).stem: row for row in _rows(folder / "manifest.tsv")}
    cases = []
    for name, rows in _by_utterance(folder / "word_times_mfa_partial.tsv").items():
        reference = [Unit(row["word"], float(row["start_s"]), float(row["end_s"])) for row in rows]
        wave = load_audio(folder / texts[name]["file"])
        cases.append(Case(wave, texts[name]["text"], reference, []))
    return Reference("words, LibriSpeech", cases, match_words, {})


def manual_phones(folder: Path, every: int) -> Reference:
    """EmoDB: German phones marked by hand, given to the aligner as the words between two pauses."""
    cases, pronunciations = [], {}
    for name, rows in list(_by_utterance(folder / "phones.tsv").items())[::every]:
        words = german_words(rows)
        spelled = {_spelled(word): [unit.label for unit in word] for word in words}
        pronunciations |= spelled
        wave = load_audio(folder / "wav" / f"{name}.wav")
        ends_s = [float(row["end_s"]) for row in rows]
        cases.append(Case(wave, " ".join(map(_spelled, words)), [unit for word in words for unit in word], ends_s))
    return Reference("phones, EmoDB by hand", cases, match_phones, pronunciations)


def german_words(rows: Sequence[Mapping[str, str]]) -> list[list[Unit]]:
    """EmoDB's narrow labels -> base phones, between pauses.

    Closure (`_t` or `t`), release (`!t`) and breath (`tasp`) of a stop are one phone. A change within a phone (`-sth`,
    `+lar` ...), or a row without a label, goes on with the phone before. `(` is a pause, and a glottal stop is nothing.
    """
    words: list[list[Unit]] = [[]]
    for row in rows:
        label, stop_s = row["phone"].removeprefix("125").strip(), float(row["end_s"])
        stop, phone = _STOP.match(label), _GERMAN_PHONE.match(label)
        if label.startswith("("):
            words.append([])
            continue
        is_later_part = stop is not None and (stop["part"] == "!" or stop["breath"]) and words[-1]
        goes_on = is_later_part and words[-1][-1].label == GERMAN[stop["stop"]]
        if goes_on or not label or label[0] in "+-":
            if words[-1]:
                words[-1].append(Unit(words[-1][-1].label, words[-1].pop().start_s, stop_s))
        elif stop or phone:
            name = GERMAN[stop["stop"] if stop else phone[0]]
            words[-1].append(Unit(name, float(row["start_s"]), stop_s))
    return [word for word in words if word]


def _spelled(word: Sequence[Unit]) -> str:
    """A name for the aligner's dictionary, of letters, that no word and no other phones have."""
    return f"xx{'x'.join(unit.label.lower() for unit in word)}xx"


def measure(reference: Reference) -> dict[str, dict[str, Any]]:
    """Our scores, and those of phones of equal length in the place of ours."""
    aligner = PocketSphinxAligner(reference.pronunciations)
    found = [aligner(case.wave, case.text) for case in reference.cases]
    evenly = [segments and _evenly(segments, case) for segments, case in zip(found, reference.cases, strict=True)]
    return {
        name: compare(
            [
                (case.reference, None if segments is None else _units(segments, case.text, reference.match))
                for case, segments in zip(reference.cases, alignments, strict=True)
            ],
            reference.match,
            reference.edges,
        )
        for name, alignments in {"ours": found, "equal lengths": evenly}.items()
    }


def _units(segments: Sequence[Segment], text: str, match: Matcher) -> list[Unit]:
    phones = [(*item.label.split("_"), item.start_s, item.stop_s) for item in segments if _is_phone(item)]
    if match is match_phones:
        return [Unit(phone, start_s, stop_s) for phone, _, start_s, stop_s in phones]
    starts_s = [start_s for _, place, start_s, _ in phones if place in (BEGIN, SINGLE)]
    stops_s = [stop_s for _, place, _, stop_s in phones if place in (END, SINGLE)]
    return [Unit(*word) for word in zip(words_and_tokens(text)[0], starts_s, stops_s, strict=True)]


def _evenly(segments: Sequence[Segment], case: Case) -> list[Segment]:
    labels = [item.label for item in segments if _is_phone(item)]
    step_s = case.duration_s / len(labels)
    return [Segment(number * step_s, (number + 1) * step_s, label) for number, label in enumerate(labels)]


def _is_phone(segment: Segment) -> bool:
    return segment.label.split("_")[0] in ARPABET


def _by_utterance(path: Path) -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = {}
    for row in _rows(path):
        found.setdefault(row["utt"], []).append(row)
    return found


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        yield from csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE)


COLUMNS = {
    "utterances": "utterances",
    "unaligned": "unaligned",
    "unmatched": "unmatched",
    "boundaries": "boundaries",
    "median_error_ms": "median ms",
    "within_20_ms": "<= 20 ms",
    "within_50_ms": "<= 50 ms",
    "bias_ms": "bias ms",
}


def table(references: Sequence[Reference]) -> str:
    """All scores, and below them whether the ends of a reference can be told from random numbers."""
    lines = [f"{'':<26}{'':<15}" + "".join(f"{head:>12}" for head in COLUMNS.values())]
    notes = []
    for reference in references:
        for name, scores in measure(reference).items():
            cells = (scores[key] for key in COLUMNS)
            shown = ("-" if cell is None else f"{cell:.3g}" if isinstance(cell, float) else str(cell) for cell in cells)
            lines.append(f"{reference.name:<26}{name:<15}" + "".join(f"{cell:>12}" for cell in shown))
        if reference.match is match_phones:
            chance = p_of_random_ends([(case.ends_s, case.duration_s) for case in reference.cases])
            verdict = "cannot" if chance > 0.05 else "can"
            notes.append(f"{reference.name}: its ends {verdict} be told from random numbers (p = {chance:.2g}).")
    return "\n".join([*lines, "", *notes])


def _main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Scores our aligner against true boundaries.")
    parser.add_argument("--manual", type=Path, default=DATA / "emodb", metavar="DIR", help="EmoDB with phones.tsv")
    parser.add_argument("--phones", type=Path, default=DATA / "align_en" / "speechbrain", metavar="DIR")
    parser.add_argument("--words", type=Path, default=DATA / "librispeech", metavar="DIR")
    parser.add_argument("--full", action="store_true", help="all of EmoDB instead of every fourth utterance")
    args = parser.parse_args(argv)
    readers = {
        args.manual: lambda folder: manual_phones(folder, 1 if args.full else 4),
        args.words: english_words,
        args.phones: english_phones,
    }
    for folder in readers:
        if not folder.is_dir():
            print(f"{folder} is not there and is left out.", file=sys.stderr)
    print(table([read(folder) for folder, read in readers.items() if folder.is_dir()]))
    return 0


if __name__ == "__main__":
    sys.exit(exit_code_of("alignment.py", _main))
