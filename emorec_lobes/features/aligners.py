"""Alignment of English speech with its transcript, in process."""

import importlib
import importlib.metadata
import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from emorec_lobes.errors import ConfigError, UnavailableError, not_one_of
from emorec_lobes.features.alignments import Segment
from emorec_lobes.features.phone_table import ARPABET, SILENCE, TOKENS, in_word
from emorec_lobes.features.pronunciation import PRONUNCIATION_VERSION, pronounce
from emorec_lobes.units import Seconds

_FRAME_S: Seconds = 0.01
# A frame is heard through a window of 25.625 ms that begins where the frame does, so it stands for the 10 ms around the
# middle of that window: (25.625 - 10) / 2 ms later than its number says.
_LAG_S: Seconds = 0.0078125
_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_WORD_OR_TOKEN = re.compile(r"\[[^\]]*\]|[a-z]+(?:'[a-z]+)*|\d")

# `bestpath` off and beams wider than the library's, or the second pass finds no path for some utterances.
_DECODER = {"lm": None, "bestpath": False, "beam": 1e-80, "pbeam": 1e-80, "wbeam": 1e-60, "loglevel": "FATAL"}


class PocketSphinxAligner:
    """Aligns with PocketSphinx and the American English model it ships, at about 0.03 times real time.

    A word outside its dictionary gets the pronunciation of its spelling. A bracket token is no word to it: the pause
    where the transcript has the token, if there is one, becomes the token.

    What it gives for an utterance does not depend on the utterances before.

    Arguments
    ---------
    pronunciations : mapping, optional
        Word, in lower-case letters -> its ARPAbet phones, for words outside the dictionary.

    Raises
    ------
    ConfigError
        If a pronunciation has a phone that is not ARPAbet's.
    UnavailableError
        If `pocketsphinx` is not installed.

    Example
    -------
    >>> aligner = PocketSphinxAligner()
    >>> aligner(torch.zeros(16_000), "[LAUGHTER]") is None  # no words
    True
    """

    def __init__(self, pronunciations: Mapping[str, Sequence[str]] | None = None) -> None:
        self.pronunciations = {word: list(phones) for word, phones in (pronunciations or {}).items()}
        strange = {phone for phones in self.pronunciations.values() for phone in phones} - {*ARPABET}
        if strange:
            raise ConfigError(not_one_of("pronunciations", min(strange), ARPABET))
        self.identity = {
            **pocketsphinx_identity(),
            "beams": [_DECODER[name] for name in ("beam", "pbeam", "wbeam")],
            "lag_s": _LAG_S,
            **({"pronunciations": self.pronunciations} if self.pronunciations else {}),
        }
        self._decoder: Any = None  # takes 60 MB; a store's header needs only the identity

    def __call__(self, wave: Tensor, text: str) -> list[Segment] | None:
        """Aligns one utterance.

        Arguments
        ---------
        wave : torch.Tensor, (S,)
            16 kHz, in [-1, 1].
        text : str
            English transcript.

        Returns
        -------
        list of Segment, or None if the text has no words or does not fit the audio
        """
        words, tokens = words_and_tokens(text)
        if not words:
            return None
        if self._decoder is None:
            self._decoder = importlib.import_module("pocketsphinx").Decoder(**_DECODER)
        self._add_missing(words)
        samples = (wave.clamp(-1, 1) * 32767).round().to(torch.int16).numpy().tobytes()
        try:
            self._decoder.set_align_text(" ".join(words))
            self._decode(samples)
            self._decoder.set_alignment()
            self._decode(samples)
            alignment = self._decoder.get_alignment()
        except RuntimeError:  # no path through the words: too short, or other words were said
            return None
        return None if alignment is None else _segments(alignment, tokens)

    def _add_missing(self, words: list[str]) -> None:
        for word in words:
            if self._decoder.lookup_word(word) is None:
                phones = self.pronunciations.get(word) or pronounce(word)
                self._decoder.add_word(word, " ".join(phones), True)

    def _decode(self, samples: bytes) -> None:
        self._decoder.reinit_feat()  # forgets the channel of the utterance before
        self._decoder.start_utt()
        self._decoder.process_raw(samples, full_utt=True)
        self._decoder.end_utt()


def pocketsphinx_identity() -> dict[str, Any]:
    """What decides a PocketSphinx alignment besides audio and text; loads no model."""
    try:
        version = importlib.metadata.version("pocketsphinx")
    except importlib.metadata.PackageNotFoundError:
        raise UnavailableError(
            "`aligner: pocketsphinx` needs PocketSphinx. Run `pip install pocketsphinx`, or set `aligner: none`."
        ) from None
    return {"pocketsphinx": version, "pronunciation": PRONUNCIATION_VERSION}


def words_and_tokens(text: str) -> tuple[list[str], dict[int, str]]:
    """The words of a transcript as the dictionary spells them, and its bracket tokens.

    Returns
    -------
    tuple
        Lower-case words, digits spelled out; and which token stands before which word (its index, the number of words
        for a token at the end).

    Example
    -------
    >>> words_and_tokens("[LAUGHTER] Don't you -- Zoë's room 2? [BREATHING]")
    (["don't", 'you', "zoe's", 'room', 'two'], {0: 'LAUGHTER', 5: 'BREATHING'})
    """
    plain = unicodedata.normalize("NFKD", text.lower().replace("’", "'"))
    letters = "".join(letter for letter in plain if not unicodedata.combining(letter))
    words: list[str] = []
    tokens: dict[int, str] = {}
    for part in _WORD_OR_TOKEN.findall(letters):
        if part.startswith("["):
            if (name := part.strip("[]").upper()) in TOKENS:
                tokens[len(words)] = name
        else:
            words.append(_DIGITS[int(part)] if part.isdigit() else part)
    return words, tokens


def _segments(alignment: Any, tokens: dict[int, str]) -> list[Segment]:
    """Phones with their place in the word; pauses and noises are silence, or the token that stands there."""
    segments: list[Segment] = []
    num_words = 0
    for word in alignment:
        phones = [phone.name for phone in word]
        is_pause = word.name.startswith(("<", "["))
        labels = [tokens.get(num_words, SILENCE)] * len(phones) if is_pause else in_word(phones)
        num_words += not is_pause
        for phone, label in zip(word, labels, strict=True):
            segments.append(Segment(_boundary_s(phone.start), _boundary_s(phone.start + phone.duration), label))
    return segments


def _boundary_s(frame: int) -> Seconds:
    """Where what a frame stands for begins; for the first one that is where the audio does."""
    return frame * _FRAME_S + _LAG_S if frame else 0.0
