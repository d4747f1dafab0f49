"""What the loss is made of, and what is answered."""

from types import SimpleNamespace

import numpy as np
import pytest
import speechbrain as sb
import torch
from torch import nn

from emorec_lobes.brains.ter import TERBrain

SCORES = [[2.0, 0.5, -1.0], [0.0, 1.0, 0.3], [0.2, 0.1, -2.0], [1.0, 1.0, 1.0]]
TARGETS = [0, 2, 1, 0]
SOFTMAX = np.exp(SCORES) / np.exp(SCORES).sum(axis=1, keepdims=True)


class Model(nn.Module):
    """Answers the same whatever it is given, and keeps that."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(1, 1)

    def forward(self, tokens, lens):
        self.given = (tokens, lens)
        return torch.tensor(SCORES)


class Batch(SimpleNamespace):
    """Whatever the dataset yields, without moving."""

    def to(self, device):
        return self


@pytest.fixture()
def batch():
    tokens = (torch.rand(4, 5, 1, 2), torch.tensor([1.0, 0.2, 0.6, 0.4]))
    return Batch(id=list("abcd"), tokens=tokens, target=torch.tensor(TARGETS))


def brain_of(**hparams):
    defaults = {"class_weights": None, "label_smoothing": 0.0}
    brain = TERBrain({"model": Model()}, hparams={**defaults, **hparams}, run_opts={"device": "cpu"})
    brain.logged = {}
    brain.log_losses = brain.logged.update
    return brain


def run(brain, batch, stage):
    return brain.compute_objectives(brain.compute_forward(batch, stage), batch, stage)


@pytest.mark.parametrize("weights", [[1.0, 1.0, 1.0], [0.5, 3.0, 1.2]])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_loss_is_the_smoothed_and_weighted_cross_entropy(batch, weights, smoothing):
    wanted = np.zeros((4, 3))
    wanted[range(4), TARGETS] = 1
    wanted = (1 - smoothing) * wanted + smoothing / 3
    by_hand = -(wanted * np.log(SOFTMAX) * weights).sum() / np.array(weights)[TARGETS].sum()
    brain = brain_of(class_weights=weights, label_smoothing=smoothing)
    loss = run(brain, batch, sb.Stage.TRAIN)
    assert float(loss) == pytest.approx(by_hand, rel=1e-6) and brain.logged == {"loss": loss}


def test_without_class_weights_all_weigh_the_same(batch):
    assert run(brain_of(), batch, sb.Stage.TRAIN) == run(brain_of(class_weights=[2, 2, 2]), batch, sb.Stage.TRAIN)


@pytest.mark.parametrize("stage", [sb.Stage.VALID, sb.Stage.TEST])
def test_evaluation_answers_with_the_softmax_and_neither_weights_nor_smooths(batch, stage):
    brain = brain_of(class_weights=[9.0, 1.0, 1.0], label_smoothing=0.5)
    brain.on_stage_start(stage)
    loss = run(brain, batch, stage)
    assert float(loss) == pytest.approx(-np.log(SOFTMAX[range(4), TARGETS]).mean(), rel=1e-6)
    assert list(brain.predictions) == list("abcd") and brain.logged == {}
    np.testing.assert_allclose(list(brain.predictions.values()), SOFTMAX, rtol=1e-6)


def test_the_model_is_given_the_tokens_and_their_lengths(batch):
    brain = brain_of()
    brain.compute_forward(batch, sb.Stage.TEST)
    assert brain.modules.model.given is not None
    assert all(torch.equal(*pair) for pair in zip(brain.modules.model.given, batch.tokens, strict=True))
