import math

import numpy as np
import pytest
import torch
from torch import nn

from emorec_lobes.errors import ConfigError
from emorec_lobes.models.layer_mix import LayerMix
from emorec_lobes.models.text_cnn import TextCNN

PAPER = {"encoder_dim": 1024, "channels": [256, 256, 128, 64], "kernel_sizes": [1, 1, 8, 4], "num_classes": 4}
SMALL = {"encoder_dim": 6, "channels": [5, 4, 4, 3], "kernel_sizes": [1, 1, 8, 4], "num_classes": 4}


def cnn(sizes, num_layers=1, **options):
    options = {"padding": 1, "dropout": 0.0, "authors": False, **options}
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return TextCNN(**sizes, **options, layer_mix=LayerMix(num_layers, "softmax")).eval()


def tokens_of(*counts, num_layers=1, dim=6):
    generator = torch.Generator().manual_seed(4)
    return [torch.randn(count, num_layers, dim, generator=generator) for count in counts]


def batch_of(utterances, num_tokens=None, filler=0.0):
    """The utterances in one tensor, `filler` behind them, and their relative lengths."""
    num_tokens = num_tokens or max(len(each) for each in utterances)
    tokens = torch.full((len(utterances), num_tokens, *utterances[0].shape[1:]), filler)
    for place, each in enumerate(utterances):
        tokens[place, : len(each)] = each
    return tokens, torch.tensor([len(each) / num_tokens for each in utterances])


def slow_scores(model, utterance):
    """One utterance of (N, D) by loops: zero-padded convolutions, ReLU, mean over all that they leave."""
    signal = utterance.double().numpy()
    for conv in model.convs:
        weight, bias = (part.detach().double().numpy() for part in (conv.weight, conv.bias))
        around = np.zeros((1, signal.shape[1]))
        signal = np.concatenate([around, signal, around])
        width = weight.shape[2]
        rows = []
        for start in range(len(signal) - width + 1):
            row = [
                sum(float(weight[out, :, tap] @ signal[start + tap]) for tap in range(width)) + bias[out]
                for out in range(len(weight))
            ]
            rows.append([max(value, 0.0) for value in row])
        signal = np.array(rows)
    weight, bias = (part.detach().double().numpy() for part in (model.output.weight, model.output.bias))
    return weight @ signal.mean(axis=0) + bias


def test_it_has_the_published_number_of_parameters_in_both_modes():
    for authors in (False, True):
        assert sum(parameter.numel() for parameter in cnn(PAPER, authors=authors).parameters()) == 623_556


@pytest.mark.parametrize("authors", [False, True])
def test_shapes_follow_the_published_trace(authors):
    model, shapes = cnn(PAPER, authors=authors), []
    for conv in model.convs:
        conv.register_forward_hook(lambda module, inputs, output: shapes.append(tuple(output.shape)))
    model.output.register_forward_hook(lambda module, inputs, output: shapes.append(tuple(inputs[0].shape)))
    scores = model(torch.rand(2, 122, 1, 1024), torch.ones(2))
    assert shapes == [(2, 256, 124), (2, 256, 126), (2, 128, 121), (2, 64, 120), (2, 64)]
    assert scores.shape == (2, 4)


@pytest.mark.parametrize("num_tokens", [3, 4, 9, 30])
def test_an_utterance_is_answered_as_by_slow_loops(num_tokens):
    model, [utterance] = cnn(SMALL), tokens_of(num_tokens)
    answered = model(*batch_of([utterance])).squeeze(0).detach()
    np.testing.assert_allclose(answered, slow_scores(model, utterance[:, 0]), atol=1e-5)


@pytest.mark.parametrize("num_tokens", [1, 2])
def test_an_utterance_too_short_for_the_convolutions_counts_as_followed_by_zeros(num_tokens):
    model, [utterance] = cnn(SMALL), tokens_of(num_tokens)
    filled = torch.cat([utterance[:, 0], torch.zeros(3 - num_tokens, 6)])
    answered = model(*batch_of([utterance])).squeeze(0).detach()
    np.testing.assert_allclose(answered, slow_scores(model, filled), atol=1e-5)


@pytest.mark.parametrize("authors", [False, True])
@pytest.mark.parametrize("filler", [0.0, 7.5, float("nan")])
def test_neither_its_neighbours_nor_what_stands_behind_it_change_an_answer(authors, filler):
    model = cnn(SMALL, num_layers=3, authors=authors)
    utterances = tokens_of(1, 2, 3, 4, 7, 13, 50, 122, num_layers=3)
    together = model(*batch_of(utterances, filler=filler))
    alone = torch.cat([model(*batch_of([each])) for each in utterances])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-6)
    if not authors:
        torch.testing.assert_close(model(*batch_of(utterances, 600, filler)), alone, rtol=0, atol=1e-6)


@pytest.mark.parametrize("counts", [[1], [2, 1], [40, 7, 1]])
@pytest.mark.parametrize("authors", [False, True])
def test_every_parameter_gets_a_gradient(authors, counts):
    model = cnn(SMALL, num_layers=3, authors=authors)
    model(*batch_of(tokens_of(*counts, num_layers=3))).square().sum().backward()
    without = [name for name, each in model.named_parameters() if each.grad is None or not each.grad.abs().sum() > 0]
    assert without == []


def test_what_stands_behind_an_utterance_moves_no_gradient():
    model, utterances = cnn(SMALL), tokens_of(9, 4)
    gradients = []
    for filler in (0.0, float("nan")):
        model.zero_grad()
        model(*batch_of(utterances, 30, filler)).sum().backward()
        gradients.append([parameter.grad.clone() for parameter in model.parameters()])
    for one, other in zip(*gradients, strict=True):
        assert torch.equal(one, other)


def released(model):
    """The authors' layers put together from the paper's description, with this model's weights."""
    convs = [
        nn.Conv1d(6, 5, 1, padding=1),
        nn.Conv1d(5, 4, 1, padding=1),
        nn.Conv1d(4, 4, 8, padding=1),
        nn.Conv1d(4, 3, 4, padding=1),
    ]
    for conv, other in zip(convs, model.convs, strict=True):
        conv.load_state_dict(other.state_dict())
    layers = [layer for conv in convs for layer in (conv, nn.ReLU())]
    return nn.Sequential(*layers, nn.AvgPool1d(118), nn.Flatten(), model.output, nn.Sigmoid())


@pytest.mark.parametrize("num_tokens", [1, 20, 121, 122])
def test_the_authors_mode_is_the_released_network_on_zero_padded_tokens(num_tokens):
    model, [utterance] = cnn(SMALL, authors=True), tokens_of(num_tokens)
    padded, _ = batch_of([utterance], 122)
    torch.testing.assert_close(model(*batch_of([utterance])), released(model)(padded.squeeze(2).transpose(1, 2)))


LOWEST, HIGHEST = 1 / (1 + 3 * math.e), math.e / (math.e + 3)


def probabilities(authors, bias):
    """Of random utterances, under output weights so large that every score is an extreme one."""
    model = cnn(PAPER, authors=authors)
    model.output.weight.data *= 1e6
    model.output.bias.data += torch.tensor(bias)
    tokens = torch.randn(20, 30, 1, 1024, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return model(tokens, torch.ones(20)).softmax(dim=-1)


@pytest.mark.parametrize("bias", [[0.0, 0.0, 0.0, 0.0], [1e9, -1e9, -1e9, -1e9], [-1e9, 1e9, 2e9, 3e9]])
def test_probabilities_stay_between_0_109_and_0_475_in_authors_mode_and_not_otherwise(bias):
    answers = probabilities(True, bias)
    assert (round(LOWEST, 3), round(HIGHEST, 3)) == (0.109, 0.475)
    assert answers.min() >= LOWEST - 1e-6 and answers.max() <= HIGHEST + 1e-6
    answers = probabilities(False, bias)
    assert answers.min() < 0.01 and answers.max() > 0.99


def test_the_bounds_of_the_authors_mode_are_reached():
    assert float(probabilities(True, [1e9, -1e9, -1e9, -1e9]).max()) == pytest.approx(HIGHEST, abs=1e-6)
    assert float(probabilities(True, [-1e9, 1e9, 1e9, 1e9]).min()) == pytest.approx(LOWEST, abs=1e-6)


def test_more_tokens_than_the_released_network_takes_are_refused_with_the_option_to_set():
    with pytest.raises(ConfigError, match=r"at most 122.*are 123 instead.*max_tokens: 122"):
        cnn(SMALL, authors=True)(*batch_of(tokens_of(123)))


def test_stored_layers_are_mixed_before_the_convolutions():
    model, [utterance] = cnn(SMALL, num_layers=3), tokens_of(8, num_layers=3)
    model.layer_mix.raw_weights.data = torch.tensor([0.3, -1.0, 2.0])
    shares = np.exp([0.3, -1.0, 2.0]) / np.exp([0.3, -1.0, 2.0]).sum()
    mixed = torch.tensor(np.einsum("l,nld->nd", shares, utterance.double().numpy()))
    answered = model(*batch_of([utterance])).squeeze(0).detach()
    np.testing.assert_allclose(answered, slow_scores(model, mixed), atol=1e-5)


def test_half_precision_features_are_computed_with_in_full():
    model, utterances = cnn(SMALL), [each.half() for each in tokens_of(9, 4)]
    tokens, lens = batch_of(utterances)
    assert torch.equal(model(tokens.half(), lens), model(tokens.half().float(), lens))


def test_dropout_is_for_training_alone():
    model, batch = cnn(SMALL, dropout=0.5), batch_of(tokens_of(9, 4))
    assert torch.equal(model(*batch), model(*batch))
    model.train()
    assert not torch.equal(model(*batch), model(*batch))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: cnn({**SMALL, "kernel_sizes": [1, 8]}), r"`kernel_sizes` must be as many as `channels` \(4\).* 2 "),
        (lambda: cnn({**SMALL, "kernel_sizes": [1, 1, 8, 9]}, authors=True), "must leave 118 positions of 122"),
        (lambda: cnn(SMALL, dropout=1.0), "`dropout` must be from 0 up to, but not, 1, but is 1.0"),
        (lambda: cnn(SMALL)(*batch_of(tokens_of(5, dim=7))), "`encoder_dim` must be 7.*is 6 instead"),
        (lambda: cnn(SMALL)(*batch_of(tokens_of(5, num_layers=2))), "`num_layers` must be 2.*is 1 instead"),
        (lambda: cnn(SMALL, 3)(*batch_of(tokens_of(5, num_layers=2))), "`num_layers` must be 2.*is 3 instead"),
    ],
)
def test_sizes_that_do_not_go_together_are_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()
