"""Windows depend on the samples alone, and leave out where nobody speaks."""

import numpy as np
import pytest
import torch

from emorec_lobes.errors import ConfigError
from emorec_lobes.inference.windows import Windows

SECOND = 16_000


def speech(duration_s, level=0.1, seed=0):
    """Noise whose loudness swings as syllables do."""
    generator = np.random.default_rng(seed)
    times = np.arange(round(duration_s * SECOND)) / SECOND
    swing = 1 + np.sin(2 * np.pi * 4 * times)
    return torch.from_numpy((level * swing * generator.standard_normal(len(times))).astype(np.float32))


def in_parts(wave, sizes, **options):
    windows, found, start = Windows(**options), [], 0
    for size in sizes:
        found += windows.push(wave[start : start + size])
        start += size
    return found + windows.push(wave[start:]) + windows.finish()


@pytest.mark.parametrize(("window_s", "shift_s"), [(3.0, 1.0), (2.0, 2.0), (4.0, 0.5)])
@pytest.mark.parametrize("seed", [0, 1])
def test_parts_of_any_size_give_the_windows_of_the_whole(window_s, shift_s, seed):
    wave = torch.cat([speech(7.3), torch.zeros(5 * SECOND), speech(31.2, 0.02, seed=1), speech(3.11, 0.2, seed=2)])
    sizes = np.random.default_rng(seed).integers(0, 2 * SECOND, 30)
    whole = in_parts(wave, [], window_s=window_s, shift_s=shift_s)

    found = in_parts(wave, sizes, window_s=window_s, shift_s=shift_s)

    assert [each[:2] for each in found] == [each[:2] for each in whole] and len(found) > 5
    assert all(torch.equal(a.wave, b.wave) for a, b in zip(found, whole, strict=True))


def test_a_window_is_the_samples_around_its_stretch():
    wave = speech(10)
    for each in in_parts(wave, [], window_s=3.0, shift_s=1.0):
        start, stop = round((each.start_s - 1) * SECOND), round((each.stop_s + 1) * SECOND)
        assert torch.equal(each.wave, wave[max(0, start) : stop])


def test_stretches_follow_each_other_up_to_the_end():
    found = in_parts(speech(5.5), [], window_s=3.0, shift_s=1.0)
    assert [each.start_s for each in found] == [0, 1, 2, 3, 4, 5]
    assert [each.stop_s for each in found] == [1, 2, 3, 4, 5, 5.5]


@pytest.mark.parametrize("level", [0.0, 1e-4])
def test_pauses_digital_or_in_faint_noise_are_left_out(level):
    pause = level * torch.randn(20 * SECOND, generator=torch.Generator().manual_seed(0))
    wave = torch.cat([speech(10), pause, speech(10, seed=1)])
    found = [each.start_s for each in in_parts(wave, [], window_s=3.0, shift_s=1.0)]
    assert found == [*range(10), *range(30, 40)]


def test_pauses_between_words_in_the_noise_of_a_room_are_left_out():
    room = 0.003 * torch.randn(40 * SECOND, generator=torch.Generator().manual_seed(0))
    wave = room.clone()
    for start in (0, 10, 20, 30):
        wave[start * SECOND : (start + 5) * SECOND] += speech(5, seed=start)
    found = [each.start_s for each in in_parts(wave, [], window_s=3.0, shift_s=1.0)]
    spoken = [second for second in range(40) if second % 10 < 5]
    assert set(spoken) <= set(found) and len(found) <= len(spoken) + 4


def test_memory_does_not_grow_with_time():
    windows = Windows(3.0, 1.0)
    sizes = []
    for index in range(30):
        windows.push(speech(5, seed=index))
        sizes.append((len(windows._held), len(windows._energies)))
    assert sizes[-1] == sizes[10] and sizes[-1][0] < 4 * SECOND and sizes[-1][1] < 3_600


@pytest.mark.parametrize(("window_s", "shift_s"), [(1.0, 2.0), (3.0, 0.0), (100.0, 1.0)])
def test_sizes_out_of_range_are_refused(window_s, shift_s):
    with pytest.raises(ConfigError, match="`shift_s` must be"):
        Windows(window_s, shift_s)
