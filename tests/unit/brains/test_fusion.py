"""What the model is given, and that the rest is the text Brain's."""

from types import SimpleNamespace

import numpy as np
import pytest
import speechbrain as sb
import torch
from torch import nn

from emorec_lobes.brains.fusion import FusionBrain

SCORES = [[2.0, 0.5, -1.0], [0.0, 1.0, 0.3]]
TARGETS = [0, 2]


class Model(nn.Module):
    """Answers the same whatever it is given, and keeps that."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(1, 1)

    def forward(self, *inputs):
        self.inputs = inputs
        return torch.tensor(SCORES)


class Batch(SimpleNamespace):
    """Whatever the dataset yields, without moving."""

    def to(self, device):
        return self


@pytest.mark.parametrize("stage", list(sb.Stage))
def test_the_model_is_given_both_sides_with_their_counts_and_its_answers_are_scored(stage):
    layers, tokens = torch.rand(2, 5, 3, 4), torch.rand(2, 7, 1, 6)
    batch = Batch(
        id=["a", "b"],
        layers=SimpleNamespace(data=layers),
        num_frames=torch.tensor([5, 2]),
        tokens=SimpleNamespace(data=tokens),
        num_tokens=torch.tensor([0, 7]),
        target=torch.tensor(TARGETS),
    )
    hparams = {"class_weights": None, "label_smoothing": 0.0, "labels": ["angry", "neutral", "sad"]}
    brain = FusionBrain({"model": Model()}, hparams=hparams, run_opts={"device": "cpu"})
    brain.log_losses = lambda **losses: None
    loss = brain.compute_objectives(brain.compute_forward(batch, stage), batch, stage)
    given = brain.modules.model.inputs
    assert given[0] is layers and given[2] is tokens
    assert given[1].tolist() == [5, 2] and given[3].tolist() == [0, 7]
    softmax = np.exp(SCORES) / np.exp(SCORES).sum(axis=1, keepdims=True)
    assert float(loss) == pytest.approx(-np.log(softmax[[0, 1], TARGETS]).mean(), rel=1e-6)
    assert list(brain.predictions) == ([] if stage is sb.Stage.TRAIN else ["a", "b"])
