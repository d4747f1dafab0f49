import hashlib

import numpy as np
import pytest
import soundfile
import torch

from emorec_lobes.errors import DataError
from emorec_lobes.features.audio import audio_hash, load_audio

RATES_HZ = (8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000, 44_101)


def sine(frequency_hz, sample_rate_hz, duration_s=1.0):
    times = np.arange(round(sample_rate_hz * duration_s)) / sample_rate_hz
    return 0.5 * np.sin(2 * np.pi * frequency_hz * times)


def interior(wave):
    return np.asarray(wave)[1_600:-1_600]


@pytest.mark.parametrize("sample_rate_hz", RATES_HZ)
def test_a_tone_of_any_sample_rate_arrives_as_the_same_tone_at_16_khz(tmp_path, sample_rate_hz):
    path = tmp_path / "a.wav"
    soundfile.write(path, sine(440, sample_rate_hz), sample_rate_hz, subtype="FLOAT")

    wave = load_audio(path)

    assert wave.dtype == torch.float32
    assert wave.shape == (16_000,)
    assert np.abs(interior(wave) - interior(sine(440, 16_000))).max() < 2e-3


@pytest.mark.parametrize("sample_rate_hz", [22_050, 44_100, 48_000])
def test_a_tone_above_the_new_nyquist_frequency_does_not_come_back_as_another(tmp_path, sample_rate_hz):
    path = tmp_path / "a.wav"
    soundfile.write(path, sine(9_000, sample_rate_hz), sample_rate_hz, subtype="FLOAT")

    left = interior(load_audio(path))

    assert 20 * np.log10(np.sqrt(np.mean(left**2)) / 0.354) < -40


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".mp3"])
@pytest.mark.parametrize("num_channels", [1, 2, 6])
def test_every_format_and_number_of_channels_is_read(tmp_path, suffix, num_channels):
    if suffix == ".mp3" and num_channels > 2:
        pytest.skip("mp3 holds two channels")
    path = tmp_path / f"a{suffix}"
    tone = sine(440, 16_000)
    soundfile.write(path, np.repeat(tone[:, None], num_channels, axis=1), 16_000)

    wave = load_audio(path)

    assert len(wave) == pytest.approx(16_000, abs=1_200)  # mp3 pads
    spectrum = np.abs(np.fft.rfft(wave[:16_000].numpy(), 16_000))
    assert spectrum.argmax() == 440
    assert wave.abs().max() == pytest.approx(0.5, abs=0.05)


def test_channels_are_averaged(tmp_path):
    path = tmp_path / "a.wav"
    left, right = np.random.default_rng(0).uniform(-1, 1, (2, 1_000)).astype(np.float32)
    soundfile.write(path, np.stack([left, right], axis=1), 16_000, subtype="FLOAT")

    assert np.allclose(load_audio(path), (left + right) / 2, atol=1e-7)


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg"])
def test_a_part_is_the_same_samples_as_that_part_of_the_whole(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    soundfile.write(path, np.random.default_rng(0).uniform(-0.5, 0.5, 32_000), 16_000)
    whole = load_audio(path)

    assert torch.equal(load_audio(path, start=0.5, stop=1.25), whole[8_000:20_000])
    assert torch.equal(load_audio(path, start=1.5), whole[24_000:])
    assert torch.equal(load_audio(path, stop=0.1), whole[:1_600])


def test_400_samples_are_enough_and_399_are_not(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(400), 16_000)
    soundfile.write(tmp_path / "b.wav", np.zeros(399), 16_000)

    assert load_audio(tmp_path / "a.wav").shape == (400,)
    with pytest.raises(DataError, match="at least 400 samples at 16 kHz"):
        load_audio(tmp_path / "b.wav")


def _missing(path):
    pass


def _no_bytes(path):
    path.write_bytes(b"")


def _text(path):
    path.write_text("this is not audio at all")


def _no_samples(path):
    soundfile.write(path, np.zeros(0), 16_000)


def _not_a_number(path):
    samples = np.zeros(1_000)
    samples[500] = np.nan
    soundfile.write(path, samples, 16_000, subtype="FLOAT")


def _infinite(path):
    soundfile.write(path, np.full(1_000, np.inf), 16_000, subtype="FLOAT")


@pytest.mark.parametrize("make", [_missing, _no_bytes, _text, _no_samples, _not_a_number, _infinite])
def test_a_bad_file_is_one_line_that_names_it(tmp_path, make):
    path = tmp_path / "bad.wav"
    make(path)

    with pytest.raises(DataError) as caught:
        load_audio(path)

    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("start", "stop"), [(5.0, 6.0), (0.5, 0.5), (0.8, 0.2)])
def test_an_empty_part_is_refused_with_its_bounds(tmp_path, start, stop):
    soundfile.write(tmp_path / "a.wav", np.zeros(16_000), 16_000)

    with pytest.raises(DataError, match=rf"a\.wav \({start} s to {stop} s\)"):
        load_audio(tmp_path / "a.wav", start, stop)


def test_the_same_samples_have_the_same_hash_in_any_lossless_format(tmp_path):
    samples = np.random.default_rng(0).integers(-3_000, 3_000, 5_000).astype(np.int16)
    for name in ("a.wav", "b.flac"):
        soundfile.write(tmp_path / name, samples, 16_000)

    hashes = {audio_hash(load_audio(tmp_path / name)) for name in ("a.wav", "b.flac")}

    assert hashes == {hashlib.sha256((samples / 32_768).astype(np.float32).tobytes()).hexdigest()}


def test_one_sample_makes_another_hash():
    wave = torch.zeros(1_000)
    changed = wave.clone()
    changed[999] = 2**-15

    assert audio_hash(wave) != audio_hash(changed)
