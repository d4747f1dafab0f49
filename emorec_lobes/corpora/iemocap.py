"""IEMOCAP_full_release exactly as USC ships it (Busso et al. 2008): five sessions of two actors."""

import re
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path

from emorec_lobes.corpora.audio import keep_existing, with_durations
from emorec_lobes.corpora.counts import check_counts
from emorec_lobes.corpora.manifest import DATA_ROOT, Utterance, locate
from emorec_lobes.corpora.ratings import canonical_ratings
from emorec_lobes.errors import ConfigError, DataError, not_one_of
from emorec_lobes.labels import FOUR_CLASSES, canonical
from emorec_lobes.units import Seconds

SESSIONS = ("1", "2", "3", "4", "5")
PARTS = ("dialog/EmoEvaluation", "dialog/transcriptions", "sentences/wav")

# Majority labels of the release; xxx stands for no agreement.
LABELS = ("ang", "neu", "hap", "exc", "sad", "fru", "fea", "sur", "dis", "oth", "xxx")

# Who said what they had meant to express: no raters of it.
ACTORS = ("F1", "M1")

# `emorec synth` leaves this file in its tree, so that made-up speech never passes for IEMOCAP.
SYNTHETIC_MARKER = "SYNTHETIC.txt"

_TURN = re.compile(
    r"\[\s*(?P<start_s>\d+\.?\d*)[^\]]*\]\s+(?P<id>\S+)\s+(?P<label>\S+)\s+"
    r"\[\s*(?P<valence>\d+\.?\d*)\s*,\s*(?P<arousal>\d+\.?\d*)\s*,\s*(?P<dominance>\d+\.?\d*)\s*\]\s*"
)
_NAME = re.compile(r"(?P<dialog>Ses0(?P<session>\d)[FM]_(?P<kind>impro|script)\w*)_(?P<gender>[FM])\w+", re.ASCII)
_RATER = re.compile(r"C-(?P<rater>\w+):(?P<labels>[^(]*)")
_TRANSCRIPT = re.compile(r"(?P<id>Ses\w+)\s*\[[^\]]*\]:(?P<text>.*)")


@dataclass(frozen=True)
class Selection:
    """Which utterances of the release an experiment uses, and how many of them there are."""

    improvised_only: bool
    merge_excited: bool
    num_per_emotion: dict[str, int]  # before excited is merged into happy
    num_per_session: dict[str, int] = field(default_factory=dict)


SELECTIONS = {
    "makiuchi2021": Selection(
        improvised_only=False,
        merge_excited=True,
        num_per_emotion={"angry": 1103, "neutral": 1708, "happy": 595, "excited": 1041, "sad": 1084},
        num_per_session={"1": 1085, "2": 1023, "3": 1151, "4": 1031, "5": 1241},
    ),
    "xi2022": Selection(
        improvised_only=True,
        merge_excited=False,
        num_per_emotion={"angry": 289, "neutral": 1099, "happy": 284, "excited": 663, "sad": 608},
    ),
}


@dataclass(frozen=True)
class Turn:
    """One turn of an EmoEvaluation file."""

    id: str
    label: str  # majority of the raters, one of `LABELS`
    start_s: Seconds  # in the dialog
    valence: float  # 1-5, mean of the raters
    arousal: float
    dominance: float
    ratings: dict[str, list[str]] = field(default_factory=dict)  # rater -> labels as spelled, `ACTORS` too


def read(
    data_folder: Path,
    labels: Collection[str] | None = None,
    allow_incomplete: bool = False,
    selection: str = "makiuchi2021",
    merge_excited: bool = False,
    prefix: str = "iemocap",
) -> tuple[list[Utterance], list[str]]:
    """Reads IEMOCAP.

    Source: Makiuchi 2021, section 4; Xi 2022, section 4.1.

    Arguments
    ---------
    data_folder : Path
        IEMOCAP_full_release: the folder that holds `Session1` to `Session5`.
    labels : collection of str, optional
        Canonical emotions to keep; all four without it.
    allow_incomplete : bool
        Whether missing sessions, missing audio and counts other than the official ones are warnings.
    selection : str
        "makiuchi2021" (improvised and scripted, excited counts as happy) or "xi2022" (improvised, happy alone).
    merge_excited : bool
        Whether excited counts as happy in "xi2022" too.
    prefix : str
        What ids and speakers begin with: "iemocap", or "synthetic", which has no official counts.

    Returns
    -------
    tuple
        The utterances by session and dialog, and the warnings.

    Raises
    ------
    ConfigError
        If the selection is unknown.
    DataError
        If a folder or audio is missing, a file is not as released, or a count differs.
    """
    if selection not in SELECTIONS:
        raise ConfigError(not_one_of("selection", selection, SELECTIONS))
    chosen = SELECTIONS[selection]
    merged = merge_excited or chosen.merge_excited
    _check_root(data_folder, is_synthetic=prefix == "synthetic")
    sessions, warnings = _whole_sessions(data_folder, allow_incomplete)
    drafts = [item for session in sessions for item in _read_session(data_folder, session, prefix, merged)]
    drafts = [item for item in drafts if item.emotion in FOUR_CLASSES and (labels is None or item.emotion in labels)]
    drafts = [item for item in drafts if item.kind == "improvised" or not chosen.improvised_only]
    kept, missing = keep_existing(drafts, data_folder, allow_incomplete)
    kept, unknown = canonical_ratings(kept, {"excited": "happy"} if merged else {}, ACTORS)
    warnings += missing + unknown
    if prefix != "synthetic":
        found = Counter(f"session {item.session}" for item in kept) + Counter(item.emotion for item in kept)
        name = f"IEMOCAP ({selection}{', excited as happy' if merge_excited else ''})"
        warnings += check_counts(found, _official_counts(chosen, merged, labels), name, allow_incomplete)
    num_without_text = sum(item.text is None for item in kept)
    if num_without_text:
        warnings.append(f"{num_without_text} of {len(kept)} utterances have no transcript.")
    return with_durations(kept, data_folder), warnings


def read_turns(path: Path) -> list[Turn]:
    """Reads one EmoEvaluation file: turns with their majority label, mean attributes and every rater's labels.

    Raises
    ------
    DataError
        If a turn line is not as released, or its label is unknown.
    """
    turns: list[Turn] = []
    for number, line in enumerate(_lines(path), start=1):
        if line.startswith("["):
            turns.append(_parse_turn(line, f"{path}, line {number}"))
        elif turns and (rating := _RATER.match(line)):
            given = [label.strip() for label in rating["labels"].split(";")]
            turns[-1].ratings[rating["rater"]] = [label for label in given if label]
    return turns


def read_transcripts(path: Path) -> dict[str, str]:
    """Reads one transcription file, id -> text. A line without an utterance id belongs to no turn and is skipped."""
    matches = map(_TRANSCRIPT.match, _lines(path))
    return {match["id"]: match["text"].strip() for match in matches if match}


def _lines(path: Path) -> list[str]:
    """Lines of a text file; one that is not UTF-8 is taken for Western Windows text, stray bytes replaced."""
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("cp1252", errors="replace")
    return [line.rstrip() for line in text.split("\n")]


def _parse_turn(line: str, where: str) -> Turn:
    match = _TURN.fullmatch(line)
    if match is None:
        raise DataError(
            f"{where} must be `[start - end] turn label [valence, arousal, dominance]`, "
            f"but is {line[:80]!r} instead. Restore the file from the release."
        )
    if match["label"] not in LABELS:
        raise DataError(f"{where}: {not_one_of('label', match['label'], LABELS)} Restore the file from the release.")
    numbers = {name: float(match[name]) for name in ("start_s", "valence", "arousal", "dominance")}
    return Turn(match["id"], match["label"], **numbers)


def _check_root(data_folder: Path, is_synthetic: bool) -> None:
    if not any((data_folder / f"Session{session}").is_dir() for session in SESSIONS):
        inner = data_folder / "IEMOCAP_full_release"
        cure = f"Pass {inner}." if inner.is_dir() else "Pass the folder IEMOCAP_full_release."
        raise DataError(f"`--data-folder` must hold Session1 to Session5, but {data_folder} does not. {cure}")
    is_marked = (data_folder / SYNTHETIC_MARKER).exists()
    if is_marked and not is_synthetic:
        raise DataError(f"{data_folder} must be IEMOCAP, but is synthetic speech. Run `emorec prepare synthetic`.")
    if is_synthetic and not is_marked:
        raise DataError(f"{data_folder} must be made by `emorec synth`, but is not. Run `emorec prepare iemocap`.")


def _whole_sessions(data_folder: Path, allow_incomplete: bool) -> tuple[list[str], list[str]]:
    """The sessions that have all their parts, and a warning for each other one."""
    sessions, warnings = [], []
    for session in SESSIONS:
        parts = [data_folder / f"Session{session}" / part for part in PARTS]
        missing = next((part for part in parts if not (part.is_dir() and any(part.iterdir()))), None)
        if missing is None:
            sessions.append(session)
        elif allow_incomplete:
            warnings.append(f"Session{session} is left out, because {missing} is missing or empty.")
        else:
            raise DataError(
                f"{missing} must be a folder of IEMOCAP, but {'is empty' if missing.is_dir() else 'does not exist'}. "
                "Complete the release, or pass --allow-incomplete to leave the session out."
            )
    return sessions, warnings


def _read_session(data_folder: Path, session: str, prefix: str, merged: bool) -> Iterator[Utterance]:
    """The turns of one session that have a majority label, with no duration yet."""
    dialogs = data_folder / f"Session{session}" / "dialog"
    # The pattern passes by the other things that lie there, such as a Mac's `._Ses01F_impro01.txt`.
    transcripts: dict[str, str] = {}
    for path in sorted((dialogs / "transcriptions").glob("Ses*.txt")):
        transcripts |= read_transcripts(path)
    for path in sorted((dialogs / "EmoEvaluation").glob("Ses*.txt")):
        # Names count each actor's turns apart, and a file need not list them in time: only the times give the order.
        turns = sorted(read_turns(path), key=attrgetter("start_s"))
        for order, turn in enumerate(turns, start=1):
            if turn.label == "xxx":
                continue
            name = _NAME.fullmatch(turn.id)
            if name is None or name["session"] != session:
                raise DataError(
                    f"{path}: a turn must be named like Ses0{session}F_impro01_M000, but is {turn.id!r} instead. "
                    "Restore the file from the release."
                )
            yield _draft(turn, order, name, prefix, merged, transcripts.get(turn.id), data_folder)


def _draft(
    turn: Turn, order: int, name: re.Match[str], prefix: str, merged: bool, text: str | None, data_folder: Path
) -> Utterance:
    session, dialog = name["session"], name["dialog"]
    sentences = f"{DATA_ROOT}/Session{session}/sentences"
    phones = f"{sentences}/ForcedAlignment/{dialog}/{turn.id}.phseg"
    return Utterance(
        id=f"{prefix}_{turn.id}",
        wav=f"{sentences}/wav/{dialog}/{turn.id}.wav",
        duration=0.0,
        emotion=canonical(turn.label, {"exc": "happy"} if merged else None),
        raw_emotion=turn.label,
        speaker=f"{prefix}_Ses0{session}{name['gender']}",
        gender="female" if name["gender"] == "F" else "male",
        session=session,
        text=text,
        dialog=f"{prefix}_{dialog}",
        turn=order,
        kind="improvised" if name["kind"] == "impro" else "scripted",
        ratings=turn.ratings,
        valence=turn.valence,
        arousal=turn.arousal,
        dominance=turn.dominance,
        phones=phones if locate(phones, data_folder).is_file() else None,
    )


def _official_counts(selection: Selection, merged: bool, labels: Collection[str] | None) -> dict[str, int]:
    per_emotion = dict(selection.num_per_emotion)
    num_excited = per_emotion.pop("excited")
    per_emotion["happy"] += num_excited if merged else 0
    if labels is not None and set(per_emotion) - set(labels):  # the sessions' counts are those of all four classes
        return {label: number for label, number in per_emotion.items() if label in labels}
    return {f"session {name}": number for name, number in selection.num_per_session.items()} | per_emotion
