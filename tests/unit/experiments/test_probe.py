"""Probes find what was planted, and nothing where nothing is."""

from collections import Counter
from functools import partial

import numpy as np
import pytest
from scipy import stats

from emorec_lobes.errors import DataError
from emorec_lobes.experiments.probe import Rows, Side, Training, fit_linear, network_fit, probe, split_per_speaker
from emorec_lobes.models.probe import Probe

FAST = Training(epochs=5, least_updates=150, batch_size=32, lr=3e-3)
CLASSES = ("a", "b", "c", "d")


def make_network(width, classes):
    return Probe(width, (64, 32, 32), classes)


FITS = {"network": network_fit(make_network, seed=1, training=FAST), "linear": fit_linear}


def side(generator, name, planted, num_utterances=120, width=16, segments=1):
    """Utterances of four classes, each in some segments; `planted` says how far their classes lie apart."""
    targets = np.arange(num_utterances) % len(CLASSES)
    vectors = generator.standard_normal((num_utterances, segments, width))
    vectors += planted * np.eye(len(CLASSES), width)[targets][:, None]
    return Side(name, Rows(vectors.reshape(-1, width), np.full(num_utterances, segments)), targets)


@pytest.mark.parametrize("name", FITS)
def test_what_was_planted_is_found(name):
    generator = np.random.default_rng(1)
    trained, held_out = side(generator, "t", 4.0), side(generator, "held out", 4.0)
    [found] = probe(FITS[name], trained, [held_out], CLASSES)
    assert found["accuracy"] > 0.9 and found["interval"]["low"] > 0.8
    assert found["uniform"] == 0.25 and found["majority"] == 0.25 and found["num_utterances"] == 120


@pytest.mark.parametrize("name", FITS)
def test_in_noise_the_interval_covers_chance(name):
    generator = np.random.default_rng(2)
    trained, held_out = side(generator, "t", 0.0), side(generator, "held out", 0.0)
    [found] = probe(FITS[name], trained, [held_out], CLASSES)
    assert found["interval"]["low"] < 0.25 < found["interval"]["high"]


@pytest.mark.parametrize("name", FITS)
def test_what_moves_by_rounding_errors_only_tells_nothing(name):
    """Classes planted a millionth apart in vectors of size one, as behind instance normalisation."""
    generator = np.random.default_rng(3)
    sides = [side(generator, each, 4.0) for each in ("t", "held out")]
    trained, held_out = (
        Side(each.name, Rows(1 + 1e-6 * each.rows.vectors, each.rows.counts), each.targets) for each in sides
    )
    [found] = probe(FITS[name], trained, [held_out], CLASSES)
    assert found["accuracy"] == 0.25


def test_the_scale_of_the_vectors_does_not_matter():
    generator = np.random.default_rng(4)
    sides = [side(generator, each, 2.0) for each in ("t", "held out")]
    scaled = [Side(each.name, Rows(1e-3 * each.rows.vectors, each.rows.counts), each.targets) for each in sides]
    plain, small = (probe(fit_linear, trained, [held], CLASSES) for trained, held in (sides, scaled))
    assert plain == small


def test_an_utterance_is_answered_by_the_mean_over_its_segments():
    """So that five weak segments together are right more often than one of them alone."""
    generator = np.random.default_rng(5)
    trained = side(generator, "t", 1.5)
    ones, fives = side(generator, "one", 1.5, 400), side(generator, "five", 1.5, 400, segments=5)
    one, five = probe(fit_linear, trained, [ones, fives], CLASSES)
    assert five["accuracy"] > one["accuracy"] + 0.1
    rows = Rows(np.array([[1.0], [3.0], [8.0]]), np.array([2, 1]))
    assert rows.means().tolist() == [[2.0], [8.0]]
    assert rows.of(np.array([1])).vectors.tolist() == [[8.0]]


def test_the_majority_is_the_commonest_class_of_the_training():
    generator = np.random.default_rng(6)
    trained, held_out = side(generator, "t", 0.0), side(generator, "held out", 0.0, num_utterances=8)
    trained.targets[:60] = 3
    held_out.targets[:] = [3, 0, 0, 0, 0, 1, 2, 3]
    [found] = probe(fit_linear, trained, [held_out], CLASSES)
    assert found["majority"] == 0.25 and found["num_classes"] == 4


def test_the_interval_is_clopper_and_pearsons():
    generator = np.random.default_rng(7)
    trained, held_out = side(generator, "t", 30.0), side(generator, "held out", 30.0, num_utterances=8)
    [found] = probe(fit_linear, trained, [held_out], CLASSES)
    assert found["accuracy"] == 1.0 and found["interval"]["high"] == 1.0
    assert found["interval"]["low"] == pytest.approx(stats.beta.ppf(0.025, 8, 1))


def test_the_network_probe_is_the_same_under_the_same_seed_and_leaves_the_global_one_alone():
    import torch

    generator = np.random.default_rng(8)
    trained = side(generator, "t", 1.0, num_utterances=40)
    fit = partial(FITS["network"], trained.rows.vectors, trained.targets, len(CLASSES))
    before = torch.get_rng_state()
    assert np.array_equal(fit()(trained.rows.vectors), fit()(trained.rows.vectors))
    assert torch.equal(before, torch.get_rng_state())


def test_the_split_is_disjoint_complete_and_80_to_20_for_each_speaker():
    speakers = ["x"] * 50 + ["y"] * 10 + ["z"] * 2
    training, held_out = split_per_speaker(speakers, np.random.default_rng(1))
    assert sorted([*training, *held_out]) == list(range(62))
    assert Counter(speakers[each] for each in held_out) == {"x": 10, "y": 2, "z": 1}
    assert training.tolist() == sorted(training) and held_out.tolist() == sorted(held_out)


def test_the_split_depends_on_the_draw_alone():
    speakers = ["x", "y"] * 30
    first, again, other = (split_per_speaker(speakers, np.random.default_rng(seed))[1].tolist() for seed in (1, 1, 2))
    assert first == again != other


def test_who_is_unknown_or_spoke_once_is_on_neither_side():
    speakers = [None, "x", "x", "once", "y", "y", "", "x"]
    training, held_out = split_per_speaker(speakers, np.random.default_rng(1))
    assert sorted([*training, *held_out]) == [1, 2, 4, 5, 7]


@pytest.mark.parametrize("speakers", [[None] * 10, ["x"] * 10, ["x", "y", "z"]])
def test_without_two_speakers_there_is_nothing_to_probe(speakers):
    with pytest.raises(DataError, match="2 or more speakers"):
        split_per_speaker(speakers, np.random.default_rng(1))
