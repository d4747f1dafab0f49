"""The network that tells speakers apart."""

import pytest
import torch

from emorec_lobes.errors import ConfigError
from emorec_lobes.models.pooling import MapPooling
from emorec_lobes.models.resnet import ResNet
from emorec_lobes.models.speaker_network import LOSSES, SpeakerNetwork


def network_of(loss="aam", num_speakers=5):
    torch.manual_seed(1)
    resnet = ResNet([4, 6, 8], first_kernel_size=7, blocks_per_stage=1, masked_norm=True)
    return SpeakerNetwork(resnet, MapPooling("mean_std", 8, 4), num_speakers, loss)


@pytest.mark.parametrize("loss", LOSSES)
def test_there_is_an_embedding_and_a_score_a_speaker(loss):
    output = network_of(loss)(torch.rand(3, 50, 41))
    assert output.embedding.shape == (3, 16) and output.scores.shape == (3, 5)
    assert network_of(loss).eval()(torch.rand(1, 50, 41)).scores.shape == (1, 5)


@pytest.mark.parametrize("loss", LOSSES)
def test_padding_changes_nothing(loss):
    network, features = network_of(loss).eval(), torch.rand(1, 30, 41)
    padded = torch.cat([features, torch.full((1, 20, 41), 7.0)], dim=1)
    alone, beside = network(features), network(torch.cat([padded, torch.rand(1, 50, 41)]), torch.tensor([0.6, 1.0]))
    torch.testing.assert_close(beside.embedding[0], alone.embedding[0])
    torch.testing.assert_close(beside.scores[0], alone.scores[0])


@pytest.mark.parametrize("loss", LOSSES)
def test_every_parameter_gets_a_gradient(loss):
    network = network_of(loss)
    torch.nn.functional.cross_entropy(network(torch.rand(4, 50, 41)).scores, torch.tensor([0, 1, 2, 3])).backward()
    assert [name for name, item in network.named_parameters() if item.grad is None or not item.grad.any()] == []


def test_cosines_do_not_depend_on_the_length_of_an_embedding():
    head = network_of("aam").head
    embedding = torch.rand(2, 16)
    torch.testing.assert_close(head(embedding), head(7 * embedding))
    assert head(embedding).abs().max() <= 1


@pytest.mark.parametrize(("options", "part"), [({"loss": "am"}, "`loss` must be one of"), ({"num_speakers": 1}, "2")])
def test_what_cannot_be_trained_is_refused(options, part):
    with pytest.raises(ConfigError, match=part):
        network_of(**options)
