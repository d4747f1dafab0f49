"""Draws are a pure function of the seed and the draw number."""

from collections import Counter

from emorec_lobes.dataio.sampler import DrawSampler


def make(**changes):
    arguments = {"num_items": 10, "batch_size": 4, "updates_per_epoch": 5, "number_of_updates": 23, "seed": 7}
    return DrawSampler(**{**arguments, **changes})


def all_draws(sampler, num_epochs):
    draws = []
    for epoch in range(1, num_epochs + 1):
        sampler.set_epoch(epoch)
        draws.extend(sampler)
    return draws


def test_a_later_epoch_yields_the_same_whether_or_not_the_earlier_ones_were_iterated():
    walked = make()
    for epoch in (1, 2):
        walked.set_epoch(epoch)
        list(walked)
    walked.set_epoch(3)
    fresh = make()
    fresh.set_epoch(3)
    assert list(walked) == list(fresh)


def test_every_pass_holds_every_item_once():
    draws = all_draws(make(), num_epochs=5)
    assert len(draws) == 23 * 4
    for start in range(0, 90, 10):
        assert Counter(index for index, _ in draws[start : start + 10]) == Counter(range(10))


def test_the_epoch_length_does_not_change_what_is_drawn():
    assert all_draws(make(updates_per_epoch=23), 1) == all_draws(make(updates_per_epoch=2), 12)


def test_another_seed_draws_otherwise():
    assert all_draws(make(), 1) != all_draws(make(seed=8), 1)


def test_crop_fractions_differ_between_passes_and_lie_in_the_unit_interval():
    draws = all_draws(make(), 5)
    fractions = [fraction for index, fraction in draws if index == 3]
    assert len(set(fractions)) == len(fractions) > 5
    assert all(0 <= fraction < 1 for _, fraction in draws)


def test_two_processes_together_draw_what_one_with_the_doubled_batch_draws():
    one = all_draws(make(batch_size=8), 5)
    ranks = [all_draws(make(rank=rank, world_size=2), 5) for rank in (0, 1)]
    together = []
    for start in range(0, len(ranks[0]), 4):
        together += ranks[0][start : start + 4] + ranks[1][start : start + 4]
    assert together == one


def test_an_epoch_after_the_last_update_is_empty():
    sampler = make()
    sampler.set_epoch(6)
    assert list(sampler) == [] and len(sampler) == 0
