"""Crops, windows and speakers of stored spectra."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from emorec_lobes.dataio.normalise import Normaliser
from emorec_lobes.dataio.spectrum import SpectrumData
from emorec_lobes.errors import DataError

from .conftest import make_store

CROP, SHIFT = 60, 24


@pytest.fixture()
def data(utterances, mel):
    """Each value of a frame is its number from 1; utterances have 40, 96, 250, 97 and 130 frames."""
    return SpectrumData(utterances, ["angry", "sad"], ["b", "x"], mel, Normaliser(mel, utterances, "none"), CROP, SHIFT)


def numbers(frames):
    """The frames' numbers, from 0: (t, M) -> list."""
    return (frames[:, 0].int() - 1).tolist()


def test_a_crop_is_consecutive_frames_from_anywhere(data):
    assert numbers(data.crop("a2", 0.0)) == list(range(60))
    assert numbers(data.crop("a2", 0.999)) == list(range(36, 96))


def test_a_short_utterance_is_repeated(data):
    assert numbers(data.crop("a1", 0.7)) == [*range(40), *range(20)]
    assert numbers(data.windows("a1")[0]) == [*range(40), *range(20)]


@pytest.mark.parametrize(
    ("utterance_id", "starts"), [("a1", [0]), ("a2", [0, 24, 36]), ("b2", [0, 24, 48, 70]), ("b1", [0, 24, 37])]
)
def test_windows_overlap_and_the_last_ends_with_the_utterance(data, utterance_id, starts):
    windows = data.windows(utterance_id)
    assert [numbers(window)[0] for window in windows] == starts
    assert all(len(window) == CROP for window in windows)


def test_no_window_stands_twice_where_the_shift_meets_the_end(data):
    data = replace(data, window_shift=18)
    assert [numbers(window)[0] for window in data.windows("a2")] == [0, 18, 36]


def test_a_speakers_mean_and_deviation_are_taken_away_from_all_that_is_read(data, utterances, mel):
    normalised = replace(data, normaliser=Normaliser(mel, utterances, "speaker"))
    every = np.concatenate([np.arange(length) + 1.0 for length in (97, 130)])  # of speaker b
    expected = (np.arange(97) + 1.0 - every.mean()) / every.std()
    assert np.allclose(normalised.whole("b1")[:, 0], expected, atol=1e-5)
    assert np.allclose(normalised.crop("b1", 0.999)[:, 0], expected[37:], atol=1e-5)
    assert np.allclose(normalised.windows("b1")[-1][:, 0], expected[37:], atol=1e-5)


def test_an_augmented_copy_is_normalised_as_its_speakers_originals(data, utterances, mel, tmp_path):
    louder = make_store(tmp_path, "louder", (4,), "float32", lambda _, n: np.full((n, 4), 500, dtype=np.float32))
    by_speaker = replace(data, normaliser=Normaliser(mel, utterances, "speaker"), copies=[louder])
    every = np.concatenate([np.arange(length) + 1.0 for length in (97, 130)])
    assert np.allclose(by_speaker.crop("b1", 0.5), (500 - every.mean()) / every.std())


def test_speakers_of_the_training_have_an_index_and_others_are_unknown(data):
    items = data.crops_dataset(["a1", "b1"])
    assert [items[place, 0.0]["speaker"] for place in (0, 1)] == [-1, 0]


def test_items_of_a_training_have_what_the_draw_says(data):
    item = data.crops_dataset(["b1"])[0, 0.999]
    assert (item["id"], item["target"], numbers(item["spectrum"])) == ("b1", 1, list(range(37, 97)))


def test_evaluation_has_every_frame_and_the_longest_first(data):
    dataset = data.utterances_dataset(["a1", "a3", "b1"], "whole")
    assert [dataset[place]["spectrum"].shape for place in range(3)] == [(250, 4), (97, 4), (40, 4)]
    assert torch.equal(dataset[1]["spectrum"], data.whole("b1"))
    assert data.utterances_dataset(["a3"], "overlapping")[0]["spectrum"].shape == (9, 60, 4)


def test_the_speaker_is_not_part_of_what_is_evaluated(data):
    assert set(data.utterances_dataset(["a1"], "whole")[0]) == {"id", "spectrum", "target"}


def test_an_emotion_without_a_class_is_refused(data):
    with pytest.raises(DataError, match="sad"):
        replace(data, labels=["angry"]).target("a2")


def test_the_original_and_its_copies_share_the_draws_evenly(data, tmp_path):
    def constant(value):
        return make_store(
            tmp_path, f"constant{value}", (4,), "float32", lambda item, n: np.full((n, 4), value, np.float32)
        )

    data = replace(data, copies=[constant(-1), constant(-2)])
    drawn = [int(data.crop("a3", (draw + 0.5) / 300)[0, 0]) for draw in range(300)]
    assert [sum(value == each for value in drawn) for each in (-1, -2)] == [100, 100]
    assert [value for value in drawn if value > 0] == sorted(value for value in drawn if value > 0)
    assert data.windows("a1")[0, 0, 0] == 1  # evaluation hears the original
