import math

import numpy as np
import pytest
import torch
from torchaudio.compliance import kaldi

from emorec_lobes.errors import ConfigError, DataError
from emorec_lobes.features.fbank import FilterBank, mel_filters


def noise(num_samples, seed=0, gain=0.1):
    return torch.randn(num_samples, generator=torch.Generator().manual_seed(seed)) * gain


@pytest.mark.parametrize(("num_mels", "window_ms", "hop_ms"), [(40, 40.0, 10.0), (23, 25.0, 10.0), (64, 32.0, 8.0)])
@pytest.mark.parametrize("offset", [0.0, 0.3])
def test_it_is_kaldis_filter_bank_with_the_energy_last(num_mels, window_ms, hop_ms, offset):
    wave = noise(16_000) + offset
    expected = kaldi.fbank(
        wave.unsqueeze(0),
        num_mel_bins=num_mels,
        frame_length=window_ms,
        frame_shift=hop_ms,
        window_type="hamming",
        use_energy=True,
        energy_floor=0.0,
        htk_compat=True,
    )

    found = FilterBank(num_mels, window_ms, hop_ms)(wave.unsqueeze(0))[0]

    assert found.shape == expected.shape
    assert torch.allclose(found, expected, atol=1e-3)
    assert (found - expected).abs().mean() < 1e-5


def test_every_value_of_a_frame_follows_from_the_formulas_in_a_slow_loop():
    wave = noise(1_000).double().numpy()
    frame = wave[160:800] - wave[160:800].mean()  # the second frame
    emphasised = [frame[0] * (1 - 0.97)] + [frame[n] - 0.97 * frame[n - 1] for n in range(1, 640)]
    windowed = [(0.54 - 0.46 * math.cos(2 * math.pi * n / 639)) * value for n, value in enumerate(emphasised)]
    power = np.abs(np.fft.fft(windowed, 1024)) ** 2

    def mel(hertz):
        return 1127 * math.log(1 + hertz / 700)

    step = (mel(8_000) - mel(20)) / 41
    expected = []
    for band in range(40):
        left, middle, right = (mel(20) + (band + side) * step for side in (0, 1, 2))
        energy = 0.0
        for index in range(513):
            position = mel(index * 16_000 / 1024)
            if left < position < right:
                rising = position <= middle
                energy += power[index] * ((position - left) if rising else (right - position)) / step
        expected.append(math.log(energy))

    found = FilterBank()(torch.from_numpy(wave).float().unsqueeze(0))[0, 1]

    assert np.allclose(found[:40], expected, atol=1e-4)


def test_the_last_value_is_the_log_energy_of_the_frame_without_its_mean():
    wave = torch.tensor([0.25, 0.75] * 320).unsqueeze(0)  # 0.5, and a quarter up and down

    assert math.isclose(FilterBank()(wave)[0, 0, 40], math.log(640 * 0.25**2), rel_tol=1e-5)


def test_digital_silence_is_finite_and_the_level_of_rounding_noise():
    found = FilterBank()(torch.zeros(1, 1_600))

    assert torch.equal(found, torch.full((1, 7, 41), math.log(torch.finfo(torch.float32).eps)))


@pytest.mark.parametrize(("num_samples", "num_frames"), [(639, 0), (640, 1), (799, 1), (800, 2), (16_000, 97)])
def test_a_frame_is_there_where_its_whole_window_is(num_samples, num_frames):
    bank = FilterBank()

    assert bank.num_frames(num_samples) == num_frames
    if num_frames:
        assert bank(torch.zeros(1, num_samples)).shape == (1, num_frames, 41)


def test_a_tone_is_loudest_in_its_own_band():
    tone = torch.sin(2 * math.pi * 1_000 * torch.arange(16_000) / 16_000)

    bands = FilterBank()(tone.unsqueeze(0))[0, 50, :40]

    centres = torch.linspace(1127 * math.log(1 + 20 / 700), 1127 * math.log(1 + 8_000 / 700), 42)[1:-1]
    assert bands.argmax() == (centres - 1127 * math.log(1 + 1_000 / 700)).abs().argmin()


def test_a_batch_is_its_singles_whatever_lies_in_the_padding():
    waves = [noise(count, seed=count) for count in (640, 5_000, 7_999, 16_000)]
    batch = torch.full((4, 16_000), 1e3)
    for row, wave in zip(batch, waves, strict=True):
        row[: len(wave)] = wave
    bank = FilterBank()

    found = bank(batch, torch.tensor([len(wave) / 16_000 for wave in waves]))

    for row, wave in zip(found, waves, strict=True):
        num_frames = bank.num_frames(len(wave))
        assert torch.allclose(row[:num_frames], bank(wave.unsqueeze(0))[0], atol=1e-5)
        assert not row[num_frames:].any()


def test_the_centre_of_a_frame_is_where_a_click_is_loudest_in_it():
    bank = FilterBank()
    wave = torch.zeros(1, 4_000)
    wave[0, bank.centres(20)[7]] = 1.0

    assert bank(wave)[0, :, 20].argmax() == 7


def test_training_in_half_precision_changes_nothing():
    wave, bank = noise(4_000).unsqueeze(0), FilterBank()

    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = bank(wave)

    assert torch.equal(found, bank(wave))


def test_waves_shorter_than_a_window_are_refused():
    with pytest.raises(DataError, match="`waves` must hold at least 640 samples, one window, but hold 639 instead"):
        FilterBank()(torch.zeros(2, 639))


@pytest.mark.parametrize("window_ms", [0.0, -40.0, 40.01, float("inf")])
def test_a_window_that_is_no_whole_number_of_samples_is_refused(window_ms):
    with pytest.raises(ConfigError, match=f"`window_ms` must be a whole number of samples .* but is {window_ms}"):
        FilterBank(window_ms=window_ms)


@pytest.mark.parametrize("num_mels", [0, 400])
def test_bands_that_hold_no_frequency_are_refused(num_mels):
    with pytest.raises(ConfigError, match=f"`num_mels` must be 1 or more, .* but is {num_mels} instead"):
        FilterBank(num_mels=num_mels)


def test_the_bands_share_every_frequency_between_the_outer_centres():
    filters = mel_filters(40, 1024)
    first, last = filters[:, 0].argmax() + 1, filters[:, 39].argmax() - 1

    assert torch.allclose(filters[first : last + 1].sum(dim=1), torch.ones(int(last - first + 1)), atol=1e-5)
