"""SpecAugment drops the same things in all layers and nothing else; a wave's augmentation depends on its seed alone."""

import pickle
import random

import pytest
import torch
from speechbrain.augment.augmenter import Augmenter
from speechbrain.augment.freq_domain import SpectrogramDrop
from speechbrain.augment.time_domain import AddNoise, DropChunk, DropFreq, SpeedPerturb
from torch import nn

from emorec_lobes.errors import ConfigError
from emorec_lobes.models.augmentation import SpecAugment, WaveAugment

WAVE = torch.sin(torch.arange(16_000) / 7)


def both(**options):
    drops = [SpectrogramDrop(dim=1), SpectrogramDrop(dim=2, drop_length_high=30)]
    return Augmenter(min_augmentations=2, augmentations=drops, **options)


def waves(**options):
    augmentations = [SpeedPerturb(16_000, [90, 110]), AddNoise(snr_low=5, snr_high=30), DropFreq(), DropChunk()]
    return WaveAugment(Augmenter(augmentations=augmentations, **options))


@pytest.mark.parametrize("seed", range(5))
def test_whole_frames_and_whole_features_become_zero_and_all_else_stays(seed):
    torch.manual_seed(seed)
    layers = torch.rand(4, 50, 3, 40) + 1
    before = layers.clone()
    augmented = SpecAugment(both())(layers)
    assert torch.equal(layers, before), "the batch itself must stay as it is"
    for item, original in zip(augmented, layers, strict=True):
        frame_stays = [bool(frame.any()) for frame in item]
        feature_stays = [bool(item[:, :, feature].any()) for feature in range(40)]
        assert 0 < sum(frame_stays) < 50 and 0 < sum(feature_stays) < 40
        for frame in range(50):
            for feature in range(40):
                expected = original[frame, :, feature] * (frame_stays[frame] and feature_stays[feature])
                assert torch.equal(item[frame, :, feature], expected)


def test_each_item_loses_something_else():
    augmented = SpecAugment(both())(torch.ones(8, 96, 2, 256))
    assert len({tuple(item.flatten().tolist()) for item in augmented}) == 8


def test_what_is_dropped_is_one_stretch_of_the_length_asked_for():
    augment = SpecAugment(
        Augmenter(augmentations=[SpectrogramDrop(drop_length_low=4, drop_length_high=5, drop_count_high=1)])
    )
    lengths = set()
    for _ in range(50):
        [dropped] = [(item[:, 0, 0] == 0).nonzero().flatten() for item in augment(torch.ones(1, 20, 2, 3))]
        assert torch.equal(dropped, torch.arange(dropped[0], dropped[0] + len(dropped)))
        assert len(dropped) == 4 or dropped[-1] == 19
        lengths.add(len(dropped))
    assert 4 in lengths


def test_half_precision_layers_stay_so():
    assert SpecAugment(both())(torch.ones(2, 30, 3, 40).half()).dtype == torch.float16


def test_half_precision_layers_are_augmented_under_mixed_precision_as_without_it():
    augment = SpecAugment(
        Augmenter(min_augmentations=2, augmentations=[SpectrogramDrop(dim=1), SpectrogramDrop(dim=2)])
    )
    layers = torch.rand(3, 40, 2, 16).half() + 1

    def augmented():
        torch.manual_seed(1)
        random.seed(1)
        return augment(layers)

    with torch.autocast("cpu", torch.bfloat16):
        mixed = augmented()
    assert (mixed == 0).any()
    assert torch.equal(mixed, augmented())


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"concat_original": True}, "concat_original"),
        ({"parallel_augment": True}, "parallel_augment"),
        ({"repeat_augment": 2}, "repeat_augment"),
        ({"augment_start_index": 1}, "augment_start_index"),
        ({"augment_end_index": 1}, "augment_end_index"),
    ],
)
@pytest.mark.parametrize("kind", [SpecAugment, WaveAugment])
def test_what_would_change_the_items_of_a_batch_is_refused_by_name(kind, options, name):
    with pytest.raises(ConfigError, match=f"^`{name}` of an Augmenter must be .* but is .* instead. Leave it out.$"):
        kind(both(**options))


@pytest.mark.parametrize("drop", [SpectrogramDrop(replace="mean"), SpectrogramDrop(5, 5), DropFreq()])
def test_what_does_more_than_drop_or_nothing_at_all_is_refused(drop):
    with pytest.raises(ConfigError, match="`layer_augment` must hold SpectrogramDrops"):
        SpecAugment(Augmenter(augmentations=[drop]))


@pytest.mark.parametrize("augment_prob", [1.0, 0.5])
def test_layers_are_augmented_by_no_draw_but_those_of_torch_and_python(augment_prob):
    augment = SpecAugment(both(augment_prob=augment_prob, shuffle_augmentations=True))
    torch.manual_seed(3)
    random.seed(3)
    states = torch.get_rng_state(), random.getstate()
    first = [augment(torch.ones(2, 30, 2, 40)) for _ in range(6)]
    torch.set_rng_state(states[0])
    random.setstate(states[1])
    assert all(torch.equal(augment(torch.ones(2, 30, 2, 40)), item) for item in first)


def test_a_wave_is_augmented_by_its_seed_whatever_came_before():
    augment = waves(shuffle_augmentations=True, max_augmentations=2)
    alone = {seed: waves(shuffle_augmentations=True, max_augmentations=2)(WAVE, seed) for seed in range(8)}
    for seed in reversed(alone):
        torch.rand(seed)
        random.random()
        assert torch.equal(augment(WAVE, seed), alone[seed])
    assert len({tuple(wave.tolist()) for wave in alone.values()}) > 4
    assert len({len(wave) for wave in alone.values()}) > 1


def test_augmenting_a_wave_moves_no_random_state():
    torch_state, python_state = torch.get_rng_state(), random.getstate()
    waves(shuffle_augmentations=True, augment_prob=0.5)(WAVE, 2**64 - 1)
    assert torch.equal(torch.get_rng_state(), torch_state) and random.getstate() == python_state


def test_an_augmentation_that_remembers_is_new_for_each_wave():
    class Louder(nn.Module):
        """As AddNoise, which goes through its noise files."""

        def __init__(self):
            super().__init__()
            self.calls = 0

        def forward(self, waveforms):
            self.calls += 1
            return waveforms * self.calls

    augment = WaveAugment(Augmenter(augmentations=[Louder()]))
    assert torch.equal(augment(WAVE, 1), WAVE) and torch.equal(augment(WAVE, 1), WAVE)


def test_a_wave_at_90_percent_of_its_speed_is_a_tenth_lower_and_longer():
    slower = WaveAugment(Augmenter(augmentations=[SpeedPerturb(16_000, [90])]))(WAVE, 1)
    assert len(slower) == round(16_000 / 0.9)

    def peak_hz(wave):
        return float(torch.fft.rfft(wave).abs().argmax() * 16_000 / len(wave))

    assert peak_hz(slower) == pytest.approx(0.9 * peak_hz(WAVE), abs=2)


def test_a_worker_process_gets_the_same_augmentation():
    augment = waves()
    assert torch.equal(pickle.loads(pickle.dumps(augment))(WAVE, 5), augment(WAVE, 5))
