import math

import pytest
import torch
from torch import nn

from emorec_lobes.errors import ConfigError
from emorec_lobes.lengths import frames_to_mask
from emorec_lobes.models.attribute_disentanglement import AttributeDisentanglement, InstanceNorm
from emorec_lobes.models.tf_attention import make_attention

COUNTS = torch.tensor([5, 1, 3])
MASK = frames_to_mask(COUNTS, 5)
PLAIN = {"attention": "tf", "reduced_dim": 2, "shared": False, "activation": None, "bias": True}
KINDS = ["tf", "se", "none"]


def module(**options):
    """In double precision, with random parameters."""
    options = {"num_channels": 4, **PLAIN, "epsilon": 1e-5, "stop_gradient": False, **options}
    with torch.random.fork_rng():
        torch.manual_seed(1)
        ad = AttributeDisentanglement(**options).double()
        for parameter in ad.parameters():
            nn.init.normal_(parameter)
    return ad


def a_map():
    return torch.randn(3, 4, 2, 5, generator=torch.Generator().manual_seed(2), dtype=torch.float64) * 3 + 1


def a_sequence():
    return torch.randn(3, 5, 4, generator=torch.Generator().manual_seed(3), dtype=torch.float64) * 3 + 1


def slow_norm(feature_map, gamma, beta):
    """Equation 1 for one item, by loops."""
    normalised = torch.zeros_like(feature_map)
    channels, bins, frames = (range(size) for size in feature_map.shape)
    for channel in channels:
        values = [feature_map[channel, k, j].item() for k in bins for j in frames]
        mean = sum(values) / len(values)
        deviation = math.sqrt(sum((value - mean) ** 2 for value in values) / len(values) + 1e-5)
        for k in bins:
            for j in frames:
                standard = (feature_map[channel, k, j].item() - mean) / deviation
                normalised[channel, k, j] = gamma[channel].item() * standard + beta[channel].item()
    return normalised


def slow_tf(ad, residual):
    """Equations 5 and 6 for one item, by loops over positions."""
    weights = []
    for convs in (ad.attention.time, ad.attention.frequency):
        weights.append([(conv.weight.flatten(1), conv.bias) for conv in (convs[0], convs[2])])
    answer = torch.zeros_like(residual)
    channels, bins, frames = (range(size) for size in residual.shape)
    for k in bins:
        for j in frames:
            total = 0
            at_time = torch.stack([sum(residual[i, other, j] for other in bins) / len(bins) for i in channels])
            at_bin = torch.stack([sum(residual[i, k, other] for other in frames) / len(frames) for i in channels])
            for strip, ((narrow, bias), (widen, other_bias)) in zip((at_time, at_bin), weights, strict=True):
                total = total + widen @ (narrow @ strip + bias) + other_bias
            answer[:, k, j] = 1 / (1 + torch.exp(-total))
    return answer


def slow_split(ad, feature_map):
    """Equations 1 to 6 for one item alone: IN, a, F+, F-."""
    normalised = slow_norm(feature_map, ad.norm.gamma, ad.norm.beta)
    residual = feature_map - normalised
    shares = slow_tf(ad, residual)
    return normalised, shares, normalised + shares * residual, normalised + (1 - shares) * residual


@torch.no_grad()
def test_a_map_is_split_as_equations_1_to_6_computed_by_loops_over_the_valid_frames():
    ad, feature_map = module(), a_map()
    split = ad(feature_map, MASK)
    for item, count in enumerate(COUNTS):
        expected = slow_split(ad, feature_map[item, :, :, :count])
        parts = (split.normalised, split.shares, split.relevant, split.irrelevant)
        for part, by_hand in zip(parts, expected, strict=True):
            torch.testing.assert_close(part[item, :, :, :count], by_hand)


@torch.no_grad()
def test_a_sequence_is_split_as_a_map_of_one_frequency_and_stays_a_sequence():
    ad, sequence = module(), a_sequence()
    split = ad(sequence, MASK)
    for item, count in enumerate(COUNTS):
        cut = sequence[item, :count].T.unsqueeze(1)  # (T, D) -> (D, 1, T)
        expected = slow_split(ad, cut)
        parts = (split.normalised, split.shares, split.relevant, split.irrelevant)
        for part, by_hand in zip(parts, expected, strict=True):
            torch.testing.assert_close(part[item, :count], by_hand.squeeze(1).T)


def test_normalisation_removes_each_channels_mean_and_deviation_whatever_the_style():
    norm = InstanceNorm(4, epsilon=1e-12).double()
    feature_map = a_map()
    styled = feature_map * torch.tensor([2.0, 0.5, 30.0, 1.0])[:, None, None] + torch.arange(4)[:, None, None] * 100
    normalised = norm(styled, MASK)
    for item, count in enumerate(COUNTS):
        cut = normalised[item, :, :, :count]
        torch.testing.assert_close(cut.mean(dim=(1, 2)), torch.zeros(4, dtype=torch.float64), atol=1e-9, rtol=0)
        torch.testing.assert_close(cut.std(dim=(1, 2), correction=0), torch.ones(4, dtype=torch.float64))
        torch.testing.assert_close(cut, norm(feature_map, MASK)[item, :, :, :count], atol=1e-6, rtol=0)


def test_without_a_mask_it_is_torchs_instance_normalisation():
    ad, feature_map = module(), a_map()
    expected = nn.functional.instance_norm(feature_map, weight=ad.norm.gamma, bias=ad.norm.beta, eps=1e-5)
    torch.testing.assert_close(ad.norm(feature_map), expected)


@pytest.mark.parametrize("options", [{"shared": True}, {"activation": "relu"}, {"bias": False}, {"reduced_dim": 3}])
def test_every_option_reaches_the_part_that_it_is_for(options):
    ad = module(epsilon=0.5, **options)
    split = ad(a_map(), MASK)
    wanted = {**PLAIN, **options}
    attention = make_attention(wanted.pop("attention"), num_channels=4, **wanted).double()
    attention.load_state_dict(ad.attention.state_dict(), strict=True)
    expected = attention(split.features - split.normalised, MASK)
    torch.testing.assert_close(split.shares, expected.masked_fill(~MASK[:, None, None], 0))
    by_torch = nn.functional.instance_norm(a_map(), weight=ad.norm.gamma, bias=ad.norm.beta, eps=0.5)
    torch.testing.assert_close(ad(a_map()).normalised, by_torch)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("make", [a_map, a_sequence])
def test_the_two_halves_add_up_to_the_input_and_its_normalised_form(kind, make):
    split = module(attention=kind)(make(), MASK)
    torch.testing.assert_close(split.relevant + split.irrelevant, split.features + split.normalised)
    residual = split.features - split.normalised
    torch.testing.assert_close(split.relevant - split.irrelevant, (2 * split.shares - 1) * residual)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("filler", [0.0, 1e6, math.nan])
@pytest.mark.parametrize("stop_gradient", [False, True])
def test_an_item_in_a_padded_batch_is_split_as_alone_and_padding_comes_out_as_zeros(kind, filler, stop_gradient):
    ad, feature_map = module(attention=kind, stop_gradient=stop_gradient), a_map()
    split = ad(feature_map.masked_fill(~MASK[:, None, None], filler), MASK)
    assert split.mask is MASK
    for item, count in enumerate(COUNTS):
        alone = ad(feature_map[item : item + 1, :, :, :count])
        for part, other in zip(split[:-1], alone[:-1], strict=True):  # all but the mask
            torch.testing.assert_close(part[item : item + 1, :, :, :count], other)
            assert not part[item, :, :, count:].any()


@pytest.mark.parametrize("kind", KINDS)
def test_what_stands_at_padded_frames_of_a_sequence_moves_neither_values_nor_gradients(kind):
    ad, sequence, gradients = module(attention=kind), a_sequence(), []
    for filler in (0.0, math.nan):
        ad.zero_grad()
        given = sequence.masked_fill(~MASK.unsqueeze(-1), filler).requires_grad_()
        split = ad(given, MASK)
        (split.relevant.square().sum() + split.irrelevant.pow(3).sum()).backward()
        assert not given.grad[~MASK].any()
        gradients.append([given.grad, *(parameter.grad for parameter in ad.parameters())])
    for one, other in zip(*gradients, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_those_of_finite_differences(kind):
    ad = module(attention=kind, num_channels=2, reduced_dim=1)

    def both(feature_map, *parameters):  # gradcheck moves the parameters in place
        split = ad(feature_map, MASK)
        return split.relevant, split.irrelevant

    parameters = tuple(ad.parameters())
    feature_map = a_map()[:, :2].clone()
    assert torch.autograd.gradcheck(
        both, (feature_map.requires_grad_(), *parameters), eps=1e-6, atol=1e-4, fast_mode=True
    )


@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_gets_a_gradient(kind):
    ad = module(attention=kind)
    ad(a_map(), MASK).relevant.square().sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in ad.parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_stopping_the_gradient_of_the_irrelevant_half_trains_the_attention_as_before_and_nothing_else(kind):
    flowing, stopped = module(attention=kind), module(attention=kind, stop_gradient=True)
    feature_map = a_map().requires_grad_()
    one, other = flowing(feature_map, MASK), stopped(feature_map, MASK)
    assert torch.equal(one.irrelevant, other.irrelevant)
    one.irrelevant.square().sum().backward()
    assert feature_map.grad.any()
    feature_map.grad = None
    other.irrelevant.square().sum().backward()
    assert feature_map.grad is None
    assert stopped.norm.gamma.grad is None and stopped.norm.beta.grad is None
    for mine, theirs in zip(flowing.attention.parameters(), stopped.attention.parameters(), strict=True):
        assert mine.grad.abs().sum() > 0
        torch.testing.assert_close(mine.grad, theirs.grad)


def test_stopping_it_leaves_the_gradient_of_the_relevant_half_as_it_is():
    gradients = []
    for stop_gradient in (False, True):
        feature_map = a_map().requires_grad_()
        module(stop_gradient=stop_gradient)(feature_map, MASK).relevant.square().sum().backward()
        gradients.append(feature_map.grad)
    assert torch.equal(*gradients)


def test_half_precision_features_are_split_in_the_precision_of_the_weights():
    ad, features = module().float(), a_map().half()
    assert ad(features, MASK).relevant.dtype == torch.float32
    assert torch.equal(ad(features, MASK).relevant, ad(features.float(), MASK).relevant)


def test_a_channel_that_never_moves_has_finite_gradients():
    still = torch.ones(2, 4, 2, 5, dtype=torch.float64, requires_grad=True)
    module()(still).relevant.square().sum().backward()
    assert torch.isfinite(still.grad).all()


def test_the_papers_sizes_give_the_papers_number_of_parameters():
    ad = module(num_channels=128, reduced_dim=8)
    assert sum(parameter.numel() for parameter in ad.parameters()) == 4368 + 256


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: module(attention="both"), "`attention` must be one of tf, se, none, but is 'both' instead"),
        (lambda: module()(torch.rand(2, 5, 2, 5)), "`num_channels` must be 5.*is 4 instead"),
        (lambda: module()(torch.rand(2, 5, 6)), "`num_channels` must be 6.*is 4 instead"),
        (lambda: module()(torch.rand(2, 5)), "`features` must be a map"),
    ],
)
def test_what_cannot_be_used_is_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


@pytest.mark.parametrize("make", [a_map, a_sequence])
def test_relative_lengths_stand_for_the_mask(make):
    ad = module()
    for part, other in zip(ad(make(), MASK), ad(make(), lengths=COUNTS / 5), strict=True):
        assert torch.equal(part, other)


def test_mask_and_lengths_together_are_refused():
    with pytest.raises(ConfigError, match="`mask` and `lengths` must not both be given"):
        module()(a_map(), MASK, COUNTS / 5)


def test_the_relevant_half_comes_first_as_containers_hand_on_the_first_output():
    split = module()(a_map(), MASK)
    assert split[0] is split.relevant
