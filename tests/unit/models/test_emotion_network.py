"""What the network of attribute disentanglement answers, and which of its parts learn."""

import pytest
import torch

from emorec_lobes.models.emotion_network import EmotionNetwork
from emorec_lobes.models.front_end import DisentangledFrontEnd
from emorec_lobes.models.lstm_front_end import LSTMFrontEnd
from emorec_lobes.models.vgg import VGG

from .conftest import MAKE_AD


def network(positions, pooling="mean_std", front_end=None, shared_emotion_head=False):
    torch.manual_seed(0)
    front_end = front_end or VGG(channels=[4, 6, 8], pooled=[2], masked_norm=True)
    disentangled = DisentangledFrontEnd(front_end, positions, MAKE_AD)
    return EmotionNetwork(disentangled, pooling, 5, 3, 7, shared_emotion_head)


def test_without_disentanglement_it_is_front_end_pooling_and_one_linear_layer():
    model = network([])
    features = torch.rand(2, 30, 9)
    front_end, head = model.front_end.front_end, model.heads.emotion
    by_hand = front_end(features).feature_map.flatten(2)  # (B, C, F * T)
    pooled = torch.cat([by_hand.mean(2), (by_hand.var(2, correction=0) + 1e-4).sqrt()], dim=1)
    scores = model(features)
    torch.testing.assert_close(scores.emotion, pooled @ head.weight.T + head.bias)
    assert scores.relevant == scores.irrelevant == []


def test_the_answer_and_the_auxiliary_head_see_the_same_at_the_end_of_the_front_end():
    model = network(["conv3"])
    with torch.no_grad():
        model.heads.relevant[0].load_state_dict(model.heads.emotion.state_dict())
    scores = model(torch.rand(2, 30, 9))
    torch.testing.assert_close(scores.relevant[0], scores.emotion)


def test_every_module_scores_emotions_and_speakers():
    scores = network(["conv1", "conv3"])(torch.rand(4, 30, 9))
    assert [each.shape for each in scores.relevant] == [(4, 3)] * 2
    assert [each.shape for each in scores.irrelevant] == [(4, 7)] * 2


def test_outside_training_only_the_emotion_is_scored():
    model = network(["conv2"])
    training = model(torch.rand(4, 30, 9))
    scores = model.eval()(torch.rand(4, 30, 9))
    assert len(training.irrelevant) == 1
    assert scores.irrelevant == scores.relevant == []


@pytest.mark.parametrize("pooling", ["average", "mean_std", "attentive"])
def test_every_parameter_gets_a_gradient(pooling):
    model = network(["conv2", "conv3"], pooling)
    scores = model(torch.rand(4, 30, 9))
    (sum(each.square().sum() for each in (scores.emotion, *scores.relevant, *scores.irrelevant))).backward()
    assert [name for name, value in model.named_parameters() if value.grad is None] == []


@pytest.mark.parametrize("front_end", [None, LSTMFrontEnd(input_dim=9, hidden_dim=4, num_layers=2)])
def test_what_stands_in_the_padding_changes_no_answer(front_end):
    position = "conv3" if front_end is None else "layers"
    model = network([position], front_end=front_end).eval()
    short = torch.rand(1, 20, 9)
    batch = torch.full((2, 30, 9), 7.0)
    batch[0, :20] = short
    alone = model(short).emotion[0]
    torch.testing.assert_close(model(batch, torch.tensor([20 / 30, 1.0])).emotion[0], alone, atol=1e-5, rtol=0)


@pytest.mark.parametrize("disentanglers_with", ["heads", "extractor"])
def test_the_parameter_groups_are_all_parameters_and_share_none(disentanglers_with):
    model = network(["conv3"])
    heads, extractor = model.parameter_groups(disentanglers_with)
    names = {id(value): name for name, value in model.named_parameters()}
    assert sorted(names[id(value)] for value in [*heads, *extractor]) == sorted(names.values())
    learnt = {names[id(value)].split(".")[1] for value in extractor}
    assert learnt == {"front_end"} | ({"disentanglers"} if disentanglers_with == "extractor" else set())


def test_a_stack_of_lstms_is_that_of_torch_with_all_layers_side_by_side():
    front_end = LSTMFrontEnd(input_dim=9, hidden_dim=4, num_layers=3)
    stacked = torch.nn.LSTM(9, 4, num_layers=3, batch_first=True)
    for number, lstm in enumerate(front_end.blocks["layers"].lstms):
        for name, value in lstm.named_parameters():
            with torch.no_grad():
                getattr(stacked, name.replace("l0", f"l{number}")).copy_(value)
    features = torch.rand(2, 12, 9)
    expected, (last, _) = stacked(features)
    found = front_end(features).feature_map  # (B, 3 * 4, 1, T)
    torch.testing.assert_close(found[:, 8:, 0].transpose(1, 2), expected)
    torch.testing.assert_close(found[:, :4, 0, -1], last[0])
    torch.testing.assert_close(found[:, 4:8, 0, -1], last[1])
