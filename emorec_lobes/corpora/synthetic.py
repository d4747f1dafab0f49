"""A small corpus made on the spot, in the tree of IEMOCAP_full_release: five sessions of two speakers each.

eSpeak NG speaks it. Scores on it say that the software works, and nothing about emotion in people's speech.
"""

import os
import shutil
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from emorec_lobes.corpora import synthetic_files as files
from emorec_lobes.corpora import synthetic_voice as voices
from emorec_lobes.corpora.espeak import Espeak, opened
from emorec_lobes.corpora.synthetic_text import deck, draw_sentence, rate
from emorec_lobes.errors import DataError
from emorec_lobes.units import SAMPLE_RATE_HZ, Seconds

MARKER = "SYNTHETIC.txt"
_VERSION = 1  # goes up whenever a seed gives another corpus than before

_NUM_SESSIONS = 5
# Dialogs of each session: the letter is who wore the markers, in IEMOCAP. Scripts are the same in every session.
_IMPROVISED = ("F_impro01", "F_impro02", "M_impro01", "M_impro02")
_SCRIPTED = ("F_script01_1", "M_script01_1")
_WITH_TOKEN = 0.08
_WITHOUT_ALIGNMENT = 0.04


@dataclass(frozen=True)
class _Line:
    """One turn before it is spoken."""

    gender: str
    acted: str
    transcript: str


def make_corpus(folder: Path, seed: int = 1, num_turns: int = 12, progress: bool = True) -> bool:
    """Makes the synthetic corpus: every file is a pure function of the arguments.

    Arguments
    ---------
    folder : Path
        Where it goes; must be missing or empty, or hold this very corpus already.
    seed : int
        Not negative.
    num_turns : int
        Turns of each of the 30 dialogs, two or more.
    progress : bool
        Whether to show a bar.

    Returns
    -------
    bool
        False if the folder held this corpus already, and nothing was done.

    Raises
    ------
    DataError
        If the folder holds something else or cannot be written, or an argument is out of range.
    UnavailableError
        If eSpeak NG is not installed.
    """
    if seed < 0 or num_turns < 2:
        raise DataError(f"`seed` must be 0 or more and `num_turns` 2 or more, but are {seed} and {num_turns} instead.")
    folder = Path(folder).absolute()
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    try:
        if _holds(folder, seed, num_turns):
            return False
        temporary.mkdir(parents=True)
        _write_sessions(temporary, seed, num_turns, progress)
        (temporary / MARKER).write_text(_marker_text(seed, num_turns), encoding="ascii")
        temporary.replace(folder)
    except OSError as error:
        raise DataError(
            f"The synthetic corpus cannot be made in {folder} ({error.strerror}). Free space or name another folder."
        ) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return True


def _holds(folder: Path, seed: int, num_turns: int) -> bool:
    """Whether the folder holds this very corpus; refuses one that holds anything else."""
    if folder.is_dir():
        if not any(folder.iterdir()):
            return False
        marker = folder / MARKER
        if marker.is_file() and marker.read_text(encoding="ascii", errors="replace") == _marker_text(seed, num_turns):
            return True
        what = "another synthetic corpus" if marker.is_file() else "other files"
        raise DataError(f"{folder} must be empty, but holds {what} instead. Name another folder with --to.")
    if folder.exists():
        raise DataError(f"{folder} must be a folder, but is a file instead. Name another folder with --to.")
    return False


def _marker_text(seed: int, num_turns: int) -> str:
    return (
        "This corpus is synthetic: every utterance is machine-made speech by eSpeak NG. No person speaks in it.\n"
        "Its tree and files have the form of IEMOCAP_full_release. Its transcripts, labels and ratings are invented.\n"
        "Scores on it say that the software works, and nothing about emotion in people's speech.\n"
        f"version {_VERSION}\nseed {seed}\nturns of a dialog {num_turns}\n"
    )


def _write_sessions(root: Path, seed: int, num_turns: int, progress: bool) -> None:
    num_utterances = _NUM_SESSIONS * len(_IMPROVISED + _SCRIPTED) * num_turns
    bar = tqdm(total=num_utterances, desc="synthetic corpus", unit="utt", disable=not progress)
    with opened(seed) as espeak, bar:
        for session in range(_NUM_SESSIONS):
            generator = np.random.default_rng((seed, 1 + session))
            cast = {gender: voices.cast(gender, session, generator) for gender in "FM"}
            for play, lines in _plays(seed, session, num_turns):
                dialog = f"Ses{session + 1:02d}{play}"
                _write_dialog(root / f"Session{session + 1}", dialog, lines, cast, espeak, generator, bar)


def _plays(seed: int, session: int, num_turns: int) -> Iterator[tuple[str, list[_Line]]]:
    """The dialogs of a session and their lines."""
    improvisation = np.random.default_rng((seed, 101 + session))
    emotions = deck(len(_IMPROVISED) * num_turns, improvisation)
    for place, play in enumerate(_IMPROVISED):
        part = emotions[place * num_turns : (place + 1) * num_turns]
        lines = [_line(acted, improvisation) for acted in part]
        yield play, _alone_with_a_token(lines) if place == 0 else lines
    script = np.random.default_rng((seed, 100))  # the same in every session
    emotions = deck(len(_SCRIPTED) * num_turns, script)
    for place, play in enumerate(_SCRIPTED):
        yield play, [_line(acted, script) for acted in emotions[place * num_turns : (place + 1) * num_turns]]


def _line(acted: str, generator: np.random.Generator) -> _Line:
    gender = "FM"[int(generator.integers(2))]
    sentence = draw_sentence(acted, generator)
    token = "[LAUGHTER]" if acted in ("hap", "exc") else "[BREATHING]"
    return _Line(gender, acted, f"{token} {sentence}" if generator.random() < _WITH_TOKEN else sentence)


def _alone_with_a_token(lines: list[_Line]) -> list[_Line]:
    """The same lines, the first happy one nothing but laughter and the first sad one nothing but a breath."""
    lines = list(lines)
    for emotions, token in ((("hap", "exc"), "[LAUGHTER]"), (("sad",), "[BREATHING]")):
        place = next((place for place, line in enumerate(lines) if line.acted in emotions), None)
        if place is not None:
            lines[place] = _Line(lines[place].gender, lines[place].acted, token)
    return lines


def _write_dialog(
    session_folder: Path,
    dialog: str,
    lines: list[_Line],
    cast: dict[str, voices.Voice],
    espeak: Espeak,
    generator: np.random.Generator,
    bar: tqdm,
) -> None:
    waves = _made(session_folder / "sentences" / "wav" / dialog)
    alignments = _made(session_folder / "sentences" / "ForcedAlignment" / dialog)
    turns, clock_s, counts = [], 1.0, {"F": 0, "M": 0}
    for line in lines:
        name = f"{dialog}_{line.gender}{counts[line.gender]:03d}"
        counts[line.gender] += 1
        delivery = voices.act(line.acted, generator)
        performance = voices.perform(espeak, line.transcript, cast[line.gender], delivery, generator)
        duration_s = len(performance.samples) / SAMPLE_RATE_HZ
        _write_wave(waves / f"{name}.wav", performance.samples)
        if " " in line.transcript and generator.random() >= _WITHOUT_ALIGNMENT:
            _write_alignment(alignments / name, line.transcript, performance, duration_s)
        turns.append(files.Turn(name, clock_s, clock_s + duration_s, line.transcript, rate(line.acted, generator)))
        clock_s += duration_s + generator.uniform(0.2, 1.0)
        bar.update()
    for kind, text in (
        ("EmoEvaluation", files.evaluation_text(turns)),
        ("transcriptions", files.transcription_text(turns)),
    ):
        (_made(session_folder / "dialog" / kind) / f"{dialog}.txt").write_text(text, encoding="ascii")


def _write_alignment(stem: Path, transcript: str, performance: voices.Performance, duration_s: Seconds) -> None:
    phones = files.phone_segments_text(performance.phones, duration_s)
    words = files.word_segments_text(performance.phones, transcript, duration_s)
    stem.with_suffix(".phseg").write_text(phones, encoding="ascii")
    stem.with_suffix(".wdseg").write_text(words, encoding="ascii")


def _write_wave(path: Path, samples: np.ndarray) -> None:
    with wave.open(str(path), "wb") as stream:
        stream.setnchannels(1)
        stream.setsampwidth(2)
        stream.setframerate(SAMPLE_RATE_HZ)
        stream.writeframes(np.rint(samples * 32767).astype("<i2").tobytes())


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
