import pytest
import torch
from torch import nn

from emorec_lobes.errors import ConfigError
from emorec_lobes.models.vgg import VGG

from .conftest import (
    assert_neighbours_and_padding_change_no_map,
    batch_of,
    masking_of_each_convolution,
    widths_behind_each_block,
    with_random_statistics,
)

COUNTS = [1, 2, 4, 5, 7, 13]


def vgg(channels=(3, 4, 5, 6, 7), pooled=(2, 3), masked_norm=True):
    return with_random_statistics(lambda: VGG(channels, pooled, masked_norm))


def test_the_papers_five_convolutions_have_92784_parameters():
    model = VGG([16, 32, 48, 64, 80], pooled=[2, 3], masked_norm=True)
    kernels = 9 * (1 * 16 + 16 * 32 + 32 * 48 + 48 * 64 + 64 * 80)
    assert sum(parameter.numel() for parameter in model.parameters()) == kernels + 2 * 240 == 92_784
    with torch.no_grad():
        assert model(torch.rand(1, 200, 41)).feature_map.shape == (1, 80, 11, 50)


@torch.no_grad()
def test_it_is_convolution_normalisation_relu_and_pooling_behind_the_second_and_third():
    model, layers, width = vgg(), [], 1
    for number, block in enumerate(model.blocks.values(), start=1):
        conv = nn.Conv2d(width, number + 2, 3, padding=1, bias=False)
        conv.load_state_dict(block.conv.conv.state_dict())
        norm = nn.BatchNorm2d(number + 2)
        norm.load_state_dict(block.conv.norm.state_dict())
        layers += [conv, norm, nn.ReLU(), *([nn.MaxPool2d(2)] if number in (2, 3) else [])]
        width = number + 2
    features = torch.randn(2, 16, 8)  # even sizes: nothing is left over
    expected = nn.Sequential(*layers).eval()(features.transpose(1, 2).unsqueeze(1))
    torch.testing.assert_close(model(features).feature_map, expected)


@torch.no_grad()
@pytest.mark.parametrize("filler", [0.0, 7.5, float("nan")])
@pytest.mark.parametrize("num_frames", [13, 20])
def test_neither_its_neighbours_nor_what_stands_behind_it_change_a_map(filler, num_frames):
    output = assert_neighbours_and_padding_change_no_map(vgg(), COUNTS, num_frames, filler)
    assert output.mask.sum(dim=1).tolist() == [1, 1, 1, 2, 2, 4]  # halved twice, rounded up


def test_in_training_the_length_of_the_batch_does_not_matter():
    short, long = (vgg().train()(*batch_of(COUNTS, num_frames)).feature_map for num_frames in (13, 20))
    torch.testing.assert_close(short, long[..., :4], atol=1e-5, rtol=1e-4)


def test_widths_are_those_of_the_maps_behind_each_block():
    model = vgg()
    found = widths_behind_each_block(model)
    assert model.widths == found and model.output_dim == found["conv5"]


@pytest.mark.parametrize("masked_norm", [True, False])
def test_masking_of_the_statistics_is_on_or_off_in_every_convolution(masked_norm):
    assert masking_of_each_convolution(vgg(masked_norm=masked_norm)) == [masked_norm] * 5


def test_every_parameter_gets_a_gradient():
    model = vgg().train()
    model(*batch_of(COUNTS, 20)).feature_map.square().sum().backward()
    assert [name for name, each in model.named_parameters() if not each.grad.abs().sum() > 0] == []


def test_what_cannot_be_used_is_refused():
    with pytest.raises(ConfigError, match="`channels` must not be empty"):
        vgg(channels=[])
    with pytest.raises(ConfigError, match=r"`pooled` must be numbers of convolutions, 1 to 5, but is \[0, 2\] instead"):
        vgg(pooled=[0, 2])
