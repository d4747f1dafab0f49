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


def trained(steps=20, **options):
    """A wide layer, its optimiser and Brain after some updates; `options` are SpeechBrain's, `adam` Adam's."""
    torch.manual_seed(0)
    adam = options.pop("adam", {})
    kind = options.pop("kind", UpdatesBrain)
    layer = nn.Linear(40, 30)
    brain = kind(
        {"model": layer},
        lambda weights: torch.optim.Adam(weights, lr=1e-3, **adam),
        run_opts={"device": "cpu", **options},
    )
    brain.init_optimizers()
    for _ in range(steps):
        layer(torch.randn(8, 40)).square().mean().backward()
        brain.optimizers_step()
    return brain, layer


class AsInSpeechBrain(UpdatesBrain):
    """Its step, whatever the limit on the norm."""

    optimizers_step = sb.Brain.optimizers_step


@pytest.mark.parametrize("limit", [float("inf"), 0.01])
def test_a_step_is_to_the_bit_that_of_speechbrain(limit):
    ours, layer = trained(max_grad_norm=limit)
    theirs, reference = trained(max_grad_norm=limit, kind=AsInSpeechBrain)
    assert torch.equal(layer.weight, reference.weight) and torch.equal(layer.bias, reference.bias)
    assert ours.optimizer_step == theirs.optimizer_step == 20
    assert layer.weight.grad is None


def test_gradients_are_limited_where_a_limit_is_given():
    assert not torch.equal(
        trained(max_grad_norm=0.01, steps=3)[1].weight, trained(max_grad_norm=float("inf"), steps=3)[1].weight
    )


@pytest.mark.parametrize("limit", [float("inf"), 1.0])
def test_gradients_that_are_no_numbers_are_left_out_where_that_is_asked_for(limit):
    brain, layer = trained(steps=0, max_grad_norm=limit, skip_nonfinite_grads=True)
    before = layer.bias.detach().clone()
    layer.bias.grad = torch.full_like(layer.bias, float("inf"))
    brain.check_gradients = lambda: setattr(layer.bias, "grad", None)
    brain.optimizers_step()
    assert torch.equal(layer.bias, before)


def test_fused_adam_is_adam_up_to_rounding():
    fused, plain = (trained(adam={"fused": fused}, max_grad_norm=float("inf"))[1] for fused in (True, False))
    torch.testing.assert_close(fused.weight, plain.weight, rtol=0, atol=1e-6)
    torch.testing.assert_close(fused.bias, plain.bias, rtol=0, atol=1e-6)
