import wave

import pytest
import soundfile

from emorec_lobes.corpora.audio import keep_existing, probe, with_durations
from emorec_lobes.corpora.manifest import Utterance
from emorec_lobes.errors import DataError


def _utterance(name):
    return Utterance(id=name, wav=f"{{data_root}}/{name}.wav", duration=0.0, emotion="sad", raw_emotion="T")


@pytest.mark.parametrize(("rate_hz", "channels"), [(8_000, 1), (16_000, 2), (44_100, 1), (48_000, 6)])
def test_a_header_says_what_the_wave_module_reads(tmp_path, make_wav, rate_hz, channels):
    path = make_wav(tmp_path / "a.wav", 12_345, rate_hz, channels)
    info = probe(path)
    with wave.open(str(path)) as reference:
        assert (info.num_samples, info.sample_rate_hz) == (reference.getnframes(), reference.getframerate())
        assert info.num_channels == reference.getnchannels()
        assert info.duration == reference.getnframes() / reference.getframerate()


@pytest.mark.parametrize("suffix", ["flac", "ogg", "mp3"])
def test_compressed_audio_has_the_duration_of_its_samples(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, [0.0] * 24_000, 16_000)
    assert probe(path).duration == len(soundfile.read(path)[0]) / 16_000 == 1.5


@pytest.mark.parametrize(("rate_hz", "fewest"), [(16_000, 400), (8_000, 200), (44_100, 1_103), (48_000, 1_200)])
def test_the_shortest_audio_is_one_window_at_any_rate(tmp_path, make_wav, refusal, rate_hz, fewest):
    assert probe(make_wav(tmp_path / "long.wav", fewest, rate_hz)).num_samples == fewest
    short = make_wav(tmp_path / "short.wav", fewest - 1, rate_hz)
    message = refusal(DataError, probe, short)
    assert str(short) in message
    assert "at least 0.025 s" in message


def test_audio_without_samples_is_refused(tmp_path, make_wav, refusal):
    assert "holds 0.0000 s" in refusal(DataError, probe, make_wav(tmp_path / "a.wav", 0))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [(None, "does not exist"), (b"", "has 0 bytes"), (b"not audio " * 50, "libsndfile"), (b"RIFF", "libsndfile")],
)
def test_a_file_that_is_no_audio_is_named_with_its_cure(tmp_path, refusal, content, complaint):
    path = tmp_path / "a.wav"
    if content is not None:
        path.write_bytes(content)
    message = refusal(DataError, probe, path)
    assert str(path) in message
    assert complaint in message


def test_audio_that_does_not_say_how_long_it_is_is_refused(tmp_path, refusal):
    path = tmp_path / "a.flac"
    soundfile.write(path, [0.0] * 16_000, 16_000)
    content = bytearray(path.read_bytes())
    content[22:26] = bytes(4)  # the number of samples in the header of FLAC: 0 stands for unknown
    path.write_bytes(content)
    assert "must state its length" in refusal(DataError, probe, path)


def test_a_folder_is_no_audio(tmp_path, refusal):
    assert "does not exist" in refusal(DataError, probe, tmp_path)


def test_a_recording_cut_short_has_the_duration_that_is_left(tmp_path, make_wav):
    path = make_wav(tmp_path / "a.wav", 16_000)
    path.write_bytes(path.read_bytes()[: 44 + 2 * 4_000])
    assert probe(path).num_samples == 4_000


def test_missing_audio_names_the_first_file_and_how_many(tmp_path, make_wav, refusal):
    make_wav(tmp_path / "b.wav")
    message = refusal(DataError, keep_existing, [_utterance(name) for name in "abc"], tmp_path, allow_incomplete=False)
    assert "2 of 3 audio files" in message
    assert str(tmp_path / "a.wav") in message
    assert "--allow-incomplete" in message


def test_missing_audio_can_be_left_out_with_a_warning(tmp_path, make_wav):
    make_wav(tmp_path / "b.wav")
    kept, warnings = keep_existing([_utterance(name) for name in "abc"], tmp_path, allow_incomplete=True)
    assert [item.id for item in kept] == ["b"]
    assert len(warnings) == 1
    assert "2 of 3" in warnings[0]


def test_nothing_missing_is_no_warning(tmp_path, make_wav):
    make_wav(tmp_path / "a.wav")
    assert keep_existing([_utterance("a")], tmp_path, allow_incomplete=False) == ([_utterance("a")], [])


def test_durations_are_filled_in_and_nothing_else_changes(tmp_path, make_wav):
    make_wav(tmp_path / "a.wav", 8_000)
    make_wav(tmp_path / "b.wav", 8_000, 8_000)
    before = [_utterance("a"), _utterance("b")]
    after = with_durations(before, tmp_path)
    assert [item.duration for item in after] == [0.5, 1.0]
    assert [item.wav for item in after] == [item.wav for item in before]
    assert before[0].duration == 0.0
