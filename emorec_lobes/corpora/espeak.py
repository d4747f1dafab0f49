"""eSpeak NG through its shared library: text -> samples, with the times of phones and words.

The library comes with the wheel `espeakng-loader` (extra `demo`); no system package is needed.
"""

import ctypes
import importlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emorec_lobes.errors import DataError, UnavailableError
from emorec_lobes.units import Seconds

# Values of the enumerations in eSpeak NG's speak_lib.h.
_SYNCHRONOUS = 2
_PHONEME_EVENTS_AND_NO_EXIT = 0x8001
_UTF8 = 1
_IN_CHARACTERS = 1
_RATE, _PITCH, _RANGE = 1, 3, 4
_EVENT_END_OF_LIST, _EVENT_WORD, _EVENT_PHONEME = 0, 1, 7

SILENCE = "SIL"

# eSpeak NG's American English mnemonics -> ARPAbet; what is not listed here is a pause or a glide of its neighbour.
_ARPABET = {
    **{name: name.upper() for name in "bdfgklmnprstvwz"},
    **{"h": "HH", "j": "Y", "x": "K", "N": "NG", "S": "SH", "Z": "ZH", "T": "TH", "D": "DH", "tS": "CH", "dZ": "JH"},
    **{"?": "T", "t#": "T", "t2": "T", "r-": "R", "l#": "L", "n-": "N", "@L": "AH L"},
    **{"a": "AE", "aa": "AE", "a#": "AH", "V": "AH", "@": "AH", "@2": "AH", "@5": "AH", "@-": "AH"},
    **{"A:": "AA", "0": "AA", "O:": "AO", "O2": "AO", "O~": "AO", "E": "EH", "E2": "EH", "3": "ER", "3:": "ER"},
    **{"I": "IH", "I2": "IH", "I#": "IH", "i": "IY", "i:": "IY", "U": "UH", "u": "UW", "u:": "UW"},
    **{"aI": "AY", "aU": "AW", "eI": "EY", "oU": "OW", "OI": "OY"},
    **{"A@": "AA R", "o@": "AO R", "O@": "AO R", "e@": "EH R", "i@3": "IH R", "U@": "UH R"},
    **{"i@": "IY AH", "aI@": "AY AH", "aI3": "AY ER"},
}


class _EventId(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),  # 1-based, in characters
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _EventId),
    )


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


@dataclass(frozen=True)
class SpokenPhone:
    """One phone as it was spoken; a pause is the phone `SIL` of word -1."""

    start_s: Seconds
    stop_s: Seconds
    phone: str  # ARPAbet without stress
    word: int  # index into the words of the text, split at spaces


@dataclass(frozen=True)
class Speech:
    """Synthetic speech and what was said when."""

    samples: np.ndarray  # (S,) float32, full scale 1
    sample_rate_hz: int
    phones: list[SpokenPhone]


class Espeak:
    """One eSpeak NG synthesiser, see `opened`."""

    def __init__(self, library: ctypes.CDLL, sample_rate_hz: int) -> None:
        self.sample_rate_hz = sample_rate_hz
        self._library = library
        self._chunks: list[np.ndarray] = []
        self._events: list[tuple[int, int, str, int]] = []  # type, sample, mnemonic, text position
        self._callback = _Callback(self._collect)  # kept here, or it would be freed while the library calls it
        library.espeak_SetSynthCallback(self._callback)

    def speak(self, text: str, voice: str, rate_wpm: int, pitch: int, pitch_range: int) -> Speech:
        """Speaks a text.

        Arguments
        ---------
        text : str
            English, plain ASCII.
        voice : str
            eSpeak NG's name of a voice and variant, e.g. `en-us+f2`.
        rate_wpm : int
            Words a minute, 80 to 450.
        pitch, pitch_range : int
            Relative to the voice, 0 to 99; 50 is the voice's own.

        Returns
        -------
        Speech

        Raises
        ------
        DataError
            If the voice is unknown or eSpeak NG refuses the text.
        """
        self._chunks.clear()
        self._events.clear()
        if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise DataError(f"`voice` must be one of eSpeak NG's, but is {voice!r} instead. Try 'en-us+f2'.")
        for parameter, value in ((_RATE, rate_wpm), (_PITCH, pitch), (_RANGE, pitch_range)):
            self._library.espeak_SetParameter(parameter, value, 0)
        encoded = text.encode("ascii") + b"\0"
        size = ctypes.c_size_t(len(encoded))
        status = self._library.espeak_Synth(encoded, size, 0, _IN_CHARACTERS, 0, _UTF8, None, None)
        if status != 0 or not self._chunks:
            raise DataError(f"eSpeak NG could not speak {text!r} (status {status}). Shorten it.")
        samples = np.concatenate(self._chunks).astype(np.float32) / 32768
        return Speech(samples, self.sample_rate_hz, self._phones(text, len(samples)))

    def _collect(self, samples: "ctypes._Pointer[ctypes.c_short]", num_samples: int, events: object) -> int:
        if samples and num_samples > 0:
            self._chunks.append(np.ctypeslib.as_array(samples, (num_samples,)).copy())
        for event in _until_end(events):
            if event.type in (_EVENT_WORD, _EVENT_PHONEME):
                mnemonic = event.id.string.decode("ascii", "replace") if event.type == _EVENT_PHONEME else ""
                self._events.append((event.type, event.sample, mnemonic, event.text_position))
        return 0

    def _phones(self, text: str, num_samples: int) -> list[SpokenPhone]:
        """Turns the events into phones; each lasts until the next one begins, neighbours that are the same are one."""
        heard: list[tuple[int, str, int]] = []  # sample, ARPAbet phones, word
        word = -1
        for kind, sample, mnemonic, position in self._events:
            name = mnemonic.lstrip("',%=")
            if kind == _EVENT_WORD:
                word = len(text[: position - 1].split())
            elif name.startswith("_"):
                heard.append((sample, SILENCE, -1))
            elif name in _ARPABET:
                heard.append((sample, _ARPABET[name], word))
        stops = [sample for sample, _, _ in heard[1:]] + [num_samples]
        starts: list[tuple[float, str, int]] = []  # sample, one phone, word
        for (start, names, index), stop in zip(heard, stops, strict=True):
            for part, name in enumerate(names.split()):
                if stop > start and (not starts or starts[-1][1:] != (name, index)):
                    starts.append((start + (stop - start) * part / len(names.split()), name, index))
        times_s = [sample / self.sample_rate_hz for sample, _, _ in starts] + [num_samples / self.sample_rate_hz]
        indices = _word_indices([(name, index) for _, name, index in starts], text.split())
        return [
            SpokenPhone(times_s[place], times_s[place + 1], name, index)
            for place, ((_, name, _), index) in enumerate(zip(starts, indices, strict=True))
        ]


def _word_indices(phones: list[tuple[str, int]], words: list[str]) -> list[int]:
    """Gives every word its phones.

    eSpeak NG runs pairs such as `from the` together and reports both as the first. Both have one vowel each; the second
    begins with the last consonant before its vowel, or with the vowel if it is spelled with one.
    """
    indices = [index for _, index in phones]
    for missing in sorted(set(range(len(words))) - set(indices)):
        places = [place for place, index in enumerate(indices) if index == missing - 1]
        vowels = [place for place in places if phones[place][0][0] in "AEIOU"]
        if len(vowels) == 2:
            begin = vowels[1] - (words[missing][0].upper() not in "AEIOU" and vowels[1] > vowels[0] + 1)
            indices[begin : places[-1] + 1] = [missing] * (places[-1] + 1 - begin)
    return indices


def _until_end(events: "ctypes._Pointer[_Event]") -> Iterator[_Event]:
    index = 0
    while events[index].type != _EVENT_END_OF_LIST:
        yield events[index]
        index += 1


@contextmanager
def opened(seed: int) -> Iterator[Espeak]:
    """Opens a synthesiser that starts from the same state every time.

    eSpeak NG carries state (noise, pitch flutter) from one utterance to the next and cannot be reset, so each
    synthesiser loads its own copy of the library: what it says is a pure function of the seed and of all that it was
    asked to say so far.

    Arguments
    ---------
    seed : int
        Seed of eSpeak NG's own noise.

    Raises
    ------
    UnavailableError
        If `espeakng-loader` is not installed or its library does not start.

    Example
    -------
    >>> with opened(seed=1) as espeak:
    ...     speech = espeak.speak("Come in.", "en-us+f2", rate_wpm=160, pitch=50, pitch_range=50)
    >>> [phone.phone for phone in speech.phones]
    ['K', 'AH', 'M', 'IH', 'N', 'SIL']
    """
    try:
        loader = importlib.import_module("espeakng_loader")
    except ImportError:
        raise UnavailableError('Synthetic speech needs eSpeak NG. Run `pip install "emorec[demo]"`.') from None
    with tempfile.TemporaryDirectory(prefix="emorec-espeak-") as folder:
        try:
            library = ctypes.CDLL(shutil.copy(loader.get_library_path(), folder))
        except OSError as error:
            raise UnavailableError(f"eSpeak NG could not be loaded ({error}). Reinstall espeakng-loader.") from None
        data_folder = Path(folder, "data")
        data_folder.symlink_to(loader.get_data_path())  # eSpeak NG cuts paths at 160 characters
        sample_rate_hz = library.espeak_Initialize(
            _SYNCHRONOUS, 0, str(data_folder).encode(), _PHONEME_EVENTS_AND_NO_EXIT
        )
        if sample_rate_hz <= 0:
            raise UnavailableError("eSpeak NG did not start. Reinstall espeakng-loader.")
        library.espeak_ng_SetRandSeed(ctypes.c_long(seed))
        try:
            yield Espeak(library, sample_rate_hz)
        finally:
            library.espeak_Terminate()
