"""The three ways to combine both sides, against loops and against torch's own attention."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import multi_head_attention_forward

from emorec_lobes.errors import ConfigError
from emorec_lobes.models.combination import COMBINATIONS, combination, statistics

DIM, NUM_HEADS = 6, 2
SPEECH, TEXT = [9, 1, 4], [2, 5, 1]
every_way = pytest.mark.parametrize("way", COMBINATIONS)


def part(way):
    with torch.random.fork_rng():
        torch.manual_seed(3)
        made = combination(way, DIM, NUM_HEADS)
        for each in made.parameters():  # attention starts with biases of 0
            nn.init.normal_(each)
    return made.eval()


def sides(filler=0.0, extra=0):
    """States and masks of three items, with `filler` and `extra` more places behind what is valid."""
    generator = torch.Generator().manual_seed(4)
    result = []
    for counts in (SPEECH, TEXT):
        states = torch.full((len(counts), max(counts) + extra, DIM), filler)
        for place, count in enumerate(counts):
            states[place, :count] = torch.randn(count, DIM, generator=generator)
        result += [states, torch.arange(states.shape[1]) < torch.tensor(counts)[:, None]]
    return result


def singles():
    """Each item's valid states alone: (1, T, H) and (1, N, H)."""
    speech, _, text, _ = sides()
    return [(speech[i : i + 1, : SPEECH[i]], text[i : i + 1, : TEXT[i]]) for i in range(len(SPEECH))]


def alone(made, speech, text):
    masks = [torch.ones(each.shape[:2], dtype=torch.bool) for each in (speech, text)]
    return made(speech, masks[0], text, masks[1])


def by_hand(states):
    """Mean and deviation of (N, H), by numpy."""
    states = np.asarray(states.detach().double())
    return np.concatenate([states.mean(axis=0), np.sqrt(states.var(axis=0) + 1e-4)])


@every_way
def test_the_width_is_the_one_it_names(way):
    made = part(way)
    assert made(*sides()).shape == (3, made.output_dim)


@every_way
@pytest.mark.parametrize("filler", [0.0, 50.0])
def test_a_batch_is_its_singles_whatever_the_padding(way, filler):
    made = part(way)
    expected = torch.cat([alone(made, *item) for item in singles()])
    for extra in (0, 11):
        torch.testing.assert_close(made(*sides(filler, extra)), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("way", ["gated_sum", "cross_attention"])  # a concatenation has none
def test_every_parameter_gets_a_gradient(way):
    made = part(way)
    made(*sides()).square().sum().backward()
    assert [name for name, each in made.named_parameters() if not each.grad.abs().sum() > 0] == []


def test_statistics_are_those_of_numpy_over_the_valid_states():
    speech, mask, _, _ = sides(filler=9.0)
    expected = [by_hand(speech[i, :count]) for i, count in enumerate(SPEECH)]
    np.testing.assert_allclose(statistics(speech, mask), expected, atol=1e-6)


def test_concatenation_lays_the_statistics_end_to_end():
    for speech, text in singles():
        found = alone(part("concatenation"), speech, text)[0]
        np.testing.assert_allclose(found, np.concatenate([by_hand(speech[0]), by_hand(text[0])]), atol=1e-6)


def test_a_gate_weighs_one_side_against_the_other():
    made = part("gated_sum")

    def linear(layer, value):
        return layer.weight.detach().double().numpy() @ value + layer.bias.detach().double().numpy()

    for speech, text in singles():
        heard, read = by_hand(speech[0]), by_hand(text[0])
        gate = 1 / (1 + np.exp(-linear(made.gate, np.concatenate([heard, read]))))
        expected = gate * np.tanh(linear(made.speech, heard)) + (1 - gate) * np.tanh(linear(made.text, read))
        np.testing.assert_allclose(alone(made, speech, text)[0].detach(), expected, atol=1e-6)


def attended(attention, queries, keys):
    """Multi-head attention of (N, H) over (T, H) by loops over heads, queries and keys."""
    weight, bias = attention.in_proj_weight.detach().double(), attention.in_proj_bias.detach().double()
    projected = [
        states.double() @ weight[k * DIM : (k + 1) * DIM].T + bias[k * DIM : (k + 1) * DIM]
        for k, states in enumerate((queries, keys, keys))
    ]
    width, rows = DIM // NUM_HEADS, []
    for query in projected[0]:
        row = []
        for head in range(NUM_HEADS):
            own = slice(head * width, (head + 1) * width)
            scores = np.array([float(query[own] @ key[own]) / width**0.5 for key in projected[1]])
            shares = np.exp(scores - scores.max()) / np.exp(scores - scores.max()).sum()
            row.append(sum(share * value[own] for share, value in zip(shares, projected[2], strict=True)))
        rows.append(torch.cat(row))
    out = attention.out_proj
    return torch.stack(rows) @ out.weight.detach().double().T + out.bias.detach().double()


def normed(norm, states):
    centred = states - states.mean(dim=1, keepdim=True)
    scaled = centred / (centred.square().mean(dim=1, keepdim=True) + norm.eps).sqrt()
    return scaled * norm.weight.detach().double() + norm.bias.detach().double()


def test_cross_attention_is_that_of_slow_loops_in_both_directions():
    made = part("cross_attention")
    for speech, text in singles():
        frames = normed(made.speech_norm, speech[0] + attended(made.tokens_to_frames, speech[0], text[0]))
        tokens = normed(made.text_norm, text[0] + attended(made.frames_to_tokens, text[0], speech[0]))
        expected = np.concatenate([by_hand(frames), by_hand(tokens)])
        np.testing.assert_allclose(alone(made, speech, text)[0].detach(), expected, atol=1e-5)


def test_the_loops_are_torchs_own_attention():
    attention = part("cross_attention").frames_to_tokens
    for speech, text in singles():
        found, _ = multi_head_attention_forward(
            text[0], speech[0], speech[0], DIM, NUM_HEADS, attention.in_proj_weight, attention.in_proj_bias,
            None, None, False, 0.0, attention.out_proj.weight, attention.out_proj.bias,
        )  # fmt: skip
        torch.testing.assert_close(found.detach().double(), attended(attention, text[0], speech[0]), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("gated_sums", 6, 2), "`combine` must be one of .*gated_sum.*Did you mean 'gated_sum'"),
        (("cross_attention", 6, 4), r"`num_heads` must divide `hidden_dim` \(6\), but is 4 instead"),
    ],
)
def test_what_cannot_be_combined_is_refused(arguments, message):
    with pytest.raises(ConfigError, match=message):
        combination(*arguments)
