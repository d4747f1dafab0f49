"""What every Brain that counts updates does, whatever it learns."""

import pytest
import speechbrain as sb
import torch
from torch import nn

from emorec_lobes.brains.base import EmotionBrain, UpdatesBrain


def brain_of(kind, **hparams):
    return kind({"model": nn.Linear(1, 1)}, hparams=hparams, run_opts={"device": "cpu"})


class Counting(UpdatesBrain):
    """Counts how often it was told to forget."""

    forgot = 0

    def clear_answers(self):
        self.forgot += 1


@pytest.mark.parametrize("stage", [sb.Stage.VALID, sb.Stage.TEST])
def test_an_evaluation_begins_with_no_answers(stage):
    brain = brain_of(Counting, lr_annealing=None)
    brain.on_stage_start(stage)
    assert brain.forgot == 1
    brain.on_stage_start(sb.Stage.TRAIN, epoch=1)
    assert brain.forgot == 1


def test_a_brain_of_emotions_scores_what_its_last_evaluation_collected():
    brain = brain_of(EmotionBrain, labels=["angry", "sad"])
    brain.log_probabilities(["old"], torch.tensor([[0.9, 0.1]]), torch.tensor([1]))
    brain.on_stage_start(sb.Stage.VALID)
    rows = torch.tensor([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]])
    brain.log_probabilities(["a", "b", "c"], rows, torch.tensor([0, 1, 1]))
    assert set(brain.predictions) == {"a", "b", "c"}
    assert brain.scores()["accuracy"] == pytest.approx(2 / 3) and brain.scores()["uar"] == pytest.approx(3 / 4)


def test_a_brain_must_say_what_its_answers_are():
    with pytest.raises(NotImplementedError):
        brain_of(UpdatesBrain).scores()
