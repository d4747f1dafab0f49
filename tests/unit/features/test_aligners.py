import json
from itertools import pairwise

import numpy as np
import pytest
import soundfile
import torch
from torchaudio.functional import resample

from emorec_lobes.corpora import espeak
from emorec_lobes.errors import ConfigError
from emorec_lobes.features.aligners import PocketSphinxAligner, words_and_tokens
from emorec_lobes.features.alignments import Segment
from emorec_lobes.features.phone_table import SILENCE_ID, UNKNOWN_ID, phone_id
from emorec_lobes.features.phones import frame_ids
from emorec_lobes.units import num_frames

pytest.importorskip("pocketsphinx")


@pytest.fixture(scope="module")
def aligner():
    return PocketSphinxAligner()


@pytest.fixture(scope="module")
def sentences(real_data):
    """name -> (wave, words)."""
    folder = real_data("align_en") / "speechbrain"
    entries = {}
    for part in ("train", "dev"):
        entries |= json.loads((folder / "annotation" / f"ASR_{part}.json").read_text())
    found = {}
    for name, entry in sorted(entries.items()):
        samples, sample_rate_hz = soundfile.read(folder / "ASR" / f"{name}.wav", dtype="float32")
        assert sample_rate_hz == 16_000
        found[name] = torch.from_numpy(samples), entry["words"]
    return found


def phones_only(segments):
    return [item for item in segments if phone_id(item.label) not in (SILENCE_ID, UNKNOWN_ID)]


def test_every_real_sentence_is_aligned_in_order_and_within_its_audio(aligner, sentences):
    for name, (wave, words) in sentences.items():
        segments = aligner(wave, words)
        assert segments, name
        assert all(before.stop_s <= after.start_s + 1e-9 for before, after in pairwise(segments))
        assert segments[-1].stop_s <= len(wave) / 16_000 + 0.02
        assert len(phones_only(segments)) >= 2 * len(words.split())


def test_word_starts_and_ends_in_the_labels_are_as_many_as_the_words(aligner, sentences):
    for wave, words in sentences.values():
        positions = [item.label[-1] for item in phones_only(aligner(wave, words))]
        assert positions.count("B") + positions.count("S") == len(words.split())
        assert positions.count("E") + positions.count("S") == len(words.split())


def test_a_boundary_lies_in_the_middle_between_the_windows_of_its_frames(aligner, sentences):
    """A window has 410 samples and the next begins 160 later, so their middles are 205 and 365: half-way is 285."""
    segments = aligner(*sentences["spk1_snt1"])
    assert segments[0].start_s == 0.0
    steps = {round((item.stop_s - 285 / 16_000) / 0.01, 6) for item in segments}
    assert all(step == int(step) for step in steps)


def test_given_pronunciations_are_used_for_words_outside_the_dictionary(sentences):
    wave = sentences["spk1_snt1"][0]
    segments = PocketSphinxAligner({"blickst": ["B", "OY", "K"]})(wave, "blickst almost")
    assert [item.label for item in phones_only(segments)][:3] == ["B_B", "OY_I", "K_E"]


def test_pronunciations_decide_what_is_made_and_must_be_arpabet():
    assert PocketSphinxAligner({"a": ["AY"]}).identity != PocketSphinxAligner().identity
    with pytest.raises(ConfigError, match=r"`pronunciations` must be one of AA, .* but is 'Q'"):
        PocketSphinxAligner({"a": ["Q"]})


def test_speech_is_louder_where_there_are_phones(aligner, sentences):
    loud, quiet = [], []
    for wave, words in sentences.values():
        for item in aligner(wave, words):
            part = wave[int(item.start_s * 16_000) : int(item.stop_s * 16_000)]
            (quiet if phone_id(item.label) == SILENCE_ID else loud).extend((part**2).tolist())
    assert not quiet or np.mean(loud) > 5 * np.mean(quiet)


def test_an_alignment_does_not_depend_on_what_was_aligned_before(aligner, sentences):
    names = list(sentences)
    forwards = {name: aligner(*sentences[name]) for name in names}
    backwards = {name: aligner(*sentences[name]) for name in reversed(names)}
    assert forwards == backwards


def test_words_outside_the_dictionary_are_aligned_too(aligner, sentences):
    wave, words = sentences["spk1_snt1"]
    assert words.startswith("THE CHILD ALMOST")
    segments = aligner(wave, words.replace("CHILD", "chayldd"))
    truth = aligner(wave, words)
    assert segments is not None
    almost = [next(item.start_s for item in each if item.label == "AO_B") for each in (segments, truth)]
    assert almost[0] == pytest.approx(almost[1], abs=0.05)


def test_a_pause_becomes_the_token_that_stands_there(aligner, sentences):
    first, second = sentences["spk1_snt1"], sentences["spk1_snt3"]
    generator = torch.Generator().manual_seed(0)
    pause = torch.randn(16_000, generator=generator) * 1e-3
    wave = torch.cat([first[0], pause, second[0]])
    segments = aligner(wave, f"{first[1]} [BREATHING] {second[1]}")
    tokens = [item for item in segments if item.label == "BREATHING"]
    assert sum(item.stop_s - item.start_s for item in tokens) > 0.5
    middle_s = len(first[0]) / 16_000 + 0.5
    assert any(item.start_s < middle_s < item.stop_s for item in tokens)


@pytest.mark.parametrize("text", ["", "[LAUGHTER]", "...", "?!"])
def test_a_text_without_words_is_not_aligned(aligner, text):
    assert aligner(torch.zeros(16_000), text) is None


def test_audio_too_short_for_its_words_is_not_aligned(aligner):
    assert aligner(torch.zeros(400), "this is a long sentence that does not fit") is None


@pytest.mark.parametrize(
    ("text", "words", "tokens"),
    [
        ("I'm -- well-known.", ["i'm", "well", "known"], {}),
        ("It’s 42!", ["it's", "four", "two"], {}),
        ("[LAUGHTER] No [NOISE] [LIPSMACK]", ["no"], {0: "LAUGHTER", 1: "LIPSMACK"}),
        ("'Cause rock 'n' roll", ["cause", "rock", "n", "roll"], {}),
    ],
)
def test_transcripts_are_split_into_dictionary_words_and_tokens(text, words, tokens):
    assert words_and_tokens(text) == (words, tokens)


def test_it_agrees_with_the_synthesiser_that_spoke(aligner):
    pytest.importorskip("espeakng_loader")
    text = "I was in the garden the whole time, so that is how it is."
    with espeak.opened(seed=1) as synthesiser:
        speech = synthesiser.speak(text, "en-us+f2", rate_wpm=150, pitch=50, pitch_range=50)
    wave = resample(torch.from_numpy(speech.samples), speech.sample_rate_hz, 16_000)
    duration_s = len(wave) / 16_000
    said = [Segment(phone.start_s, phone.stop_s, phone.phone) for phone in speech.phones]
    heard = [Segment(item.start_s, item.stop_s, item.label.split("_")[0]) for item in aligner(wave, text)]
    ids = [frame_ids(segments, num_frames(len(wave)), duration_s) for segments in (said, heard)]
    assert np.mean(ids[0] == ids[1]) > 0.6
