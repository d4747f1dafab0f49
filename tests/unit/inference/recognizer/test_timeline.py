"""What was felt when: files in blocks, samples and chunks give one timeline, which other programs can read."""

import csv
import io
import json

import numpy as np
import pytest
import soundfile
import torch

from emorec_lobes.errors import ConfigError, DataError
from emorec_lobes.features import audio_reader
from emorec_lobes.inference.recognizer import EmotionRecognizer
from emorec_lobes.inference.timeline import Segment, Timeline


@pytest.fixture(scope="module")
def recognizer(fold):
    return EmotionRecognizer.from_hparams(fold("speech"), batch_size=4)


@pytest.fixture(scope="module")
def recording(say, tmp_path_factory):
    """Two speakers with a pause of 6 s between them, at 22.05 kHz in stereo."""
    rate = 22_050
    wave = np.concatenate([say(7.3, 1, rate), np.zeros(6 * rate, dtype=np.float32), say(5.2, 2, rate)])
    path = tmp_path_factory.mktemp("recording") / "talk.wav"
    soundfile.write(path, np.stack([wave, wave], axis=1), rate, subtype="FLOAT")
    return path, wave, rate


@pytest.fixture(scope="module")
def timeline(recognizer, recording):
    return recognizer.timeline(recording[0])


def farthest(found, expected):
    assert [(each.start_s, each.stop_s) for each in found] == [(each.start_s, each.stop_s) for each in expected]
    rows = [[list(each.probabilities.values()) for each in segments] for segments in (found, expected)]
    return np.abs(np.array(rows[0]) - np.array(rows[1])).max()


def test_segments_follow_each_other_and_leave_out_the_pause(timeline):
    starts = [each.start_s for each in timeline.segments]
    assert starts == [*range(8), *range(13, 19)] and timeline.duration_s == pytest.approx(18.5, abs=1e-3)
    assert timeline.warnings == ("resampled from 22050 Hz", "mixed from 2 channels")
    assert len({each.probabilities["angry"] for each in timeline.segments}) > 5


def test_a_segment_is_what_the_model_says_of_the_window_around_it(recognizer, recording, timeline):
    wave = recognizer.hear(recording[0]).wave
    for segment in timeline.segments[2:5]:
        start, stop = round((segment.start_s - 1) * 16_000), round((segment.stop_s + 1) * 16_000)
        answer = recognizer.predict(wave[start:stop], sample_rate_hz=16_000)
        assert answer.label == segment.label
        assert answer.probabilities == pytest.approx(segment.probabilities, abs=1e-5)


def test_small_blocks_of_a_file_give_the_same(recognizer, recording, timeline, monkeypatch):
    monkeypatch.setattr(audio_reader, "_BLOCK_VALUES", 30_000)
    assert farthest(recognizer.timeline(recording[0]).segments, timeline.segments) < 1e-5


@pytest.mark.parametrize("seed", [0, 1])
def test_chunks_of_any_size_give_the_timeline_of_the_whole(recognizer, recording, timeline, seed):
    _, wave, rate = recording
    stream = recognizer.stream(rate)
    sizes = np.random.default_rng(seed).integers(0, rate, 200)
    found, start = [], 0
    for size in sizes:
        chunk = wave[start : start + size]
        found += stream.push(chunk)
        start += size
    found += stream.finish()
    assert farthest(found, timeline.segments) < 1e-5


def test_a_segment_comes_no_later_than_stated(recognizer, say):
    stream = recognizer.stream(48_000, window_s=2.0, shift_s=0.5)
    wave, given, step = say(6.0, 1, 48_000), 0, 480
    while given < len(wave):
        for segment in stream.push(wave[given : given + step]):
            assert (given + step) / 48_000 - segment.start_s <= stream.latency_s + step / 48_000
        given += step
    assert stream.latency_s == pytest.approx(1.25, abs=0.03)


def test_labels_may_be_restricted(recognizer, recording):
    found = recognizer.timeline(recording[0], labels=["sad", "happy"])
    assert found.labels == ("sad", "happy") and {each.label for each in found.segments} <= {"sad", "happy"}


def test_a_window_that_a_model_cannot_judge_is_left_out_alone(fold, recording, monkeypatch):
    recognizer = EmotionRecognizer.from_hparams(fold("ad"))
    system = recognizer._engine.system

    def deaf(batch):
        if any(len(wave) < 40_000 for wave in batch.waves):
            raise DataError("no voice")
        return system(batch)

    monkeypatch.setattr(recognizer._engine, "system", deaf)
    deaf.takes_audio = True
    starts = [each.start_s for each in recognizer.timeline(recording[0]).segments]
    assert starts == [*range(1, 8), *range(13, 18)]


def test_nobody_speaks_in_silence(recognizer):
    assert recognizer.timeline(np.zeros(160_000), sample_rate_hz=16_000).segments == ()


def test_a_recording_that_is_too_long_is_refused_and_hours_are_not(fold, as_file):
    data = as_file(np.zeros(16_000 * 20, dtype=np.int16), form="flac")
    with pytest.raises(DataError, match="at most 10 s"):
        EmotionRecognizer.from_hparams(fold("speech"), max_timeline_s=10).timeline(data)
    assert EmotionRecognizer.from_hparams(fold("speech"), max_duration_s=10).timeline(data).duration_s == 20


@pytest.mark.parametrize("chunk", [np.zeros(0, dtype=np.float32), np.zeros((0, 2)), torch.zeros(0)])
def test_an_empty_chunk_is_nothing(recognizer, say, chunk):
    stream = recognizer.stream(16_000)
    assert stream.push(chunk) == [] and stream.duration_s == 0


def test_a_chunk_with_nan_is_refused(recognizer):
    with pytest.raises(DataError, match="the chunk must hold finite samples"):
        recognizer.stream(16_000).push(np.full(100, np.nan))


def test_sizes_out_of_range_are_refused(recognizer):
    with pytest.raises(ConfigError, match="`shift_s` must be"):
        recognizer.stream(16_000, window_s=1.0, shift_s=2.0)


# ------------------------------------------------------------------------------------------ formats

FELT = Timeline(
    (
        Segment(0.0, 1.0, "sad", {"angry": 0.25, "sad": 0.75}),
        Segment(1.0, 2.0, "sad", {"angry": 0.5, "sad": 0.5}),
        Segment(2.0, 3.0, "angry", {"angry": 0.875, "sad": 0.125}),
        Segment(4.0, 4.5, "angry", {"angry": 1.0, "sad": 0.0}),
    ),
    5.0,
    ("angry", "sad"),
    "my talk.wav",
    ("clipped",),
)


def test_json_and_csv_have_every_segment():
    content = json.loads(FELT.to_json())
    assert [each["label"] for each in content["segments"]] == ["sad", "sad", "angry", "angry"]
    assert content["segments"][2]["probabilities"] == {"angry": 0.875, "sad": 0.125} and content["duration_s"] == 5
    rows = list(csv.DictReader(io.StringIO(FELT.to_csv())))
    assert rows[3] == {"name": "my talk.wav", "start_s": "4.000", "stop_s": "4.500", "label": "angry",
                       "p_angry": "1.000000", "p_sad": "0.000000"}  # fmt: skip


def test_rttm_and_audacity_join_neighbours_of_one_label_but_not_over_a_pause():
    assert FELT.to_audacity() == "0.000000\t2.000000\tsad\n2.000000\t3.000000\tangry\n4.000000\t4.500000\tangry\n"
    rows = [line.split() for line in FELT.to_rttm().splitlines()]
    assert [(row[0], row[1], row[3], row[4], row[7]) for row in rows] == [
        ("SPEAKER", "my_talk.wav", "0.000", "2.000", "sad"),
        ("SPEAKER", "my_talk.wav", "2.000", "1.000", "angry"),
        ("SPEAKER", "my_talk.wav", "4.000", "0.500", "angry"),
    ]
    assert all(len(row) == 10 for row in rows)
