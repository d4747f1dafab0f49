"""What the loss is made of, and what of a batch is augmented."""

from types import SimpleNamespace

import numpy as np
import pytest
import speechbrain as sb
import torch
from torch import nn

from emorec_lobes.brains.ser import SERBrain
from emorec_lobes.models.losses import masked_mse

LOGITS = [[2.0, 0.5, -1.0], [0.0, 1.0, 0.3], [0.2, 0.1, -2.0], [1.0, 1.0, 1.0]]
TARGETS = [0, 2, 1, 0]


class Model(nn.Module):
    """Keeps what it is given."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(1, 1)
        self.given = []

    def forward(self, layers, speaker, phones=None, num_valid=None):
        self.given.append(layers)
        return SimpleNamespace(logits=torch.tensor(LOGITS)[: len(layers)])


class Batch(SimpleNamespace):
    """Whatever the dataset yields, without moving."""

    def to(self, device, non_blocking=False):
        return self


def brain_of(**hparams):
    defaults = {
        "emotion_weight": 1.0,
        "mel_first_weight": 0.0,
        "mel_weight": 0.0,
        "masked": True,
        "reconstruction_loss": masked_mse,
        "class_weights": None,
        "label_smoothing": 0.0,
        "spec_augment": False,
        "layer_augment": lambda layers: -layers,
        "segments_per_forward": 8,
        "segment_weights": "equal",
    }
    brain = SERBrain({"model": Model()}, hparams={**defaults, **hparams}, run_opts={"device": "cpu"})
    brain.log_losses = lambda **losses: None
    return brain


def loss_by_hand(weights, smoothing):
    """Weighted mean over utterances of -sum_k q_k w_k log p_k, by the sum of the targets' weights."""
    total, norm = 0.0, 0.0
    for row, target in zip(np.array(LOGITS), TARGETS, strict=True):
        log_p = row - np.log(np.exp(row).sum())
        q = np.full(3, smoothing / 3)
        q[target] += 1 - smoothing
        total -= (q * np.array(weights) * log_p).sum()
        norm += weights[target]
    return total / norm


@pytest.mark.parametrize("weights", [None, [0.5, 3.0, 1.2]])
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_the_emotion_loss_is_the_smoothed_and_weighted_cross_entropy(weights, smoothing):
    brain = brain_of(class_weights=weights, label_smoothing=smoothing, emotion_weight=2.0)
    predictions = SimpleNamespace(logits=torch.tensor(LOGITS))
    loss = brain.compute_objectives(predictions, Batch(target=torch.tensor(TARGETS)), sb.Stage.TRAIN)
    assert float(loss) == pytest.approx(2 * loss_by_hand(weights or [1, 1, 1], smoothing), rel=1e-6)


def data(tensor):
    return SimpleNamespace(data=tensor)


@pytest.fixture()
def batch():
    layers = torch.rand(2, 6, 3, 4) + 1
    return Batch(
        layers=data(layers),
        mel=data(layers[:, :, 0]),
        phones=data(torch.zeros(2, 6)),
        num_valid=torch.tensor([6, 4]),
        speaker_vector=data(torch.zeros(2, 5)),
    )


@pytest.mark.parametrize("is_on", [True, False])
def test_training_augments_the_layers_and_not_their_targets(batch, is_on):
    brain = brain_of(spec_augment=is_on, mel_weight=1.0)
    clean = {name: getattr(batch, name).data.clone() for name in ("layers", "mel", "phones")}
    brain.compute_forward(batch, sb.Stage.TRAIN)
    [given] = brain.modules.model.given
    assert torch.equal(given, -clean["layers"] if is_on else clean["layers"])
    assert all(torch.equal(getattr(batch, name).data, value) for name, value in clean.items())
    assert batch.num_valid.tolist() == [6, 4]


@pytest.mark.parametrize("stage", [sb.Stage.VALID, sb.Stage.TEST])
def test_evaluation_augments_nothing(batch, stage):
    segments = batch.layers.data.unsqueeze(1)  # one segment an utterance
    whole = Batch(layers=data(segments), num_valid=data(torch.tensor([[6], [4]])), speaker_vector=batch.speaker_vector)
    brain = brain_of(spec_augment=True)
    brain.compute_forward(whole, stage)
    assert torch.equal(torch.cat(brain.modules.model.given), batch.layers.data)


@pytest.mark.parametrize(("segment_weights", "shares"), [("equal", [1 / 2, 1 / 2]), ("frames", [96 / 99, 3 / 99])])
def test_an_utterance_is_the_mean_of_its_segments_each_by_its_weight(segment_weights, shares):
    brain = brain_of(segment_weights=segment_weights)
    whole_and_short = Batch(
        layers=data(torch.rand(2, 2, 96, 3, 4)),
        num_valid=data(torch.tensor([[96, 3], [40, 0]])),
        speaker_vector=data(torch.zeros(2, 5)),
    )
    answers = brain.compute_forward(whole_and_short, sb.Stage.TEST).exp()
    softmax = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(answers[0], shares[0] * softmax[0] + shares[1] * softmax[1], atol=1e-6)
    np.testing.assert_allclose(answers[1], softmax[2], atol=1e-6)
