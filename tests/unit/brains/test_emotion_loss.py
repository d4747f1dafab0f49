"""The loss of shares of the classes: by hand, and for one class alone the very same as PyTorch's of classes."""

from types import SimpleNamespace

import numpy as np
import pytest
import speechbrain as sb
import torch
from speechbrain.dataio.batch import PaddedBatch
from torch.nn.functional import cross_entropy, one_hot

from emorec_lobes.brains.emotion_loss import emotion_loss
from emorec_lobes.models.dual_space import DualSpaceScores, dual_space_loss

from . import test_ad, test_ser, test_ter

brain = test_ad.brain

weighted = pytest.mark.parametrize("weights", [None, [0.5, 3.0, 1.2]])
smoothed = pytest.mark.parametrize("smoothing", [0.0, 0.1])


def drawn(num_utterances, seed=0):
    generator = torch.Generator().manual_seed(seed)
    scores = 3 * torch.randn(num_utterances, 3, generator=generator)
    return scores, torch.randint(0, 3, (num_utterances,), generator=generator)


@weighted
@smoothed
@pytest.mark.parametrize("num_utterances", [1, 2, 9, 64, 257])
def test_shares_that_are_all_for_one_class_have_the_loss_and_gradient_of_that_class_to_the_last_digit(
    weights, smoothing, num_utterances
):
    scores, classes = drawn(num_utterances)
    hard, soft = scores.clone().requires_grad_(), scores.clone().requires_grad_()
    options = {"weight": weights and torch.tensor(weights), "label_smoothing": smoothing}
    expected = cross_entropy(hard, classes, **options)
    found = emotion_loss(soft, one_hot(classes, 3).float(), weights, smoothing)
    expected.backward()
    found.backward()
    assert torch.equal(found, expected) and torch.equal(soft.grad, hard.grad)
    assert torch.equal(emotion_loss(scores, classes, weights, smoothing), expected)


@weighted
@smoothed
def test_the_loss_of_shares_is_worked_by_hand(weights, smoothing):
    scores, _ = drawn(5)
    shares = np.random.default_rng(1).dirichlet([1, 1, 1], 5)
    total = norm = 0.0
    for row, wanted in zip(scores.double().numpy(), shares, strict=True):
        log_p = row - np.log(np.exp(row).sum())
        for k, weight in enumerate(weights or [1, 1, 1]):
            total -= weight * ((1 - smoothing) * wanted[k] + smoothing / 3) * log_p[k]
            norm += weight * wanted[k]
    found = emotion_loss(scores, torch.tensor(shares, dtype=torch.float32), weights, smoothing)
    assert float(found) == pytest.approx(total / norm, rel=1e-5)


def padded(targets):
    """As the loader hands them on: tensors of one length, padded to it."""
    return PaddedBatch([{"id": str(number), "target": row} for number, row in enumerate(targets)]).target


def test_the_speech_brain_trains_on_shares():
    shares = torch.tensor([[0.5, 0.5, 0.0]] * len(test_ser.TARGETS))
    brain, logits = test_ser.brain_of(class_weights=[1.0, 2.0, 3.0]), torch.tensor(test_ser.LOGITS)
    loss = brain.compute_objectives(
        SimpleNamespace(logits=logits), test_ser.Batch(target=padded(shares)), sb.Stage.TRAIN
    )
    assert torch.equal(loss, emotion_loss(logits, shares, [1.0, 2.0, 3.0]))


def test_the_text_brain_trains_on_shares():
    shares = torch.tensor([[0.5, 0.5, 0.0]] * len(test_ter.TARGETS))
    brain = test_ter.brain_of(label_smoothing=0.2)
    loss = brain.compute_objectives(
        torch.tensor(test_ter.SCORES), test_ter.Batch(target=padded(shares)), sb.Stage.TRAIN
    )
    assert torch.equal(loss, emotion_loss(torch.tensor(test_ter.SCORES), shares, None, 0.2))


def test_both_emotion_heads_of_disentanglement_train_on_shares():
    scores, classes = drawn(4)
    speaker = torch.tensor([0, 1, -1, 0])
    heads = DualSpaceScores(scores, [2 * scores], [torch.zeros(4, 2)])
    shares = 0.5 * one_hot(classes, 3).float() + 0.5 / 3
    found = dual_space_loss(heads, shares, speaker, 0.5, emotion_loss=emotion_loss)
    assert torch.equal(found.emotion, emotion_loss(scores, shares))
    assert torch.equal(found.relevant, emotion_loss(2 * scores, shares))
    one = dual_space_loss(heads, one_hot(classes, 3).float(), speaker, 0.5, emotion_loss=emotion_loss)
    assert torch.equal(one.total, dual_space_loss(heads, classes, speaker, 0.5).total)
    assert torch.equal(found.irrelevant, one.irrelevant)


def test_the_brain_of_disentanglement_trains_on_shares(brain):
    scores = DualSpaceScores(torch.tensor([[1.0, 0.0]] * 3), [], [torch.zeros(3, 2)])
    shares, speaker = torch.tensor([[0.25, 0.75]] * 3), torch.tensor([0, 1, 1])
    batch = test_ad.Batch(target=padded(shares), speaker=speaker)
    brain.compute_objectives(scores, batch, sb.Stage.TRAIN)
    assert torch.equal(brain.logged["emotion"], emotion_loss(scores.emotion, shares))
