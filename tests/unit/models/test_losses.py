import math

import pytest
import torch
from torch.nn import functional as F

from emorec_lobes.errors import ConfigError
from emorec_lobes.models.losses import masked_mse

NUM_VALID = torch.tensor([6, 1, 4])


def slow_mse(estimate, target, num_valid):
    total, count = 0.0, 0
    for item, frames in enumerate(num_valid.tolist()):
        for frame in range(frames):
            for mel in range(estimate.shape[2]):
                total += (estimate[item, frame, mel].item() - target[item, frame, mel].item()) ** 2
                count += 1
    return total / count


def test_the_error_is_that_of_a_slow_loop_over_valid_elements():
    estimate, target = torch.randn(3, 6, 5), torch.randn(3, 6, 5)
    assert masked_mse(estimate, target, NUM_VALID).item() == pytest.approx(slow_mse(estimate, target, NUM_VALID))


def test_without_lengths_it_is_the_plain_mean_over_all_elements():
    estimate, target = torch.randn(3, 6, 5), torch.randn(3, 6, 5)
    torch.testing.assert_close(masked_mse(estimate, target), F.mse_loss(estimate, target))
    torch.testing.assert_close(masked_mse(estimate, target, torch.tensor([6, 6, 6])), F.mse_loss(estimate, target))


@pytest.mark.parametrize("filler", [0.0, 1e6, math.inf, math.nan])
def test_what_stands_beyond_the_valid_frames_moves_neither_loss_nor_gradient(filler):
    estimate, target = torch.randn(3, 6, 5, requires_grad=True), torch.randn(3, 6, 5)
    clean = masked_mse(estimate, target, NUM_VALID)
    (clean_gradient,) = torch.autograd.grad(clean, estimate)
    padded = target.masked_fill(torch.arange(6)[:, None] >= NUM_VALID[:, None, None], filler)
    loss = masked_mse(estimate, padded, NUM_VALID)
    (gradient,) = torch.autograd.grad(loss, estimate)
    assert torch.equal(loss, clean)
    assert torch.equal(gradient, clean_gradient)
    assert gradient[1, 1:].abs().max() == 0


@pytest.mark.parametrize("shape", [(3, 1, 6, 5), (1, 6, 5), (3, 6, 1), (3, 6)])
def test_shapes_that_would_broadcast_are_refused(shape):
    with pytest.raises(ConfigError, match=r"must have the shape of the target, .*\(3, 6, 5\)"):
        masked_mse(torch.rand(shape), torch.rand(3, 6, 5))


def test_half_precision_targets_are_compared_in_single_precision():
    estimate, target = torch.rand(3, 6, 5), torch.rand(3, 6, 5).half()
    torch.testing.assert_close(masked_mse(estimate, target), F.mse_loss(estimate, target.float()))
