"""Files and bytes are read in blocks, in bounded memory, and what is wrong with them is one line."""

import io
import struct
import tracemalloc

import numpy as np
import pytest
import soundfile
import torch

from emorec_lobes.errors import DataError
from emorec_lobes.features import audio_reader
from emorec_lobes.features.audio import load_audio
from emorec_lobes.features.audio_reader import AudioReader


def content(samples, sample_rate_hz=16_000, form="wav", subtype=None):
    stream = io.BytesIO()
    soundfile.write(stream, samples, sample_rate_hz, format=form, subtype=subtype)
    return stream.getvalue()


@pytest.fixture(scope="module")
def noise():
    return np.random.default_rng(0).uniform(-0.5, 0.5, (40_000, 2)).astype(np.float32)


@pytest.mark.parametrize("form", ["wav", "flac", "ogg", "mp3"])
def test_bytes_binary_files_and_paths_give_the_same_samples(tmp_path, noise, form):
    data = content(noise, form=form)
    (tmp_path / "a").write_bytes(data)

    waves = [load_audio(source) for source in (tmp_path / "a", str(tmp_path / "a"), data, io.BytesIO(data))]

    assert all(torch.equal(wave, waves[0]) for wave in waves)


@pytest.mark.parametrize("sample_rate_hz", [16_000, 44_100])
def test_small_blocks_give_what_one_block_gives(monkeypatch, noise, sample_rate_hz):
    data = content(noise, sample_rate_hz, subtype="FLOAT")
    whole = load_audio(data)
    monkeypatch.setattr(audio_reader, "_BLOCK_VALUES", 3_001)

    reader = AudioReader(data)
    blocks = list(reader)

    assert len(blocks) > 20 and reader.num_samples == 40_000 and reader.num_channels == 2
    assert (torch.cat(blocks) - whole).abs().max() < 2e-6


def test_samples_at_full_scale_are_counted_in_all_channels():
    samples = np.zeros((1_000, 2), dtype=np.float32)
    samples[10:20, 0], samples[30:35, 1] = 1.0, -1.0
    reader = AudioReader(content(samples))
    list(reader)
    assert reader.num_clipped == 15


@pytest.mark.parametrize("form", ["wav", "mp3"])
def test_a_file_that_ends_before_its_header_says_is_known_for_it(noise, form):
    data = content(noise, form=form)
    for part, is_truncated in ((data, False), (data[: len(data) // 2], True)):
        reader = AudioReader(part)
        list(reader)
        assert reader.is_truncated == is_truncated


def test_a_wav_whose_writer_did_not_know_its_length_is_not_truncated(noise):
    data = bytearray(content(noise))
    place = data.index(b"data")
    struct.pack_into("<I", data, place + 4, 0xFFFFFFFF)
    reader = AudioReader(bytes(data))
    assert sum(len(block) for block in reader) == 40_000 and not reader.is_truncated


@pytest.mark.parametrize(
    "data", [b"", b"RIFF", b"not audio at all", bytes(1_000)], ids=["empty", "cut", "text", "zeros"]
)
def test_what_is_no_audio_is_one_line_that_names_it(data):
    with pytest.raises(DataError, match=r"^the upload must be audio") as caught:
        list(AudioReader(data, name="the upload"))
    assert "\n" not in str(caught.value)


def test_a_truncated_flac_is_refused(noise):
    data = content(noise, form="flac")
    with pytest.raises(DataError, match="must be audio"):
        list(AudioReader(data[: len(data) // 2]))


def test_a_long_file_is_refused_by_its_header_before_it_is_decoded():
    """Ten hours of silence are few bytes of flac."""
    data = content(np.zeros(16_000 * 60, dtype=np.int16), form="flac")
    assert len(data) < 20_000
    tracemalloc.start()
    with pytest.raises(DataError, match="at most 10 s, but has 60"):
        list(AudioReader(data, max_duration_s=10))
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


def test_many_channels_take_no_more_memory_than_one():
    data = content(np.zeros((16_000, 64), dtype=np.int16))
    blocks = [len(block) for block in AudioReader(data)]
    assert max(blocks) <= audio_reader._BLOCK_VALUES // 64 and sum(blocks) == 16_000


def test_a_rate_that_no_recorder_has_is_refused_by_name():
    data = bytearray(content(np.zeros(1_000, dtype=np.int16)))
    struct.pack_into("<I", data, 24, 2**31 - 1)
    with pytest.raises(DataError, match=r"^the upload: The sample rate must be"):
        list(AudioReader(bytes(data), name="the upload"))
