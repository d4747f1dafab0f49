import json
import math

import numpy as np
import pytest
import soundfile

from emorec_lobes.corpora.manifest import Utterance
from emorec_lobes.errors import DataError
from emorec_lobes.experiments.facts import level_db, read_facts


def utterance(**fields):
    return Utterance("a", "{data_root}/a.wav", 1.0, "sad", "T", **fields)


def write(folder, samples, rate=16_000):
    soundfile.write(folder / "a.wav", samples, rate, subtype="DOUBLE")
    return folder


def test_a_full_scale_sine_is_three_decibels_below_full_scale_and_half_of_it_six_more(tmp_path):
    wave = np.sin(2 * np.pi * 100 * np.arange(200_000) / 16_000)
    assert level_db(utterance(), write(tmp_path, wave)) == pytest.approx(10 * math.log10(0.5))
    assert level_db(utterance(), write(tmp_path, wave / 2)) == pytest.approx(10 * math.log10(0.5 / 4))


def test_the_level_is_of_the_part_between_start_and_stop_whatever_the_rate(tmp_path):
    steps = np.repeat([0.0, 0.1, 1.0], 8_000)
    part = utterance(start=1.0, stop=2.0)
    assert level_db(part, write(tmp_path, steps, rate=8_000)) == pytest.approx(-20)
    assert level_db(utterance(start=2.0), tmp_path) == pytest.approx(0)


def test_all_channels_count(tmp_path):
    assert level_db(utterance(), write(tmp_path, np.tile([1.0, 0.0], (8_000, 1)))) == pytest.approx(
        10 * math.log10(0.5)
    )


def test_silence_has_the_least_level(tmp_path):
    assert level_db(utterance(), write(tmp_path, np.zeros(8_000))) == -120


def test_samples_that_are_no_numbers_are_refused_by_the_files_name(tmp_path):
    with pytest.raises(DataError, match=r"a\.wav must hold finite samples"):
        level_db(utterance(), write(tmp_path, np.full(8_000, np.nan)))


def test_facts_are_those_of_the_manifest_and_text_alone_has_no_duration(tmp_path):
    entry = {"wav": "", "duration": 0, "emotion": "sad", "raw_emotion": "T", "session": "3", "kind": "scripted"}
    (tmp_path / "m.json").write_text(json.dumps({"a": entry, "b": {**entry, "duration": 2.5}}))
    facts = read_facts(tmp_path / "m.json", ["b", "a"])
    assert list(facts) == ["b", "a"] and facts["b"].duration_s == 2.5 and facts["a"].duration_s is None
    assert (facts["a"].session, facts["a"].kind, facts["a"].level_db) == ("3", "scripted", None)
