"""What is trained at which rate, and how windows become an answer."""

from functools import partial
from types import SimpleNamespace

import pytest
import speechbrain as sb
import torch
from speechbrain.dataio.batch import PaddedData
from torch import nn

from emorec_lobes.brains.ad import ADBrain
from emorec_lobes.brains.schedules import MilestoneScheduler
from emorec_lobes.models.dual_space import DualSpaceScores, dual_space_loss


class Model(nn.Module):
    """Scores are the sums of features; what it is given is kept."""

    def __init__(self):
        super().__init__()
        self.new, self.learnt = nn.Linear(1, 1), nn.Linear(1, 1)
        self.sizes = []

    def forward(self, features, lens=None):
        self.sizes.append(len(features))
        emotion = features.sum(dim=1)  # (B, T, 2) -> (B, 2)
        irrelevant = [torch.tensor([[1.0, 0.0], [3.0, 0.0], [0.0, 5.0]])] if self.training else []
        return DualSpaceScores(emotion, [emotion] if self.training else [], irrelevant)

    def parameter_groups(self, disentanglers_with):
        return list(self.new.parameters()), list(self.learnt.parameters())


class Batch(SimpleNamespace):
    """Whatever the dataset yields, without moving."""

    def to(self, device):
        return self


@pytest.fixture()
def brain():
    hparams = {
        "dual_space_loss": partial(dual_space_loss, ad_weight=0.5),
        "extractor_lr_factor": 0.01,
        "disentanglers_with": "heads",
        "segments_per_forward": 2,
        "lr_annealing": MilestoneScheduler(0.01, [2], 0.1),
        "model": Model(),
    }
    brain = ADBrain(
        {"model": hparams["model"]}, partial(torch.optim.Adam, lr=0.01), hparams, run_opts={"device": "cpu"}
    )
    brain.logged = {}
    brain.log_losses = lambda **losses: brain.logged.update(losses)
    brain.init_optimizers()
    return brain


def rates(brain):
    return [group["lr"] for group in brain.optimizer.param_groups]


def test_the_extractor_learns_at_its_part_of_the_rate_in_every_epoch(brain):
    assert rates(brain) == pytest.approx([1e-2, 1e-4])
    for epoch, rate in ((1, 1e-2), (2, 1e-3), (3, 1e-3)):
        brain.on_stage_start(sb.Stage.TRAIN, epoch)
        assert rates(brain) == pytest.approx([rate, rate / 100])


def test_the_groups_hold_what_the_model_says(brain):
    heads, extractor = ([id(value) for value in group["params"]] for group in brain.optimizer.param_groups)
    assert heads == [id(value) for value in brain.hparams.model.new.parameters()]
    assert extractor == [id(value) for value in brain.hparams.model.learnt.parameters()]


def test_an_utterance_is_the_mean_of_its_windows_and_not_of_the_padding(brain):
    windows = torch.zeros(2, 3, 1, 2)
    windows[0, :, 0, 0] = torch.tensor([1.0, 2.0, 4.0])
    windows[1, 0, 0, 1] = 3.0
    windows[1, 1:] = 100.0  # padding
    batch = Batch(spectrum=PaddedData(windows, torch.tensor([1.0, 1 / 3])))
    brain.modules.eval()
    found = brain.compute_forward(batch, sb.Stage.TEST).exp()
    first = torch.stack([torch.softmax(torch.tensor([each, 0.0]), 0) for each in (1.0, 2.0, 4.0)]).mean(0)
    torch.testing.assert_close(found, torch.stack([first, torch.softmax(torch.tensor([0.0, 3.0]), 0)]))
    assert brain.hparams.model.sizes == [2, 2]  # four windows, two at a time


def test_a_whole_utterance_goes_through_the_model_with_its_length(brain):
    brain.modules.eval()
    batch = Batch(spectrum=PaddedData(torch.rand(3, 5, 2), torch.ones(3)))
    found = brain.compute_forward(batch, sb.Stage.VALID)
    torch.testing.assert_close(found, batch.spectrum.data.sum(dim=1).log_softmax(dim=1))


def test_the_loss_is_the_dual_space_loss_and_unknown_speakers_are_no_hit(brain):
    batch = Batch(
        spectrum=PaddedData(torch.rand(3, 5, 2), torch.ones(3)),
        target=torch.tensor([0, 1, 0]),
        speaker=torch.tensor([0, 1, -1]),
    )
    scores = brain.compute_forward(batch, sb.Stage.TRAIN)
    loss = brain.compute_objectives(scores, batch, sb.Stage.TRAIN)
    torch.testing.assert_close(loss, dual_space_loss(scores, batch.target, batch.speaker, 0.5).total)
    assert float(brain.logged["irrelevant_speaker_accuracy"]) == pytest.approx(0.5)  # one of the two known ones
