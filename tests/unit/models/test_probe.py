"""The probe network in the paper's sizes, and the points a network is probed at."""

import pytest
import torch

from emorec_lobes.errors import ConfigError
from emorec_lobes.models.front_end import DisentangledFrontEnd
from emorec_lobes.models.lstm_front_end import LSTMFrontEnd
from emorec_lobes.models.probe import HIDDEN_DIMS, Probe
from emorec_lobes.models.probe_points import ad_points, ad_shares, code_points, utterance_points
from emorec_lobes.models.vgg import VGG

from .conftest import MAKE_AD


def network(positions=("conv3", "conv5"), seed=1):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        vgg = VGG(channels=[2, 3, 4, 5, 6], pooled=[2, 3], masked_norm=True)
        return DisentangledFrontEnd(vgg, positions, MAKE_AD).eval()


@pytest.fixture
def features():
    return torch.randn(3, 40, 41, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize(("width", "number"), [(32, 3_225_610), (12_288, 28_325_898)])
def test_the_probe_has_the_number_of_parameters_of_the_published_layers(width, number):
    with torch.device("meta"):
        probe = Probe(width, HIDDEN_DIMS, 10)
    assert sum(parameter.numel() for parameter in probe.parameters()) == number


def test_the_probe_is_linear_maps_with_the_logarithm_of_one_plus_the_exponential_in_between():
    probe, rows = Probe(3, (4, 2), 5).double(), torch.randn(6, 3).double()
    expected = rows
    for number, layer in enumerate(part for part in probe.layers if hasattr(part, "weight")):
        expected = (1 + expected.exp()).log() if number else expected
        expected = expected @ layer.weight.T + layer.bias
    torch.testing.assert_close(probe(rows), expected)


def test_every_parameter_of_the_probe_gets_a_gradient():
    probe = Probe(3, (4, 2), 5)
    probe(torch.randn(6, 3)).square().sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in probe.parameters())


def test_a_probe_without_width_is_refused():
    with pytest.raises(ConfigError, match="widths of a probe"):
        Probe(0, HIDDEN_DIMS, 4)


def test_there_are_four_points_at_each_module_in_the_order_of_the_blocks(features):
    found = ad_points(network(), features)
    assert list(found) == [f"{place} {part}" for place in ("conv3", "conv5") for part in ("F", "IN(F)", "F+", "F-")]
    assert [tuple(found[f"{place} F+"].shape) for place in ("conv3", "conv5")] == [(3, 8), (3, 12)]


def test_a_network_without_modules_is_probed_at_its_end(features):
    front_end = network(positions=())
    found = ad_points(front_end, features, pooling="average")
    torch.testing.assert_close(found["end"], front_end(features).feature_map.mean(dim=(2, 3)))
    assert list(found) == ["end"] and ad_shares(front_end, features) == {}


def test_mean_and_deviation_are_those_of_each_channel(features):
    front_end = network()
    split = front_end(features).splits["conv5"]
    found = ad_points(front_end, features)
    for name, part in {"F": split.features, "F+": split.relevant, "F-": split.irrelevant}.items():
        means, variances = part.mean(dim=(2, 3)), part.var(dim=(2, 3), correction=0)
        expected = torch.cat([means, (variances + 1e-4).sqrt()], dim=1)
        torch.testing.assert_close(found[f"conv5 {name}"], expected)


@pytest.mark.parametrize("pooling", ["average", "mean_std"])
def test_what_averages_and_deviations_see_of_the_normalised_map_is_nearly_constant(features, pooling):
    """As the mean is beta and the deviation gamma, whatever the utterance; but a profile over frequency is not."""
    front_end = network()
    constant = ad_points(front_end, 20 * features, pooling=pooling)["conv5 IN(F)"]
    alive = front_end(20 * features).splits["conv5"].features.std(dim=(2, 3)).min(dim=0).values > 0.1
    alive = alive.repeat(constant.shape[1] // len(alive))
    assert alive.any() and constant[:, alive].std(dim=0).max() < 1e-3
    profile = ad_points(front_end, 20 * features, pooling="profile")["conv5 IN(F)"]
    assert profile.std(dim=0).max() > 0.01


def test_a_profile_is_the_mean_over_time_at_each_frequency(features):
    front_end = network()
    expected = front_end(features).splits["conv3"].relevant.mean(dim=3).flatten(1)
    torch.testing.assert_close(ad_points(front_end, features, pooling="profile")["conv3 F+"], expected)


def test_padding_changes_no_point(features):
    front_end = network()
    padded = torch.cat([features[:1, :32], torch.full((1, 8, 41), 7.0)], dim=1)
    long = torch.cat([padded, features[1:]])
    for pooling in ("mean_std", "average", "profile"):
        alone = ad_points(front_end, features[:1, :32], pooling=pooling)
        among = ad_points(front_end, long, torch.tensor([0.8, 1.0, 1.0]), pooling)
        for name, vectors in alone.items():
            torch.testing.assert_close(among[name][:1], vectors, msg=name)


def test_a_sequence_is_probed_as_a_map_is(features):
    front_end = DisentangledFrontEnd(LSTMFrontEnd(input_dim=41, hidden_dim=4, num_layers=2), ["layers"], MAKE_AD).eval()
    assert ad_points(front_end, features)["layers F-"].shape == (3, 16)
    assert ad_shares(front_end, features)["layers"].shape == (3, 8, 1, 40)


def test_an_unknown_pooling_is_refused(features):
    with pytest.raises(ConfigError, match="`pooling` must be one of mean_std, average, profile"):
        ad_points(network(), features, pooling="attentive")


def test_an_utterance_is_the_mean_of_its_windows(features):
    one = utterance_points(network(), features, "mean_std")["conv3 F+"]
    torch.testing.assert_close(one, ad_points(network(), features)["conv3 F+"].mean(dim=0, keepdim=True))


def test_the_codes_of_a_segment_stand_in_time_order(miniature, batch):
    inputs, _ = batch
    model = miniature().eval()
    num_valid = torch.tensor([16, 16, 5])
    found = code_points(model, inputs["layers"], inputs["speaker"], num_valid)["codes"]
    codes = model(inputs["layers"], inputs["speaker"], num_valid=num_valid).codes
    torch.testing.assert_close(found, torch.cat([codes[:, number] for number in range(codes.shape[1])], dim=1))
