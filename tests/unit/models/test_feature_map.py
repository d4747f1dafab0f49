import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from emorec_lobes.errors import ConfigError
from emorec_lobes.lengths import frames_to_mask
from emorec_lobes.models.feature_map import MapConv, as_map, as_sequence, halve_mask, masked_mean, zero_padding

COUNTS = torch.tensor([7, 1, 4])
MASK = frames_to_mask(COUNTS, 7)


def a_map(channels=2, num_frames=7):
    return torch.randn(3, channels, 5, num_frames, generator=torch.Generator().manual_seed(1))


def conv(stride=1, masked_norm=True):
    """With random statistics, so that what it makes of zeros is not zero."""
    with torch.random.fork_rng():
        torch.manual_seed(2)
        block = MapConv(2, 3, kernel_size=3, stride=stride, masked_norm=masked_norm)
        nn.init.normal_(block.norm.bias)
        nn.init.normal_(block.norm.running_mean)
    return block


def test_a_sequence_becomes_a_map_of_one_frequency_and_comes_back():
    sequence = torch.randn(2, 6, 3)
    feature_map = as_map(sequence)
    assert feature_map.shape == (2, 3, 1, 6)
    assert feature_map[1, 2, 0, 4] == sequence[1, 4, 2]
    assert torch.equal(as_sequence(feature_map), sequence)


@pytest.mark.parametrize("over_frequency", [False, True])
def test_the_mean_is_that_of_the_valid_frames_cut_out(over_frequency):
    feature_map = a_map()
    means = masked_mean(feature_map, MASK, over_frequency)
    for item, count in enumerate(COUNTS):
        cut = feature_map[item : item + 1, :, :, :count]
        expected = cut.mean(dim=(2, 3), keepdim=True) if over_frequency else cut.mean(dim=3, keepdim=True)
        torch.testing.assert_close(means[item : item + 1], expected)
        torch.testing.assert_close(masked_mean(cut, None, over_frequency), expected)


def test_an_item_without_a_valid_frame_has_a_mean_of_zero():
    assert not masked_mean(a_map(), torch.zeros(3, 7, dtype=torch.bool), over_frequency=True).any()


def test_padding_is_zero_whatever_stood_there():
    spoilt = a_map().masked_fill(~MASK[:, None, None], math.nan)
    assert torch.equal(zero_padding(spoilt, MASK), a_map() * MASK[:, None, None])
    assert torch.equal(zero_padding(a_map(), None), a_map())


@pytest.mark.parametrize("num_frames", range(1, 10))
def test_a_stride_of_two_keeps_half_the_frames_rounded_up(num_frames):
    for length in range(num_frames, 12):
        halved = halve_mask(frames_to_mask(torch.tensor([num_frames]), length))
        assert halved.shape[1] == -(-length // 2)
        assert halved.sum() == -(-num_frames // 2)
        assert halved[0, : halved.sum()].all()


@pytest.mark.parametrize("stride", [1, 2])
def test_an_utterance_in_a_padded_batch_is_convolved_as_if_it_were_alone(stride):
    block, feature_map = conv(stride).eval(), zero_padding(a_map(), MASK)
    together, mask = block(feature_map, MASK)
    for item, count in enumerate(COUNTS):
        alone, none = block(feature_map[item : item + 1, :, :, :count], None)
        assert none is None
        assert mask[item].sum() == alone.shape[3]
        torch.testing.assert_close(together[item : item + 1, :, :, : alone.shape[3]], alone)
    assert not together.masked_select(~mask[:, None, None]).any()


def test_without_a_mask_it_is_a_convolution_and_two_dimensional_batch_normalisation():
    block, feature_map = conv(stride=2), a_map()
    plain = nn.BatchNorm2d(3)
    plain.load_state_dict(block.norm.state_dict())
    for train in (True, False):
        block.train(train)
        plain.train(train)
        expected = plain(F.conv2d(feature_map, block.conv.weight, stride=2, padding=1))
        torch.testing.assert_close(block(feature_map, None)[0], expected)
        torch.testing.assert_close(block.norm.running_var, plain.running_var)


@torch.no_grad()
def test_weights_begin_as_he_2015_has_them_by_the_number_of_outputs():
    with torch.random.fork_rng():
        torch.manual_seed(2)
        block = MapConv(in_channels=8, out_channels=64, kernel_size=3, stride=1, masked_norm=True)
    deviation = block.conv.weight.std().item()
    assert deviation == pytest.approx(math.sqrt(2 / (64 * 3 * 3)), rel=0.05)


@pytest.mark.parametrize("stride", [1, 2])
def test_in_training_the_length_of_the_batch_does_not_matter_unless_masking_is_off(stride):
    feature_map = zero_padding(a_map(), MASK)
    longer, longer_mask = F.pad(feature_map, (0, 6)), F.pad(MASK, (0, 6))
    for masked_norm in (True, False):
        one, other = conv(stride, masked_norm), conv(stride, masked_norm)
        hidden, mask = one(feature_map, MASK)
        padded, _ = other(longer, longer_mask)
        padded = padded[..., : hidden.shape[3]]
        assert torch.allclose(hidden, padded, atol=1e-5) == masked_norm
        assert torch.allclose(one.norm.running_var, other.norm.running_var) == masked_norm
        assert not hidden.masked_select(~mask[:, None, None]).any()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MapConv(1, 2, 4, 1, True), "`kernel_size` must be odd, but is 4 instead. Use 5."),
        (lambda: MapConv(1, 2, 3, 3, True), "`stride` must be one of 1, 2, but is '3'"),
        (lambda: as_map(torch.rand(2, 3)), r"`features` must be a map.*shape \(2, 3\) instead"),
    ],
)
def test_what_cannot_be_used_is_refused(make, message):
    with pytest.raises(ConfigError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)
