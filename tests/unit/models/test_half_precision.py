"""Half precision on a CPU: other ways to the same numbers, and single precision as it was."""

import pytest
import torch
from torch import nn

from emorec_lobes.models.conv_norm import ConvNorm
from emorec_lobes.models.half_precision import convolve, recur

# bf16 has 8 bits, and both ways round inputs and outputs to it.
ROUNDING = 0.02


def wide(kernel_size):
    torch.manual_seed(0)
    return nn.Conv1d(48, 64, kernel_size, padding=kernel_size // 2), torch.randn(2, 48, 20, requires_grad=True)


def gradients(conv, x, forward):
    conv.zero_grad(), setattr(x, "grad", None)
    out = forward(x)
    out.float().square().sum().backward()
    return out.float(), x.grad, conv.weight.grad, conv.bias.grad


@pytest.mark.parametrize("kernel_size", [1, 3, 5])
def test_a_convolution_of_few_frames_is_a_product_with_the_values_and_gradients_of_double_precision(
    kernel_size, monkeypatch
):
    conv, x = wide(kernel_size)
    exact = gradients(conv.double(), x.double().detach().requires_grad_(), conv)
    conv.float()
    monkeypatch.setattr(conv, "forward", lambda x: pytest.fail("it must be a product"))
    with torch.autocast("cpu", torch.bfloat16):
        found = gradients(conv, x, lambda x: convolve(conv, x))
    for ours, theirs in zip(found, exact, strict=True):
        assert ours.dtype is torch.float32
        assert (ours - theirs).abs().max() < ROUNDING * theirs.abs().max()


@pytest.mark.parametrize("case", ["many frames", "evaluation", "single precision"])
def test_any_other_convolution_is_left_to_the_library(case):
    conv, x = wide(5)
    x = torch.randn(2, 48, 32) if case == "many frames" else x  # as many frames as channels
    conv.train(case != "evaluation")
    with torch.autocast("cpu", torch.bfloat16, enabled=case != "single precision"):
        assert torch.equal(convolve(conv, x), conv(x))


def test_a_block_trained_in_half_precision_normalises_as_one_in_single_precision():
    torch.manual_seed(0)
    block, x = ConvNorm(48, 64, kernel_size=5, activation="relu"), torch.randn(2, 20, 48)
    mask = torch.ones(2, 20, dtype=torch.bool)
    mask[1, 13:] = False
    single = block(x, mask)
    with torch.autocast("cpu", torch.bfloat16):
        half = block(x, mask)
    assert half.shape == single.shape and half.dtype is torch.bfloat16
    assert (half.float() - single)[mask].abs().max() < 4 * ROUNDING


def test_an_lstm_trains_in_single_precision_on_a_cpu_and_answers_in_half():
    torch.manual_seed(0)
    lstm, x = nn.LSTM(6, 5, num_layers=2, batch_first=True, bidirectional=True), torch.randn(2, 7, 6)
    plain = lstm(x)[0]
    with torch.autocast("cpu", torch.bfloat16):
        trained, answered = recur(lstm, x), recur(lstm.eval(), x)
        assert torch.equal(answered, lstm(x)[0]) and answered.dtype is torch.bfloat16
    assert torch.equal(trained, plain) and torch.equal(recur(lstm.train(), x), plain)
