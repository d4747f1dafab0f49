import sys
from itertools import pairwise

import numpy as np
import pytest

from emorec_lobes.corpora.espeak import opened
from emorec_lobes.errors import DataError, UnavailableError

SENTENCE = "She had your dark suit in greasy wash water all year."


@pytest.fixture(scope="module", autouse=True)
def espeak_installed():
    pytest.importorskip("espeakng_loader")


@pytest.fixture(scope="module")
def speech():
    with opened(seed=1) as espeak:
        return espeak.speak(SENTENCE, "en-us+f2", rate_wpm=160, pitch=50, pitch_range=50)


def test_speech_is_audible_and_lasts_as_long_as_its_rate_says(speech):
    duration_s = len(speech.samples) / speech.sample_rate_hz
    assert 11 / 160 * 60 * 0.6 < duration_s < 11 / 160 * 60 * 1.4
    assert 0.02 < np.sqrt(np.mean(speech.samples**2)) < 0.5


def test_phones_follow_each_other_without_a_gap_to_the_end(speech):
    assert speech.phones[-1].stop_s == pytest.approx(len(speech.samples) / speech.sample_rate_hz)
    assert all(phone.stop_s > phone.start_s for phone in speech.phones)
    for before, after in pairwise(speech.phones):
        assert before.stop_s == after.start_s


def test_every_word_has_the_phones_of_its_pronunciation(speech):
    spoken = {}
    for phone in speech.phones:
        spoken.setdefault(phone.word, []).append(phone.phone)
    words = SENTENCE.split()
    assert set(spoken) - {-1} == set(range(len(words)))
    assert spoken[words.index("dark")] == ["D", "AA", "R", "K"]
    assert spoken[words.index("wash")] == ["W", "AA", "SH"]
    assert spoken[words.index("suit")] == ["S", "UW", "T"]


def test_the_loud_part_of_the_signal_is_where_the_phones_are_not_silence(speech):
    energy = {True: [], False: []}
    for phone in speech.phones:
        part = speech.samples[int(phone.start_s * 22050) : int(phone.stop_s * 22050)]
        energy[phone.phone == "SIL"].extend(part**2)
    assert np.mean(energy[False]) > 20 * np.mean(energy[True])


def test_the_same_seed_says_the_same_samples_even_after_other_speech():
    said = []
    for seed in (3, 3, 4):
        with opened(seed) as espeak:
            said.append([espeak.speak(text, "en-us+m3", 160, 50, 50).samples for text in ("Come in.", "Come in.")])
    assert all(np.array_equal(first, second) for first, second in zip(said[0], said[1], strict=True))
    assert not np.array_equal(said[0][0], said[0][1]), "the state moves on within a synthesiser"


def test_rate_and_pitch_change_what_they_name():
    with opened(1) as espeak:
        slow = espeak.speak(SENTENCE, "en-us+m3", 120, 50, 50).samples
        fast = espeak.speak(SENTENCE, "en-us+m3", 240, 50, 50).samples
        low = espeak.speak("Aaah.", "en-us+m3", 100, 20, 0).samples
        high = espeak.speak("Aaah.", "en-us+m3", 100, 90, 0).samples
    assert len(slow) > 1.5 * len(fast)
    assert period(high) < 0.8 * period(low)


def period(samples):
    middle = samples[2000:6000]
    correlation = np.correlate(middle, middle, "full")[len(middle) - 1 :]
    return 60 + int(np.argmax(correlation[60:450]))


def test_an_unknown_voice_is_refused_in_one_line():
    with opened(1) as espeak, pytest.raises(DataError, match=r"`voice` must be one of .*'martian'"):
        espeak.speak("Hello.", "martian", 160, 50, 50)


def test_a_missing_library_names_the_extra_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(UnavailableError, match=r'pip install "emorec\[demo\]"'), opened(1):
        pass


def test_words_that_are_run_together_still_get_their_own_phones():
    spoken = {}
    with opened(1) as espeak:
        for phone in espeak.speak("I came from the back, out of the way.", "en-us+f2", 160, 50, 50).phones:
            spoken.setdefault(phone.word, []).append(phone.phone)
    assert spoken[2] == ["F", "R", "AH", "M"]
    assert spoken[3] == ["DH", "AH"]
    assert spoken[5] == ["AW", "T"]
    assert spoken[6] == ["AH", "V"]
