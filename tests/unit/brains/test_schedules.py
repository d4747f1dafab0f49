"""The learning rate of each epoch."""

import pytest

from emorec_lobes.brains.schedules import MilestoneScheduler


def test_the_rates_of_fifty_epochs_are_those_of_the_paper():
    schedule = MilestoneScheduler(initial_value=0.01, milestones=[21, 31, 41], factor=0.1)
    rates = [schedule(finished)[1] for finished in range(50)]
    assert rates == pytest.approx([1e-2] * 20 + [1e-3] * 10 + [1e-4] * 10 + [1e-5] * 10)


def test_the_first_rate_is_that_of_the_epoch_that_has_ended():
    schedule = MilestoneScheduler(initial_value=1.0, milestones=[3], factor=0.5)
    assert [schedule(finished) for finished in (1, 2, 3)] == [(1.0, 1.0), (1.0, 0.5), (0.5, 0.5)]


def test_it_is_what_torch_has_for_it():
    import torch

    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.3)
    reference = torch.optim.lr_scheduler.MultiStepLR(optimizer, milestones=[4, 6], gamma=0.2)
    ours = MilestoneScheduler(initial_value=0.3, milestones=[5, 7], factor=0.2)
    for finished in range(9):
        assert ours(finished)[1] == pytest.approx(optimizer.param_groups[0]["lr"])
        optimizer.step()
        reference.step()
