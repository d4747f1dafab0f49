"""Which waves share a forward: as many as fit into some seconds on a CPU, all that may elsewhere."""

import sys

import pytest
import torch
from torch import nn

from emorec_lobes.features.huggingface_batch import together
from emorec_lobes.features.huggingface_precision import Precise

SECONDS = (0.5, 3.0, 2.9, 9.0, 2.8, 0.5, 2.7)


@pytest.fixture()
def waves():
    """Waves of some lengths, each with numbers of its own."""
    return [torch.full((round(16_000 * seconds),), float(index + 1)) for index, seconds in enumerate(SECONDS)]


def run(waves, pads, most_samples):
    """What each wave gets, the mean of its own samples, and the shapes of the forwards."""
    shapes = []

    def forward(batch, mask):
        shapes.append(tuple(batch.shape))
        mask = torch.ones(batch.shape) if mask is None else mask
        return (batch * mask).sum(dim=1) / mask.sum(dim=1)

    return torch.stack(together(waves, forward, pads, most_samples)), shapes


@pytest.mark.parametrize("most_samples", [1, 8 * 16_000, sys.maxsize])
@pytest.mark.parametrize("pads", [True, False])
def test_each_wave_gets_its_own_and_is_asked_once(waves, pads, most_samples):
    found, shapes = run(waves, pads, most_samples)

    assert torch.equal(found, torch.arange(1.0, len(waves) + 1))
    assert sum(size for size, _ in shapes) == len(waves)


def test_a_forward_is_of_so_many_samples_with_its_padding_or_of_one_wave(waves):
    _, shapes = run(waves, True, 8 * 16_000)

    assert all(size == 1 or size * samples <= 8 * 16_000 for size, samples in shapes)
    assert sorted(shapes) == [(1, 144_000), (2, 8_000), (2, 44_800), (2, 48_000)]


def test_without_an_end_a_forward_is_of_all_that_are_of_about_one_length(waves):
    _, shapes = run(waves, True, sys.maxsize)

    assert sorted(shapes) == [(1, 144_000), (2, 8_000), (4, 48_000)]


def test_without_a_mask_only_waves_of_one_length_share_a_forward(waves):
    _, shapes = run(waves, False, sys.maxsize)

    assert sorted(shapes) == [(1, 43_200), (1, 44_800), (1, 46_400), (1, 48_000), (1, 144_000), (2, 8_000)]


@pytest.mark.parametrize(
    ("device", "precision", "seconds"), [("cpu", "fp32", 8), ("cpu", "bf16", 32), ("meta", "fp32", None)]
)
def test_what_a_forward_takes_at_most_is_the_processors(device, precision, seconds):
    found = Precise(nn.Linear(4, 2, device=device), precision).most_samples

    assert found == (sys.maxsize if seconds is None else seconds * 16_000)
