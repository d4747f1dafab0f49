"""Mean and deviation of every feature over the valid frames, on one scale."""

import numpy as np
import pytest
import torch

from emorec_lobes.errors import ConfigError
from emorec_lobes.models.statistics_pooling import StatisticsPooling


@pytest.fixture()
def pooling():
    return StatisticsPooling(num_layers=3, feature_dim=4, num_statistics=2).eval()


@pytest.fixture()
def layers():
    return torch.randn(2, 10, 3, 4, generator=torch.Generator().manual_seed(1))


def test_it_gives_numpys_mean_and_deviation_of_each_layer_and_feature(pooling, layers):
    with torch.no_grad():
        pooled = pooling(layers)
    frames = layers.numpy().reshape(2, 10, 12).astype(np.float64)
    expected = np.concatenate((frames.mean(axis=1), frames.std(axis=1)), axis=1)
    # A fresh batch norm divides by the root of 1 + 1e-5; the variance has a floor of 1e-4.
    np.testing.assert_allclose(pooled.numpy(), expected, atol=2e-4)


def test_padding_counts_for_nothing_whatever_stands_in_it(pooling, layers):
    mask = torch.arange(10)[None, :] < torch.tensor([[6], [10]])
    spoilt = layers.masked_fill(~mask[:, :, None, None], torch.nan)
    with torch.no_grad():
        torch.testing.assert_close(pooling(spoilt, mask)[0], pooling(layers[:1, :6])[0])
        torch.testing.assert_close(pooling(spoilt, mask)[1], pooling(layers[1:])[0])


def test_in_training_every_statistic_of_a_batch_has_mean_0_and_variance_1():
    pooled = StatisticsPooling(num_layers=1, feature_dim=5, num_statistics=2)(torch.randn(64, 20, 1, 5) * 7 + 3)
    torch.testing.assert_close(pooled.mean(dim=0), torch.zeros(10), atol=1e-5, rtol=0)
    torch.testing.assert_close(pooled.var(dim=0, correction=0), torch.ones(10), atol=2e-2, rtol=0)


def test_a_feature_that_never_moves_has_a_finite_gradient(pooling):
    still = torch.ones(2, 10, 3, 4, requires_grad=True)
    pooling(still).sum().backward()
    assert torch.isfinite(still.grad).all()


@pytest.mark.parametrize(("num_statistics", "width"), [(0, 0), (1, 12), (2, 24)])
def test_it_says_how_wide_it_is(layers, num_statistics, width):
    pooling = StatisticsPooling(num_layers=3, feature_dim=4, num_statistics=num_statistics)
    assert pooling.output_dim == pooling(layers).shape[1] == width


def test_half_precision_layers_are_pooled_in_single(pooling, layers):
    with torch.no_grad():
        pooled = pooling(layers.half())
    assert pooled.dtype == torch.float32
    torch.testing.assert_close(pooled, pooling(layers), atol=2e-3, rtol=0)


def test_another_number_of_statistics_is_refused():
    with pytest.raises(ConfigError, match="`num_statistics` must be one of 0, 1, 2, but is '3'"):
        StatisticsPooling(num_layers=3, feature_dim=4, num_statistics=3)


def test_a_training_batch_of_one_is_refused(layers):
    with pytest.raises(ConfigError, match="--batch_size 2"):
        StatisticsPooling(num_layers=3, feature_dim=4, num_statistics=2)(layers[:1])
