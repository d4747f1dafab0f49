"""The text files of an IEMOCAP release, as the synthetic corpus writes them: one function a file kind -> its text."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from emorec_lobes.corpora.espeak import SILENCE, SpokenPhone
from emorec_lobes.corpora.synthetic_text import ATTRIBUTE_RATERS, CATEGORY_RATERS, Ratings
from emorec_lobes.units import Seconds

# Sphinx counts 10 ms frames and gives the end inclusively.
_FRAMES_PER_S = 100
_SCORE_PER_FRAME = -1000  # stands for an acoustic score, which nothing spoke here has


@dataclass(frozen=True)
class Turn:
    """One turn of a dialog, with its place in the dialog's recording."""

    name: str  # Ses01F_impro01_F000
    start_s: Seconds
    stop_s: Seconds
    transcript: str
    ratings: Ratings


def evaluation_text(turns: Sequence[Turn]) -> str:
    """dialog/EmoEvaluation/<dialog>.txt: labels, and what each rater said."""
    blocks = ["% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n"]
    for turn in turns:
        attributes = turn.ratings.attributes
        means = ", ".join(f"{sum(values) / len(values):.4f}" for values in zip(*attributes, strict=True))
        times = f"[{turn.start_s:.4f} - {turn.stop_s:.4f}]"
        lines = [f"{times}\t{turn.name}\t{turn.ratings.label}\t[{means}]"]
        for rater, names in zip(CATEGORY_RATERS, turn.ratings.categories, strict=True):
            lines.append(f"{rater}:\t{' '.join(f'{name};' for name in names)}\t()")
        for rater, (valence, activation, dominance) in zip(ATTRIBUTE_RATERS, attributes, strict=True):
            lines.append(f"{rater}:\tval {valence}; act {activation}; dom  {dominance};\t()")
        blocks.append("\n".join(lines) + "\n")
    return "\n".join(blocks) + "\n"


def transcription_text(turns: Sequence[Turn]) -> str:
    """dialog/transcriptions/<dialog>.txt; like the release's, with a line that belongs to no utterance."""
    lines = [f"{turn.name} [{turn.start_s:08.4f}-{turn.stop_s:08.4f}]: {turn.transcript}" for turn in turns]
    lines.insert(len(lines) // 2, "M: [GARBAGE]")
    return "\n".join(lines) + "\n"


def phone_segments_text(phones: Sequence[SpokenPhone], duration_s: Seconds) -> str:
    """sentences/ForcedAlignment/<dialog>/<utterance>.phseg: phones with left and right neighbour and word position."""
    rows = []
    spoken = _with_silence(phones, duration_s)
    positions = _positions([phone.word for phone in spoken])
    for place, phone in enumerate(spoken):
        label = phone.phone
        if label.isalpha() and label != SILENCE:
            left = _context(spoken[place - 1].phone if place else SILENCE)
            right = _context(spoken[place + 1].phone if place + 1 < len(spoken) else SILENCE)
            label = f"{label} {left} {right} {positions[place]}"
        rows.append((phone.start_s, phone.stop_s, label))
    return _sphinx_table("Phone", rows)


def word_segments_text(phones: Sequence[SpokenPhone], transcript: str, duration_s: Seconds) -> str:
    """sentences/ForcedAlignment/<dialog>/<utterance>.wdseg: words, silences and marks between `<s>` and `</s>`."""
    words = transcript.split()
    rows = []
    for (index, _), group in groupby(_with_silence(phones, duration_s), key=lambda phone: (phone.word, phone.word < 0)):
        members = list(group)
        rows.append((members[0].start_s, members[-1].stop_s, _word_label(words[index]) if index >= 0 else "<sil>"))
    rows[0] = (*rows[0][:2], "<s>")
    rows[-1] = (*rows[-1][:2], "</s>")
    return _sphinx_table("Word", rows)


def _word_label(word: str) -> str:
    if word.startswith("["):
        return f"++{word.strip('[]')}++"
    return "".join(character for character in word.upper() if character.isalpha() or character == "'")


def _context(phone: str) -> str:
    return phone if phone.isalpha() else SILENCE


def _with_silence(phones: Sequence[SpokenPhone], duration_s: Seconds) -> list[SpokenPhone]:
    """Phones and silence without a gap from 0 to the end, in silence at both ends; neighbouring silences are one."""
    filled = [SpokenPhone(0.0, 0.0, SILENCE, -1)]
    for phone in (*phones, SpokenPhone(duration_s, duration_s, SILENCE, -1)):
        if phone.phone != SILENCE:
            if phone.start_s > filled[-1].stop_s:
                filled = _lengthened(filled, phone.start_s)
            filled.append(phone)
        else:
            filled = _lengthened(filled, phone.stop_s)
    return filled


def _lengthened(filled: list[SpokenPhone], stop_s: Seconds) -> list[SpokenPhone]:
    last = filled[-1]
    if last.phone == SILENCE:
        return [*filled[:-1], SpokenPhone(last.start_s, stop_s, SILENCE, -1)]
    return [*filled, SpokenPhone(last.stop_s, stop_s, SILENCE, -1)]


def _positions(words: Sequence[int]) -> list[str]:
    """Sphinx's position letter of each phone in its word: b(egin), i(nside), e(nd), s(ingle)."""
    letters = []
    for place, word in enumerate(words):
        first = place == 0 or words[place - 1] != word
        last = place + 1 == len(words) or words[place + 1] != word
        letters.append({(True, False): "b", (False, False): "i", (False, True): "e", (True, True): "s"}[first, last])
    return letters


def _sphinx_table(kind: str, rows: Sequence[tuple[Seconds, Seconds, str]]) -> str:
    """Sphinx's segmentation table; a row too short for a frame is left out."""
    lines, total = [f"{'SFrm':>6} {'EFrm':>5} {'SegAScr':>10} {kind}"], 0
    for start_s, stop_s, label in rows:
        first, after = round(start_s * _FRAMES_PER_S), round(stop_s * _FRAMES_PER_S)
        if after > first:
            score = (after - first) * _SCORE_PER_FRAME
            total += score
            lines.append(f"{first:6d} {after - 1:5d} {score:10d} {label}")
    return "\n".join([*lines, f" Total score: {total:11d}"]) + "\n"
