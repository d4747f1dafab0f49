"""Speech and text in one classifier: padding, missing sides, and which of them training hides."""

import numpy as np
import pytest
import torch

from emorec_lobes.errors import ConfigError
from emorec_lobes.models.combination import COMBINATIONS, combination
from emorec_lobes.models.fusion import ModalityEncoder, SpeechTextClassifier, hide_one
from emorec_lobes.models.layer_mix import LayerMix

NUM_CLASSES, HIDDEN_DIM = 4, 6
SPEECH, TEXT = (3, 5), (1, 7)  # layers and width of either encoder
ITEMS = [(20, 4), (1, 9), (13, 1), (7, 0), (0, 5)]  # frames and tokens of each; 0 is missing
every_way = pytest.mark.parametrize("way", COMBINATIONS)


def side(num_layers, dim, dropout=0.0, mixed=True):
    return ModalityEncoder(num_layers, dim, HIDDEN_DIM, dropout, LayerMix(num_layers, "softmax") if mixed else None)


def classifier(way="concatenation", modality_dropout=0.0, dropout=0.0, mixed=True):
    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = SpeechTextClassifier(
            side(*SPEECH, dropout, mixed),
            side(*TEXT, dropout, mixed),
            combination(way, HIDDEN_DIM, num_heads=2),
            NUM_CLASSES,
            dropout,
            modality_dropout,
        )
        for encoder in (model.speech, model.text):  # they start at 0
            torch.nn.init.normal_(encoder.stand_in)
    return model.eval()


def batch_of(items, filler=0.0, extra=0):
    """Frames and tokens of the items, `filler` behind them, and their counts: what the classifier takes."""
    result = []
    for which, (num_layers, dim) in enumerate((SPEECH, TEXT)):
        counts = [item[which] for item in items]
        states = torch.full((len(items), max(*counts, 1) + extra, num_layers, dim), filler)
        for place, count in enumerate(counts):
            generator = torch.Generator().manual_seed(100 * which + ITEMS.index(items[place]))
            states[place, :count] = torch.randn(count, num_layers, dim, generator=generator)
        result += [states, torch.tensor(counts)]
    return result


def is_as_often(hidden, num_draws, rate):
    """Whether a count is within four deviations of its binomial mean."""
    return abs(hidden - num_draws * rate) < 4 * (num_draws * rate * (1 - rate)) ** 0.5


@every_way
def test_each_item_gets_one_score_a_class(way):
    assert classifier(way)(*batch_of(ITEMS)).shape == (len(ITEMS), NUM_CLASSES)


@every_way
@pytest.mark.parametrize("mixed", [True, False])
@pytest.mark.parametrize("filler", [0.0, 7.5, float("nan")])
def test_neither_its_neighbours_nor_what_stands_behind_it_change_an_answer(way, mixed, filler):
    model = classifier(way, mixed=mixed)
    alone = torch.cat([model(*batch_of([item])) for item in ITEMS])
    for extra in (0, 30):
        torch.testing.assert_close(model(*batch_of(ITEMS, filler, extra)), alone, rtol=0, atol=1e-6)


@every_way
@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("value", [1e4, float("nan"), float("inf")])
def test_nothing_of_a_hidden_side_reaches_the_answer_or_a_gradient(way, which, value):
    results = []
    for filler in (0.0, value):
        model, inputs = classifier(way), batch_of(ITEMS[:3])
        inputs[2 * which].fill_(filler)
        inputs[2 * which + 1].zero_()
        scores = model(*inputs)
        scores.square().sum().backward()
        results.append([scores.detach(), *(each.grad for each in model.parameters())])
    assert results[0][0].isfinite().all()
    assert all(torch.equal(*pair) for pair in zip(*results, strict=True))


@every_way
def test_an_item_that_lacks_a_side_is_answered_by_the_other_one(way):
    model = classifier(way)
    for which, item in ((0, (7, 0)), (1, (0, 5))):
        inputs = batch_of([item])
        before = model(*inputs)
        inputs[2 * which].neg_()
        assert (model(*inputs) - before).abs().max() > 1e-3


@every_way
def test_both_sides_count_where_both_are_there(way):
    model = classifier(way)
    answers = [model(*batch_of([item])) for item in ITEMS[:1]]
    for which in (1, 3):
        inputs = batch_of(ITEMS[:1])
        inputs[which].zero_()
        assert (model(*inputs) - answers[0]).abs().max() > 1e-3


@every_way
@pytest.mark.parametrize("mixed", [True, False])
def test_every_parameter_gets_a_gradient(way, mixed):
    model = classifier(way, mixed=mixed)
    model(*batch_of(ITEMS)).square().sum().backward()
    assert [name for name, each in model.named_parameters() if not each.grad.abs().sum() > 0] == []


def by_hand(encoder, frames):
    """States of (T, L, D) by the formula: normalise each layer, lay them side by side, project, GELU."""
    centred = frames - frames.mean(dim=-1, keepdim=True)
    scaled = centred / (centred.square().mean(dim=-1, keepdim=True) + encoder.norm.eps).sqrt()
    wide = torch.cat([scaled[:, layer] for layer in range(frames.shape[1])], dim=-1)
    linear = encoder.projection[2]
    projected = wide @ linear.weight.T + linear.bias
    return projected * (1 + torch.erf(projected / 2**0.5)) / 2


@pytest.mark.parametrize("mixed", [True, False])
def test_states_are_those_of_the_formula_with_layers_mixed_or_side_by_side(mixed):
    encoder = side(*SPEECH, mixed=mixed).eval()
    frames = torch.randn(9, *SPEECH, generator=torch.Generator().manual_seed(5))
    if mixed:
        encoder.layer_mix.raw_weights.data = torch.tensor([0.3, -1.0, 2.0])
        shares = np.exp([0.3, -1.0, 2.0]) / np.exp([0.3, -1.0, 2.0]).sum()
        expected = by_hand(encoder, sum(float(share) * frames[:, [k]] for k, share in enumerate(shares)))
    else:
        expected = by_hand(encoder, frames)
    states, mask = encoder(frames.unsqueeze(0), torch.tensor([9]))
    assert mask.all()
    torch.testing.assert_close(states[0], expected, rtol=0, atol=1e-5)


def test_a_single_stored_layer_has_no_weight_to_learn():
    model = classifier()
    assert model.text.layer_mix is None and model.speech.layer_mix is not None


def test_half_precision_features_are_computed_with_in_full():
    model, (layers, num_frames, tokens, num_tokens) = classifier(), batch_of(ITEMS)
    halves = layers.half(), num_frames, tokens.half(), num_tokens
    full = halves[0].float(), num_frames, halves[2].float(), num_tokens
    assert torch.equal(model(*halves), model(*full))


@pytest.mark.parametrize("rate", [0.2, 0.7, 1.0])
def test_one_side_is_hidden_at_the_stated_rate_either_as_often_and_never_both(rate):
    num_items = 20_000
    with torch.random.fork_rng():
        torch.manual_seed(1)
        frames, tokens = hide_one(torch.full((num_items,), 9), torch.full((num_items,), 5), rate)
    assert set(frames.tolist()) <= {0, 9} and set(tokens.tolist()) <= {0, 5}
    assert not ((frames == 0) & (tokens == 0)).any()
    for hidden in (frames == 0, tokens == 0):
        assert is_as_often(int(hidden.sum()), num_items, rate / 2)


def test_an_item_that_has_one_side_keeps_it():
    counts = torch.tensor([9, 0, 3]), torch.tensor([0, 5, 0])
    hidden = hide_one(*counts, rate=1.0)
    assert all(torch.equal(*pair) for pair in zip(hidden, counts, strict=True))


def test_sides_are_hidden_in_training_alone():
    model, inputs = classifier(modality_dropout=1.0), batch_of(ITEMS[:3] * 4)
    whole = classifier(modality_dropout=0.0)(*inputs)
    assert torch.equal(model(*inputs), whole)
    model.train()
    with torch.random.fork_rng():
        torch.manual_seed(1)
        answers = model(*inputs)
    hidden = [inputs[0], inputs[1] * 0, *inputs[2:]], [*inputs[:3], inputs[3] * 0]
    by_one = [classifier()(*each) for each in hidden]
    for row, answer in enumerate(answers):
        assert any(torch.allclose(answer, each[row], atol=1e-6) for each in by_one)
        assert not torch.allclose(answer, whole[row], atol=1e-4)


def test_dropout_is_for_training_alone():
    model, inputs = classifier(dropout=0.5), batch_of(ITEMS)
    assert torch.equal(model(*inputs), model(*inputs))
    model.train()
    assert not torch.equal(model(*inputs), model(*inputs))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: classifier(modality_dropout=1.5), "`modality_dropout` must be from 0 to 1, but is 1.5 instead"),
        (lambda: classifier(dropout=1.0), "`dropout` must be from 0 up to, but not, 1, but is 1.0"),
        (lambda: side(3, 5)(torch.rand(1, 4, 3, 6), torch.tensor([4])), "must be 3 and 6.*but are 3 and 5 instead"),
        (lambda: side(1, 5)(torch.rand(1, 4, 2, 5), torch.tensor([4])), "must be 2 and 5.*but are 1 and 5 instead"),
    ],
)
def test_sizes_and_shares_that_cannot_be_are_refused_in_one_line(make, message):
    with pytest.raises(ConfigError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)
