import math

import numpy as np
import pytest
import torch
from torch import nn

from emorec_lobes.errors import ConfigError
from emorec_lobes.lengths import frames_to_mask
from emorec_lobes.models.attribute_disentanglement import AttributeDisentanglement
from emorec_lobes.models.pooling import MODES, MapPooling

COUNTS = torch.tensor([5, 1, 3])
MASK = frames_to_mask(COUNTS, 5)


def pooling_of(mode):
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return MapPooling(mode, num_channels=4, hidden_dim=6).double()


def a_map(seed=2):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(3, 4, 2, 5, generator=generator, dtype=torch.float64) * 3 + 1


def slow_pooling(pooling, feature_map):
    """One item without padding, in NumPy."""
    feature_map = feature_map.numpy()
    if pooling.mode == "average":
        return feature_map.mean(axis=(1, 2))
    if pooling.mode == "mean_std":
        return np.concatenate([feature_map.mean(axis=(1, 2)), np.sqrt(feature_map.var(axis=(1, 2)) + 1e-4)])
    first, _, last = pooling.scores
    weight, bias, vector = (
        part.detach().numpy() for part in (first.weight.flatten(1), first.bias, last.weight.flatten())
    )
    total, shares = np.zeros(len(feature_map)), 0.0
    for bin_ in range(feature_map.shape[1]):
        for frame in range(feature_map.shape[2]):
            values = feature_map[:, bin_, frame]
            share = math.exp(vector @ np.tanh(weight @ values + bias))
            total, shares = total + share * values, shares + share
    return total / shares


@torch.no_grad()
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("filler", [0.0, 1e6, math.nan])
def test_it_pools_the_valid_positions_as_a_slow_computation_of_each_item_alone(mode, filler):
    pooling, feature_map = pooling_of(mode), a_map()
    pooled = pooling(feature_map.masked_fill(~MASK[:, None, None], filler), MASK)
    assert pooled.shape == (3, pooling.output_dim)
    for item, count in enumerate(COUNTS):
        cut = feature_map[item, :, :, :count]
        np.testing.assert_allclose(pooled[item], slow_pooling(pooling, cut), atol=1e-9)
        torch.testing.assert_close(pooling(cut.unsqueeze(0)).squeeze(0), pooled[item])


@pytest.mark.parametrize("mode", MODES)
def test_a_sequence_is_pooled_as_a_map_of_one_frequency(mode):
    pooling, feature_map = pooling_of(mode), a_map()[:, :, :1]
    sequence = feature_map.squeeze(2).transpose(1, 2)
    torch.testing.assert_close(pooling(sequence, MASK), pooling(feature_map, MASK))


@pytest.mark.parametrize("mode", MODES)
def test_gradients_are_finite_and_reach_all_that_is_valid_and_nothing_else(mode):
    pooling = pooling_of(mode)
    feature_map = a_map().masked_fill(~MASK[:, None, None], math.nan).requires_grad_()
    pooling(feature_map, MASK).square().sum().backward()
    reached = feature_map.grad.ne(0).all(dim=1).all(dim=1)
    assert torch.isfinite(feature_map.grad).all()
    assert torch.equal(reached, MASK)
    # More than rounding: a bias that the softmax cancels would get some of that.
    assert all(parameter.grad.abs().sum() > 1e-9 for parameter in pooling.parameters())


def test_a_channel_that_never_moves_has_a_finite_gradient():
    still = torch.ones(2, 4, 2, 5, dtype=torch.float64, requires_grad=True)
    pooling_of("mean_std")(still).sum().backward()
    assert torch.isfinite(still.grad).all()


@pytest.mark.parametrize("mode", MODES)
def test_half_precision_is_pooled_in_single(mode):
    pooling, feature_map = pooling_of(mode).float(), a_map().half()
    assert pooling(feature_map, MASK).dtype == torch.float32
    torch.testing.assert_close(pooling(feature_map, MASK), pooling(feature_map.float(), MASK))


def split_of(seed=2):
    with torch.random.fork_rng():
        torch.manual_seed(3)
        ad = AttributeDisentanglement(
            4, "tf", reduced_dim=2, shared=False, activation=None, bias=True, epsilon=1e-9, stop_gradient=False
        ).double()
        for parameter in ad.parameters():
            nn.init.normal_(parameter)
    return ad(a_map(seed), MASK), ad.norm.beta


@torch.no_grad()
def test_average_pooling_right_behind_ad_sees_nothing_of_instance_normalisation():
    average = pooling_of("average")
    split, beta = split_of()
    residual = split.features - split.normalised
    torch.testing.assert_close(average(split.normalised, MASK), beta.expand(3, 4))
    torch.testing.assert_close(average(split.relevant, MASK), beta + average(split.shares * residual, MASK))
    torch.testing.assert_close(
        average(split.relevant, MASK) + average(split.irrelevant, MASK), average(split.features, MASK) + beta
    )


def behind_a_convolution(feature_map):
    with torch.random.fork_rng():
        torch.manual_seed(4)
        return nn.Conv2d(4, 4, 3, padding=1, bias=False).double()(feature_map).relu()


@torch.no_grad()
@pytest.mark.parametrize(
    ("mode", "through", "seen"),
    [
        ("average", lambda feature_map: feature_map, False),
        ("mean_std", lambda feature_map: feature_map, True),
        ("attentive", lambda feature_map: feature_map, True),
        ("average", behind_a_convolution, True),
    ],
)
def test_other_pooling_or_a_convolution_in_between_lets_the_normalised_part_matter(mode, through, seen):
    pooling = pooling_of(mode)
    (one, _), (other, _) = split_of(seed=2), split_of(seed=5)
    handed_back = one.relevant - one.normalised  # a R, held fixed while IN(F) is that of another input
    pooled = pooling(through(one.normalised + handed_back), MASK)
    exchanged = pooling(through(other.normalised + handed_back), MASK)
    # The item of one frame and two frequencies aside: its normalised form knows two states only.
    difference = (pooled - exchanged)[[0, 2]].abs().amax(dim=1)
    assert (difference > 1e-2).all() if seen else (difference < 1e-6).all()


@torch.no_grad()
def test_mean_and_deviation_of_the_normalised_part_alone_are_the_same_for_every_input():
    pooled = pooling_of("mean_std")(split_of()[0].normalised, MASK)
    torch.testing.assert_close(pooled[0], pooled[2], atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: pooling_of("max"), "`pooling` must be one of average, mean_std, attentive, but is 'max' instead"),
        (lambda: pooling_of("average")(torch.rand(2, 4)), "`features` must be a map"),
    ],
)
def test_what_cannot_be_used_is_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()
