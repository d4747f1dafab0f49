"""Resampling in chunks is resampling of the whole."""

import numpy as np
import pytest
import torch

from emorec_lobes.errors import DataError
from emorec_lobes.features.resampling import Resampler, to_16_khz

RATES_HZ = (8_000, 11_025, 16_000, 22_050, 44_100, 44_101, 48_000, 96_000, 384_000)


def in_chunks(wave, sample_rate_hz, sizes):
    resampler, parts, start = Resampler(sample_rate_hz), [], 0
    for size in sizes:
        parts.append(resampler.push(wave[start : start + size]))
        start += size
    return torch.cat([*parts, resampler.push(wave[start:]), resampler.finish()])


@pytest.mark.parametrize("sample_rate_hz", RATES_HZ)
def test_chunks_of_any_size_give_what_the_whole_gives(sample_rate_hz):
    generator = np.random.default_rng(0)
    wave = torch.from_numpy(generator.uniform(-1, 1, round(2.3 * sample_rate_hz)).astype(np.float32))
    sizes = [0, 1, *generator.integers(1, sample_rate_hz // 3, 8)]

    found = in_chunks(wave, sample_rate_hz, sizes)

    expected = to_16_khz(wave, sample_rate_hz)
    assert found.shape == expected.shape
    assert (found - expected).abs().max() < 2e-6


def test_what_is_held_does_not_grow():
    resampler = Resampler(44_100)
    held = []
    for _ in range(20):
        resampler.push(torch.zeros(44_100))
        held.append(len(resampler._held))
    assert max(held) < 2_000


def test_a_sample_comes_out_no_later_than_the_stated_delay():
    resampler = Resampler(48_000)
    given = round(resampler.delay_s * 48_000)
    assert len(resampler.push(torch.zeros(given))) > 0


@pytest.mark.parametrize("sample_rate_hz", [0, 999, 384_001, 2**31 - 1])
def test_a_rate_out_of_range_is_refused_before_a_filter_is_made_for_it(sample_rate_hz):
    with pytest.raises(DataError, match="from 1000 to 384000 Hz"):
        Resampler(sample_rate_hz)
