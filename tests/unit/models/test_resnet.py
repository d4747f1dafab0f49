import pytest
import torch
from torch.nn import functional as F

from emorec_lobes.errors import ConfigError
from emorec_lobes.models.resnet import ResNet

from .conftest import (
    assert_neighbours_and_padding_change_no_map,
    batch_of,
    masking_of_each_convolution,
    widths_behind_each_block,
    with_random_statistics,
)

SMALL = [3, 4, 5, 6, 6]
COUNTS = [1, 2, 15, 16, 17, 33]


def resnet(channels=SMALL, blocks=2, first_kernel_size=7, masked_norm=True):
    return with_random_statistics(lambda: ResNet(channels, first_kernel_size, blocks, masked_norm))


def test_it_has_the_papers_number_of_parameters_layer_by_layer():
    model = ResNet([16, 32, 64, 128, 128], first_kernel_size=7, blocks_per_stage=2, masked_norm=True)
    assert sum(parameter.numel() for parameter in model.parameters()) == 1_031_024
    kernels = [tuple(each.shape) for each in model.parameters() if each.dim() == 4]
    expected = [(16, 1, 7, 7)]
    for width, next_width in ((16, 32), (32, 64), (64, 128), (128, 128)):
        expected += [(width, width, 3, 3)] * 4 + [(next_width, width, 3, 3)]
    assert kernels == expected
    strided = [name for name, each in model.named_modules() if getattr(each, "stride", None) == (2, 2)]
    assert strided == [f"blocks.transition{number}.conv.conv" for number in (1, 2, 3, 4)]


def test_two_seconds_of_41_filter_banks_end_as_3_frequencies_and_13_frames():
    model = ResNet([16, 32, 64, 128, 128], first_kernel_size=7, blocks_per_stage=2, masked_norm=True).eval()
    with torch.no_grad():
        output = model(torch.rand(1, 200, 41))
    assert output.feature_map.shape == (1, 128, 3, 13) == (1, model.output_dim, 3, 13)
    assert output.mask is None and output.splits == {}


@torch.no_grad()
def test_it_is_table_1_written_out():
    """Convolutions, statistics and sums one after the other, from the state dict alone."""
    model = resnet()
    state = model.state_dict()

    def conv(name, hidden, stride=1):
        kernel = state[f"{name}.conv.weight"]
        hidden = F.conv2d(hidden, kernel, stride=stride, padding=kernel.shape[2] // 2)
        mean, variance = state[f"{name}.norm.running_mean"], state[f"{name}.norm.running_var"]
        return F.batch_norm(hidden, mean, variance, state[f"{name}.norm.weight"], state[f"{name}.norm.bias"])

    features = torch.randn(2, 21, 9)
    hidden = conv("blocks.conv1.conv", features.transpose(1, 2).unsqueeze(1)).relu()
    for stage in (1, 2, 3, 4):
        for block in (0, 1):
            name = f"blocks.stage{stage}.{block}"
            hidden = (hidden + conv(f"{name}.second", conv(f"{name}.first", hidden).relu())).relu()
        hidden = conv(f"blocks.transition{stage}.conv", hidden, stride=2).relu()
    torch.testing.assert_close(model(features).feature_map, hidden)


@torch.no_grad()
@pytest.mark.parametrize("filler", [0.0, 7.5, float("nan")])
@pytest.mark.parametrize("num_frames", [33, 50])
def test_neither_its_neighbours_nor_what_stands_behind_it_change_a_map(filler, num_frames):
    output = assert_neighbours_and_padding_change_no_map(resnet(), COUNTS, num_frames, filler)
    assert output.mask.sum(dim=1).tolist() == [1, 1, 1, 1, 2, 3]


@torch.no_grad()
def test_frames_are_halved_and_rounded_up_at_every_transition():
    model, counts = resnet(), {}
    for name, block in model.blocks.items():
        block.register_forward_hook(
            lambda module, inputs, output, name=name: counts.update({name: output[1].sum(dim=1).tolist()})
        )
    model(*batch_of(COUNTS, 40))
    for stage, expected in enumerate(
        ([1, 2, 15, 16, 17, 33], [1, 1, 8, 8, 9, 17], [1, 1, 4, 4, 5, 9], [1, 1, 2, 2, 3, 5]), start=1
    ):
        assert counts[f"stage{stage}"] == expected
    assert counts["transition4"] == [1, 1, 1, 1, 2, 3]


@pytest.mark.parametrize("masked_norm", [True, False])
def test_in_training_the_length_of_the_batch_does_not_matter_unless_masking_is_off(masked_norm):
    maps = []
    for num_frames in (33, 50):
        model = resnet(masked_norm=masked_norm).train()
        maps.append(model(*batch_of(COUNTS, num_frames)).feature_map[..., :3])
        maps.append(model.blocks["stage4"][1].second.norm.running_var)
    assert torch.allclose(maps[0], maps[2], atol=1e-4) == masked_norm
    assert torch.allclose(maps[1], maps[3], atol=1e-5) == masked_norm


@pytest.mark.parametrize("blocks", [1, 3])
def test_a_stage_has_as_many_blocks_as_it_is_told(blocks):
    model = resnet(blocks=blocks)
    assert [len(model.blocks[f"stage{number}"]) for number in (1, 2, 3, 4)] == [blocks] * 4


def test_widths_are_those_of_the_maps_behind_each_block():
    model = resnet()
    found = widths_behind_each_block(model)
    assert model.widths == found and model.output_dim == found["transition4"]


@pytest.mark.parametrize("masked_norm", [True, False])
def test_masking_of_the_statistics_is_on_or_off_in_every_convolution(masked_norm):
    assert masking_of_each_convolution(resnet(masked_norm=masked_norm)) == [masked_norm] * 21


def test_every_parameter_gets_a_gradient():
    model = resnet().train()
    model(*batch_of(COUNTS, 40)).feature_map.square().sum().backward()
    without = [name for name, each in model.named_parameters() if not each.grad.abs().sum() > 0]
    assert without == []


def test_half_precision_features_are_computed_with_in_full():
    model, (features, lens) = resnet(), batch_of(COUNTS, 40)
    expected = model(features.half().float(), lens).feature_map
    assert torch.equal(model(features.half(), lens).feature_map, expected)


def test_what_cannot_be_used_is_refused():
    with pytest.raises(ConfigError, match=r"`channels` must have an entry for each stage.* has 1 instead"):
        resnet(channels=[16])
    with pytest.raises(ConfigError, match="`kernel_size` must be odd, but is 6 instead"):
        resnet(first_kernel_size=6)
