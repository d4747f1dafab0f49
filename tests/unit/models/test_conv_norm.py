import math

import pytest
import torch
from torch import nn

from emorec_lobes.errors import ConfigError
from emorec_lobes.models.conv_norm import ConvNorm, ConvStack, masked_batch_norm

NUM_VALID = torch.tensor([9, 1, 4])
MASK = torch.arange(9) < NUM_VALID[:, None]


def valid_frames(x):
    return x.transpose(1, 2)[MASK]  # (B, C, T) -> (frames, C)


def norm_with_random_affine(num_channels=5):
    norm = nn.BatchNorm1d(num_channels).double()
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    return norm


def test_masked_statistics_are_those_of_the_valid_frames_alone_gradients_included():
    x = torch.randn(3, 5, 9, dtype=torch.float64)
    direction = torch.randn(int(NUM_VALID.sum()), 5, dtype=torch.float64)
    ours, reference = norm_with_random_affine(), norm_with_random_affine()
    reference.load_state_dict(ours.state_dict())
    padded, gathered = x.clone().requires_grad_(), valid_frames(x).requires_grad_()
    for _ in range(3):  # the running statistics are those of several batches
        ours_out = valid_frames(masked_batch_norm(padded, ours, MASK))
        reference_out = reference(gathered)
    (ours_out * direction).sum().backward()
    (reference_out * direction).sum().backward()
    torch.testing.assert_close(ours_out, reference_out)
    torch.testing.assert_close(dict(ours.state_dict()), dict(reference.state_dict()))
    torch.testing.assert_close(valid_frames(padded.grad), gathered.grad)
    torch.testing.assert_close(ours.weight.grad, reference.weight.grad)
    torch.testing.assert_close(ours.bias.grad, reference.bias.grad)
    assert padded.grad.transpose(1, 2)[~MASK].abs().max() == 0


def test_what_stands_on_padded_frames_moves_the_statistics_only_without_a_mask():
    x = torch.randn(3, 5, 9, dtype=torch.float64)
    noisy = x + 100 * torch.randn_like(x) * ~MASK.unsqueeze(1)
    for mask, unmoved in ((MASK, True), (None, False)):
        first, second = nn.BatchNorm1d(5).double(), nn.BatchNorm1d(5).double()
        same = torch.equal(
            valid_frames(masked_batch_norm(x, first, mask)), valid_frames(masked_batch_norm(noisy, second, mask))
        )
        assert same == unmoved
        assert torch.equal(first.running_var, second.running_var) == unmoved


def test_a_full_mask_and_no_mask_agree():
    x = torch.randn(3, 5, 9, dtype=torch.float64)
    masked, plain = nn.BatchNorm1d(5).double(), nn.BatchNorm1d(5).double()
    full = torch.ones(3, 9, dtype=torch.bool)
    torch.testing.assert_close(masked_batch_norm(x, masked, full), masked_batch_norm(x, plain, None))
    torch.testing.assert_close(dict(masked.state_dict()), dict(plain.state_dict()))


def test_evaluation_is_plain_batch_norm_whatever_the_mask():
    norm = norm_with_random_affine()
    nn.init.normal_(norm.running_mean)
    norm.eval()
    x = torch.randn(3, 5, 9, dtype=torch.float64)
    assert torch.equal(masked_batch_norm(x, norm, MASK), norm(x))


def test_half_precision_input_does_not_spoil_the_statistics():
    x = 100 + torch.randn(4, 2, 2000)
    mask = torch.arange(2000).expand(4, -1) < 1500
    half, full = nn.BatchNorm1d(2), nn.BatchNorm1d(2)
    out = masked_batch_norm(x.bfloat16(), half, mask)
    masked_batch_norm(x.bfloat16().float(), full, mask)
    assert out.dtype == torch.bfloat16
    torch.testing.assert_close(half.running_var, full.running_var)


def slow_conv(block, x):
    """A convolution by its definition, zeros beyond both ends; a fresh norm in evaluation divides by sqrt(1 + eps)."""
    weight, bias = block.conv.weight, block.conv.bias
    reach = weight.shape[2] // 2
    out = torch.zeros(x.shape[0], x.shape[1], weight.shape[0])
    for item in range(x.shape[0]):
        for frame in range(x.shape[1]):
            out[item, frame] = bias
            for offset in range(-reach, reach + 1):
                if 0 <= frame + offset < x.shape[1]:
                    out[item, frame] += weight[:, :, offset + reach] @ x[item, frame + offset]
    return out / math.sqrt(1 + block.norm.eps)


@pytest.mark.parametrize(
    ("activation", "function"), [("relu", lambda x: x.clamp(min=0)), ("tanh", torch.tanh), (None, lambda x: x)]
)
def test_a_block_is_convolution_then_norm_then_activation(activation, function):
    block = ConvNorm(3, 4, kernel_size=5, activation=activation).eval()
    x = torch.randn(2, 7, 3)
    torch.testing.assert_close(block(x), function(slow_conv(block, x)), rtol=0, atol=1e-5)


@pytest.mark.parametrize(("activation", "gain"), [("relu", math.sqrt(2)), ("tanh", 5 / 3), (None, 1.0)])
def test_weights_start_xavier_uniform_with_the_gain_of_the_activation(activation, gain):
    weight = ConvNorm(60, 100, kernel_size=5, activation=activation).conv.weight
    bound = gain * math.sqrt(6 / (5 * (60 + 100)))
    assert 0.99 * bound < weight.abs().max() <= bound
    assert weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.02)


def test_a_stack_is_its_blocks_in_turn_with_the_last_activation_of_its_own():
    stack = ConvStack([3, 8, 4], kernel_size=3, activations=["tanh", None], masked_norm=False).eval()
    x = torch.randn(2, 7, 3)
    inner = torch.tanh(slow_conv(stack.blocks[0], x))
    torch.testing.assert_close(stack(x), slow_conv(stack.blocks[1], inner), rtol=0, atol=1e-5)


@pytest.mark.parametrize("masked_norm", [True, False])
def test_a_stack_heeds_the_mask_only_where_asked_to(masked_norm):
    torch.manual_seed(1)
    stack = ConvStack([5, 6], kernel_size=1, activations=[None], masked_norm=masked_norm)
    x = torch.randn(3, 9, 5)
    noisy = x + 10 * ~MASK.unsqueeze(-1)
    assert torch.equal(stack(x, MASK)[MASK], stack(noisy, MASK)[MASK]) == masked_norm


def test_state_dict_keys_are_those_of_the_plain_layers():
    keys = set(ConvNorm(3, 4, kernel_size=5, activation=None).state_dict())
    assert keys == {f"conv.{key}" for key in nn.Conv1d(3, 4, 5).state_dict()} | {
        f"norm.{key}" for key in nn.BatchNorm1d(4).state_dict()
    }


def test_sizes_that_cannot_be_are_refused():
    with pytest.raises(ConfigError, match=r"must be odd, but is 4 instead. Use 5"):
        ConvNorm(3, 4, kernel_size=4, activation="relu")
    with pytest.raises(ConfigError, match="one of relu, tanh, None"):
        ConvNorm(3, 4, kernel_size=5, activation="rleu")
    with pytest.raises(ConfigError, match="each of the 2 blocks, but has 1"):
        ConvStack([3, 4, 5], kernel_size=5, activations=["relu"], masked_norm=True)
