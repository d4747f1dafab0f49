import math

import pytest
import torch
from torch import nn

from emorec_lobes.errors import ConfigError
from emorec_lobes.lengths import frames_to_mask
from emorec_lobes.models.tf_attention import TFAttention, make_attention

COUNTS = torch.tensor([5, 1, 3])
MASK = frames_to_mask(COUNTS, 5)
PLAIN = {"num_channels": 4, "reduced_dim": 2, "shared": False, "activation": None, "bias": True}


def attention_of(kind, **options):
    with torch.random.fork_rng():
        torch.manual_seed(1)
        attention = make_attention(kind, **{**PLAIN, **options}).double()
        for parameter in attention.parameters():
            nn.init.normal_(parameter)
    return attention


def a_residual():
    return torch.randn(3, 4, 2, 5, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


def sigmoid(number):
    return 1 / (1 + math.exp(-number))


def narrow_and_widen(convs, vector, relu):
    """1x1 convolutions C -> D -> C of one vector, by loops."""
    for place, conv in ((0, convs[0]), (1, convs[2])):
        biases = conv.bias.tolist() if conv.bias is not None else [0.0] * conv.out_channels
        weights = conv.weight.flatten(1).tolist()
        vector = [
            sum(weight * value for weight, value in zip(row, vector, strict=True)) + bias
            for row, bias in zip(weights, biases, strict=True)
        ]
        if place == 0 and relu:
            vector = [max(value, 0.0) for value in vector]
    return vector


def slow_tf(attention, residual, relu):
    """Equations 5 and 6 for one item, [C][F][T]."""
    residual = residual.tolist()
    channels, bins, frames = range(len(residual)), range(len(residual[0])), range(len(residual[0][0]))
    frequency_convs = attention.time if attention.frequency is None else attention.frequency
    at_time = [
        narrow_and_widen(attention.time, [sum(residual[i][k][j] for k in bins) / len(bins) for i in channels], relu)
        for j in frames
    ]
    at_bin = [
        narrow_and_widen(frequency_convs, [sum(residual[i][k]) / len(frames) for i in channels], relu) for k in bins
    ]
    return torch.tensor(
        [[[sigmoid(at_time[j][i] + at_bin[k][i]) for j in frames] for k in bins] for i in channels],
        dtype=torch.float64,
    )


def slow_se(attention, residual):
    average = [sum(sum(row) for row in channel) / residual[0].numel() for channel in residual.tolist()]
    shares = [sigmoid(value) for value in narrow_and_widen(attention.channels, average, relu=True)]
    return torch.tensor(shares, dtype=torch.float64)[:, None, None].expand_as(residual)


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("activation", [None, "relu"])
@pytest.mark.parametrize("bias", [True, False])
def test_time_frequency_attention_is_equations_5_and_6_over_the_valid_frames(shared, activation, bias):
    attention = attention_of("tf", shared=shared, activation=activation, bias=bias)
    residual = a_residual()
    shares = attention(residual, MASK)
    for item, count in enumerate(COUNTS):
        expected = slow_tf(attention, residual[item, :, :, :count], relu=activation == "relu")
        torch.testing.assert_close(shares[item, :, :, :count], expected)


def test_squeeze_and_excitation_is_one_share_a_channel_from_the_averages_of_the_valid_frames():
    attention, residual = attention_of("se", reduced_dim=4), a_residual()
    shares = attention(residual, MASK)
    assert not torch.allclose(shares[0, :, 0, 0], shares[2, :, 0, 0]), "no unit answers: the averages would not matter"
    for item, count in enumerate(COUNTS):
        expected = slow_se(attention, residual[item, :, :, :count])
        torch.testing.assert_close(shares[item, :, :, :count], expected)


def test_without_attention_the_shares_are_learnt_and_the_same_for_every_input():
    attention, residual = attention_of("none"), a_residual()
    shares = attention(residual, MASK)
    assert torch.equal(shares, attention(residual * 7 + 1))
    torch.testing.assert_close(shares[2, :, 1, 3], attention.raw_shares.sigmoid())
    assert (make_attention("none", **PLAIN)(residual) == 0.5).all()


@pytest.mark.parametrize("kind", ["tf", "se", "none"])
def test_an_item_in_a_padded_batch_gets_the_shares_it_gets_alone(kind):
    attention, residual = attention_of(kind), a_residual()
    spoilt = residual.masked_fill(~MASK[:, None, None], 1e3)
    for item, count in enumerate(COUNTS):
        alone = attention(residual[item : item + 1, :, :, :count])
        torch.testing.assert_close(attention(spoilt, MASK)[item : item + 1, :, :, :count], alone)


@pytest.mark.parametrize(
    ("kind", "options"),
    [("tf", {}), ("tf", {"shared": True}), ("tf", {"bias": False}), ("se", {"reduced_dim": 4}), ("none", {})],
)
def test_every_parameter_gets_a_gradient(kind, options):
    attention = attention_of(kind, **options)
    attention(a_residual(), MASK).square().sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in attention.parameters())


@pytest.mark.parametrize(("shared", "number"), [(False, 4368), (True, 2184)])
def test_the_papers_sizes_give_the_papers_number_of_parameters(shared, number):
    attention = TFAttention(128, reduced_dim=8, shared=shared, activation=None, bias=True)
    assert sum(parameter.numel() for parameter in attention.parameters()) == number


@pytest.mark.parametrize("kind", ["tf", "se"])
def test_bias_says_whether_the_convolutions_have_one(kind):
    for bias in (True, False):
        names = [name for name, _ in attention_of(kind, bias=bias).named_parameters()]
        assert len([name for name in names if name.endswith("bias")]) == (len(names) // 2 if bias else 0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: attention_of("sp"), "`attention` must be one of tf, se, none, but is 'sp' instead"),
        (lambda: attention_of("tf", activation="tanh"), "`activation` must be one of relu, None, but is 'tanh'"),
        (lambda: attention_of("tf", reduced_dim=0), "`reduced_dim` must be from 1 to the 4 channels, but is 0 instead"),
        (lambda: attention_of("se", reduced_dim=5), "`reduced_dim` must be from 1 to the 4 channels, but is 5 instead"),
    ],
)
def test_what_cannot_be_used_is_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()
