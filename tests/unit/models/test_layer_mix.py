import math

import pytest
import torch

from emorec_lobes.errors import ConfigError
from emorec_lobes.models.layer_mix import LayerMix


def mix_with(weights, mode="ratio", dtype=torch.float32):
    mix = LayerMix(num_layers=len(weights), mode=mode).to(dtype)
    mix.raw_weights.data = torch.tensor(weights, dtype=dtype)
    return mix


def slow_mix(layers, shares):
    num_items, num_frames, num_layers, dim = layers.shape
    mixed = torch.zeros(num_items, num_frames, dim, dtype=torch.float64)
    for item in range(num_items):
        for frame in range(num_frames):
            for layer in range(num_layers):
                mixed[item, frame] += shares[layer] * layers[item, frame, layer].double()
    return mixed


@pytest.mark.parametrize("mode", ["ratio", "softmax"])
def test_the_average_is_that_of_a_slow_loop_with_shares_by_hand(mode):
    weights = [2.0, -0.5, 1.0, 0.25]
    powers = weights if mode == "ratio" else [math.exp(weight) for weight in weights]
    shares = [power / sum(powers) for power in powers]
    layers = torch.randn(3, 5, 4, 6)
    mix = mix_with(weights, mode)
    torch.testing.assert_close(mix(layers).double(), slow_mix(layers, shares), rtol=0, atol=1e-5)
    torch.testing.assert_close(mix.weights, torch.tensor(shares))


@pytest.mark.parametrize("mode", ["ratio", "softmax"])
def test_the_layers_that_are_given_keep_the_shares_that_they_have_among_all(mode):
    weights = [2.0, -0.5, 1.0, 0.25]
    powers = weights if mode == "ratio" else [math.exp(weight) for weight in weights]
    layers = torch.randn(3, 5, 2, 6)
    mix = LayerMix(num_layers=4, mode=mode, num_used=2)
    mix.load_state_dict(mix_with(weights, mode).state_dict())
    expected = slow_mix(layers, [power / sum(powers) for power in powers[:2]])
    torch.testing.assert_close(mix(layers).double(), expected, rtol=0, atol=1e-5)
    with pytest.raises(ConfigError, match=r"must be 4.*is 2 instead"):
        mix(torch.randn(3, 5, 4, 6))


@pytest.mark.parametrize("mode", ["ratio", "softmax"])
def test_an_untrained_mix_is_the_plain_mean_over_layers(mode):
    layers = torch.randn(2, 4, 25, 8)
    mix = LayerMix(num_layers=25, mode=mode)
    torch.testing.assert_close(mix(layers), layers.mean(dim=2))
    assert torch.equal(mix.raw_weights, torch.ones(25))


@pytest.mark.parametrize("mode", ["ratio", "softmax"])
def test_gradients_match_finite_differences(mode):
    layers = torch.randn(2, 3, 4, 5, dtype=torch.float64, requires_grad=True)
    mix = mix_with([1.0, 0.5, -0.25, 2.0], mode, torch.float64)
    assert torch.autograd.gradcheck(lambda *inputs: mix(inputs[0]), (layers, mix.raw_weights))


def test_scaling_all_weights_changes_nothing_in_mode_ratio():
    layers = torch.randn(2, 4, 3, 8)
    torch.testing.assert_close(mix_with([1.0, 2.0, 3.0])(layers), mix_with([-10.0, -20.0, -30.0])(layers))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_layers_of_any_float_dtype_are_averaged_in_the_precision_of_the_weights(dtype):
    layers = torch.randn(2, 4, 3, 8).to(dtype)
    mix = mix_with([1.0, 2.0, 4.0])
    assert mix(layers).dtype == torch.float32
    assert torch.equal(mix(layers), mix(layers.float()))


@pytest.mark.parametrize("weights", [[1.0, -1.0], [0.0, 0.0], [1.0, -1.0 + 1e-7], [float("nan"), 1.0]])
def test_weights_that_cancel_are_refused_when_read_and_not_finite_in_use(weights):
    mix = mix_with(weights)
    with pytest.raises(ConfigError, match="mode: softmax"):
        _ = mix.weights


def test_a_sum_of_zero_shows_as_a_result_that_is_not_finite():
    assert not mix_with([1.0, -1.0])(torch.rand(1, 2, 2, 3)).isfinite().any()


def test_another_number_of_layers_is_refused_with_both_numbers():
    with pytest.raises(ConfigError, match=r"must be 13.*is 25 instead"):
        LayerMix(num_layers=25, mode="ratio")(torch.rand(1, 2, 13, 3))


def test_an_unknown_mode_is_refused():
    with pytest.raises(ConfigError, match="Did you mean 'softmax'"):
        LayerMix(num_layers=25, mode="softmx")
