"""How the synthetic corpus is spoken: a voice a speaker, and a delivery an emotion.

Deliveries of different emotions overlap, and a part of the turns is acted so weakly that they hardly differ from
neutral, so that no model can be perfect.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.signal import butter, lfilter, resample_poly

from emorec_lobes.corpora.espeak import SILENCE, Espeak, SpokenPhone
from emorec_lobes.units import SAMPLE_RATE_HZ, Decibels, Seconds

_VARIANTS = {"F": ("f1", "f2", "f3", "f4", "f5"), "M": ("m1", "m2", "m3", "m4", "m6")}
_BASE_RATE_WPM = 165
_LOUDNESS_DB: Decibels = -10.0  # leaves room for the loudest
_NOISE_DB: Decibels = -54.0  # of the room, relative to full scale
_WEAKLY_ACTED = 0.12

LAUGHTER, BREATHING = "+LAUGHTER+", "+BREATHING+"


@dataclass(frozen=True)
class Voice:
    """One speaker's voice: an eSpeak NG variant and its own habits."""

    name: str
    rate: float  # factor
    pitch: float  # eSpeak NG's points, like the next
    pitch_range: float
    loudness_db: Decibels


@dataclass(frozen=True)
class Delivery:
    """How one turn is spoken, relative to the voice."""

    log_rate: float
    pitch: float
    pitch_range: float
    loudness_db: Decibels
    brightness: float  # how much vocal effort lifts the high frequencies; negative dulls


@dataclass(frozen=True)
class Performance:
    """One turn as it was recorded."""

    samples: np.ndarray  # (S,) float32 at 16 kHz
    phones: list[SpokenPhone]


_FULLY_ACTED = {
    "ang": Delivery(0.16, 2, 20, 5.0, 0.32),
    "neu": Delivery(0.0, 0, 0, 0.0, 0.0),
    "hap": Delivery(0.05, 18, 26, 2.5, 0.05),
    "sad": Delivery(-0.20, -7, -22, -5.0, -0.26),
    "exc": Delivery(0.10, 21, 32, 3.5, 0.10),
    "fru": Delivery(0.05, 1, 10, 2.0, 0.15),
    "sur": Delivery(0.05, 22, 36, 1.5, 0.05),
}
_SPREAD = Delivery(0.06, 4, 6, 1.5, 0.06)


def cast(gender: str, index: int, generator: np.random.Generator) -> Voice:
    """The voice of the `index`-th speaker of a gender (F or M)."""
    name = f"en-us+{_VARIANTS[gender][index % len(_VARIANTS[gender])]}"
    rate, pitch, pitch_range, loudness_db = generator.uniform((-0.06, -5, -4, -2), (0.06, 5, 4, 2))
    return Voice(name, math.exp(rate), float(pitch), float(pitch_range), float(loudness_db))


def act(emotion: str, generator: np.random.Generator) -> Delivery:
    """Draws how one turn of an acted emotion is delivered."""
    weak = generator.random() < _WEAKLY_ACTED
    strength = generator.uniform(0.0, 0.4) if weak else generator.uniform(0.7, 1.3)
    full, spread = _FULLY_ACTED[emotion], _SPREAD
    return Delivery(
        log_rate=strength * full.log_rate + generator.normal(0, spread.log_rate),
        pitch=strength * full.pitch + generator.normal(0, spread.pitch),
        pitch_range=strength * full.pitch_range + generator.normal(0, spread.pitch_range),
        loudness_db=strength * full.loudness_db + generator.normal(0, spread.loudness_db),
        brightness=strength * full.brightness + generator.normal(0, spread.brightness),
    )


def perform(
    espeak: Espeak, transcript: str, voice: Voice, delivery: Delivery, generator: np.random.Generator
) -> Performance:
    """Records one turn.

    Arguments
    ---------
    espeak : Espeak
        An opened synthesiser.
    transcript : str
        Words, with `[LAUGHTER]` or `[BREATHING]` before them or alone.
    voice : Voice
    delivery : Delivery
    generator : np.random.Generator
        Draws pauses and noise.

    Returns
    -------
    Performance
        The phones' word indices count the transcript's words, bracket tokens included.
    """
    parts, phones, offset_s = [], [], 0.0
    words = transcript.split()
    tokens = [word for word in words if word.startswith("[")]
    sections = [(token, index) for index, token in enumerate(tokens)]
    if len(words) > len(tokens):
        sections.append((" ".join(words[len(tokens) :]), len(tokens)))
    parts.append(np.zeros(int(generator.uniform(0.08, 0.30) * SAMPLE_RATE_HZ)))
    for text, first_word in sections:
        offset_s = sum(len(part) for part in parts) / SAMPLE_RATE_HZ
        samples, spoken = _section(espeak, text, voice, delivery, generator)
        parts.append(samples)
        phones += [_moved(phone, offset_s, first_word) for phone in spoken]
    parts.append(np.zeros(int(generator.uniform(0.08, 0.30) * SAMPLE_RATE_HZ)))
    samples = _brightened(np.concatenate(parts), delivery.brightness)
    samples *= _amplitude(_LOUDNESS_DB + voice.loudness_db + delivery.loudness_db)
    noisy = samples + generator.normal(0, _amplitude(_NOISE_DB), len(samples))
    return Performance(np.clip(noisy, -1, 1).astype(np.float32), phones)


def _section(
    espeak: Espeak, text: str, voice: Voice, delivery: Delivery, generator: np.random.Generator
) -> tuple[np.ndarray, list[SpokenPhone]]:
    """Words, or the sound a bracket token stands for: samples at 16 kHz and phones from time 0."""
    if text == "[BREATHING]":
        samples = _breath(generator.uniform(0.4, 0.9), generator)
        return samples, [SpokenPhone(0.0, len(samples) / SAMPLE_RATE_HZ, BREATHING, 0)]
    laughing = text == "[LAUGHTER]"
    speech = espeak.speak(
        "ha ha ha ha." if laughing else text,
        voice.name,
        rate_wpm=_within(_BASE_RATE_WPM * voice.rate * math.exp(delivery.log_rate), 80, 400),
        pitch=_within(50 + voice.pitch + delivery.pitch, 0, 99),
        pitch_range=_within(50 + voice.pitch_range + delivery.pitch_range, 0, 99),
    )
    common = math.gcd(SAMPLE_RATE_HZ, speech.sample_rate_hz)
    samples = resample_poly(speech.samples, SAMPLE_RATE_HZ // common, speech.sample_rate_hz // common)
    if laughing:
        return samples, [SpokenPhone(0.0, len(samples) / SAMPLE_RATE_HZ, LAUGHTER, 0)]
    return samples, speech.phones


def _moved(phone: SpokenPhone, offset_s: Seconds, first_word: int) -> SpokenPhone:
    word = phone.word if phone.phone == SILENCE else phone.word + first_word
    return SpokenPhone(phone.start_s + offset_s, phone.stop_s + offset_s, phone.phone, word)


def _breath(duration_s: Seconds, generator: np.random.Generator) -> np.ndarray:
    """Noise through the band of a breath, swelling and fading."""
    noise = generator.normal(0, 0.15, int(duration_s * SAMPLE_RATE_HZ))
    numerator, denominator = butter(2, (500, 3000), "bandpass", fs=SAMPLE_RATE_HZ)
    return lfilter(numerator, denominator, noise) * np.hanning(len(noise))


def _brightened(samples: np.ndarray, brightness: float) -> np.ndarray:
    """Tilts the spectrum around an unchanged level; `brightness` in (-1, 1) is the first-order coefficient."""
    coefficient = float(np.clip(brightness, -0.6, 0.6))
    tilted = lfilter([1.0, -coefficient], [1.0], samples)
    return tilted * np.sqrt(np.mean(samples**2) / max(np.mean(tilted**2), 1e-12))


def _amplitude(level_db: Decibels) -> float:
    return 10 ** (level_db / 20)


def _within(value: float, lowest: int, highest: int) -> int:
    return int(np.clip(round(value), lowest, highest))
