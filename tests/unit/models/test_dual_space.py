import math

import pytest
import torch

from emorec_lobes.errors import ConfigError
from emorec_lobes.models.dual_space import DualSpaceHeads, DualSpaceScores, dual_space_loss

EMOTION = torch.tensor([0, 1])


def heads_of(output_dim=6, module_dims=(6,), shared=False):
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return DualSpaceHeads(output_dim, module_dims, num_classes=4, num_speakers=8, shared_emotion_head=shared)


def by_hand():
    """Scores whose probabilities are fractions, of two utterances."""
    return DualSpaceScores(
        emotion=torch.tensor([[3.0, 1.0], [1.0, 1.0]]).log(),  # 3/4 and 1/2 for the right class
        relevant=[torch.tensor([[1.0, 1.0], [1.0, 4.0]]).log()],  # 1/2 and 4/5
        irrelevant=[torch.tensor([[2.0, 1.0, 1.0], [1.0, 1.0, 6.0]]).log()],  # 1/2 for 0, 3/4 for 2
    )


def test_the_losses_are_those_worked_by_hand():
    losses = dual_space_loss(by_hand(), EMOTION, torch.tensor([0, 2]), ad_weight=0.5)
    main, relevant = (math.log(4 / 3) + math.log(2)) / 2, (math.log(2) + math.log(5 / 4)) / 2
    irrelevant = (math.log(2) + math.log(4 / 3)) / 2
    expected = (main + 0.5 * (relevant + irrelevant), main, relevant, irrelevant)
    assert [loss.item() for loss in losses] == pytest.approx(expected)


@pytest.mark.parametrize("other_score", [0.0, 1e6, math.nan])
def test_an_utterance_of_an_unknown_speaker_never_reaches_the_loss_of_the_speaker_head(other_score):
    scores = by_hand()
    given = scores.irrelevant[0].clone()
    given[1] = other_score
    given.requires_grad_()
    losses = dual_space_loss(scores._replace(irrelevant=[given]), EMOTION, torch.tensor([0, -1]), ad_weight=0.5)
    assert losses.irrelevant.item() == pytest.approx(math.log(2))  # the mean over the one that is known
    losses.total.backward()
    assert given.grad[0].any() and not given.grad[1].any()


def test_a_batch_without_a_known_speaker_has_a_loss_of_zero_with_a_gradient_of_zero():
    heads, pooled = heads_of(), torch.rand(2, 6, requires_grad=True)
    irrelevant = torch.rand(2, 6, requires_grad=True)
    losses = dual_space_loss(heads(pooled, [pooled], [irrelevant]), EMOTION, torch.tensor([-1, -1]), ad_weight=0.5)
    assert losses.irrelevant.item() == 0
    losses.irrelevant.backward(retain_graph=True)
    assert torch.equal(irrelevant.grad, torch.zeros(2, 6))
    assert torch.equal(heads.irrelevant[0].weight.grad, torch.zeros(8, 6))
    losses.total.backward()
    assert torch.isfinite(losses.total) and heads.emotion.weight.grad.any()


def test_losses_of_several_modules_add_up():
    scores = by_hand()
    twice = scores._replace(relevant=scores.relevant * 2, irrelevant=scores.irrelevant * 2)
    one = dual_space_loss(scores, EMOTION, torch.tensor([0, 2]), ad_weight=0.5)
    two = dual_space_loss(twice, EMOTION, torch.tensor([0, 2]), ad_weight=0.5)
    assert two.emotion == one.emotion
    torch.testing.assert_close(two.total - two.emotion, 2 * (one.total - one.emotion))


def test_without_a_module_the_total_is_the_emotion_loss():
    heads = heads_of(module_dims=[])
    losses = dual_space_loss(heads(torch.rand(2, 6)), EMOTION, torch.tensor([0, 2]), ad_weight=0.5)
    assert losses.total == losses.emotion
    assert losses.relevant == losses.irrelevant == 0


def test_each_head_answers_for_its_own_vector():
    heads = heads_of(output_dim=6, module_dims=[3, 5])
    pooled, relevant, irrelevant = torch.rand(2, 6), [torch.rand(2, 3), torch.rand(2, 5)], [torch.rand(2, 3)] * 2
    irrelevant[1] = torch.rand(2, 5)
    scores = heads(pooled, relevant, irrelevant)
    torch.testing.assert_close(scores.emotion, pooled @ heads.emotion.weight.T + heads.emotion.bias)
    for place in (0, 1):
        for kind, given in (("relevant", relevant), ("irrelevant", irrelevant)):
            head = getattr(heads, kind)[place]
            expected = given[place] @ head.weight.T + head.bias
            torch.testing.assert_close(getattr(scores, kind)[place], expected)
    assert scores.irrelevant[0].shape == (2, 8)


def test_every_parameter_of_every_head_gets_a_gradient():
    for shared in (False, True):
        heads, pooled = heads_of(module_dims=[6, 6], shared=shared), torch.rand(2, 6)
        scores = heads(pooled, [pooled, pooled], [pooled, pooled])
        dual_space_loss(scores, EMOTION, torch.tensor([0, 2]), ad_weight=0.5).total.backward()
        assert all(parameter.grad.abs().sum() > 0 for parameter in heads.parameters())


def test_a_shared_head_on_one_vector_weighs_the_emotion_one_and_a_half_times():
    heads, pooled = heads_of(shared=True), torch.rand(2, 6)
    losses = dual_space_loss(heads(pooled, [pooled], [pooled]), EMOTION, torch.tensor([0, 2]), ad_weight=0.5)
    torch.testing.assert_close(losses.total, 1.5 * losses.emotion + 0.5 * losses.irrelevant)
    assert sum(parameter.numel() for parameter in heads.parameters()) == 7 * (4 + 8)


def test_the_answer_alone_needs_no_irrelevant_half():
    heads, pooled = heads_of(), torch.rand(2, 6)
    answer = heads(pooled)
    assert torch.equal(answer.emotion, heads(pooled, [pooled], [pooled]).emotion)
    assert answer.relevant == answer.irrelevant == []


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: heads_of(6, [6, 5], shared=True), r"`shared_emotion_head` must be False.*\[6, 5\].*ends with 6"),
        (lambda: heads_of()(torch.rand(2, 6), [torch.rand(2, 6)]), "one entry for each of the 1 AD.*have 1 and 0"),
        (lambda: heads_of(6, [])(*[torch.rand(2, 6)] + [[torch.rand(2, 6)]] * 2), "each of the 0 AD.*have 1 and 1"),
        (lambda: dual_space_loss(by_hand(), EMOTION, EMOTION, -1.0), "`ad_weight` must be 0 or more, but is -1.0"),
        (lambda: dual_space_loss(by_hand(), EMOTION, EMOTION, math.nan), "`ad_weight` must be 0 or more, but is nan"),
    ],
)
def test_what_cannot_be_used_is_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()
