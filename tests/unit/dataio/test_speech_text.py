"""Both sides of an item are what the stores hold, and a side that is missing or hidden counts as none."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from speechbrain.dataio.batch import PaddedBatch

from emorec_lobes.dataio.normalise import Normaliser
from emorec_lobes.dataio.speech_text import SpeechTextData
from emorec_lobes.errors import DataError
from emorec_lobes.features.store import FeatureStore, StoreHeader

TOKENS = {"a1": 3, "a2": 11, "b1": 1, "b2": 5}  # a3 has no text
BY_LENGTH = ["a3", "b2", "b1", "a2", "a1"]  # of 250, 130, 97, 96 and 40 frames


@pytest.fixture()
def data(tmp_path, layers, utterances):
    tokens = FeatureStore.open(tmp_path, StoreHeader("tokens", {"test": 1}, None, None, (1, 4), "float16"))
    for number, (item, count) in enumerate(TOKENS.items(), start=1):
        tokens.write(item, torch.full((count, 1, 4), float(number)), audio_hash=item, source=())
    return SpeechTextData(
        utterances=utterances,
        labels=("angry", "sad"),
        layers=layers,
        tokens=tokens,
        with_text=TOKENS,
        normaliser=Normaliser(layers, utterances, "none"),
        crop_frames=100,
    )


def batch_of(dataset):
    return PaddedBatch([dataset[place] for place in range(len(dataset))])


def test_training_crops_the_speech_and_takes_the_whole_text(data):
    dataset = data.crops_dataset(["a1", "a2", "a3"])
    batch = PaddedBatch([dataset[0, 0.9], dataset[1, 0.9], dataset[2, 0.5]])
    assert batch.id == ["a1", "a2", "a3"] and batch.target.tolist() == [0, 1, 0]
    assert batch.num_frames.tolist() == [40, 96, 100] and batch.num_tokens.tolist() == [3, 11, 0]
    assert batch.layers.data.shape == (3, 100, 2, 3) and batch.tokens.data.shape == (3, 11, 1, 4)
    numbers = [batch.layers.data[row, : batch.num_frames[row], 0, 0].tolist() for row in range(3)]
    assert numbers == [list(range(40)), list(range(96)), list(range(75, 175))]  # a3: 0.5 of 151 possible starts
    assert [batch.tokens.data[row].unique().tolist() for row in range(3)] == [[0, 1], [2], [0]]


def test_every_frame_can_be_in_a_crop(data):
    dataset = data.crops_dataset(["a3"])
    starts = [
        int(dataset[0, float(fraction)]["layers"][0, 0, 0]) for fraction in np.linspace(0, 1, 500, endpoint=False)
    ]
    assert sorted(set(starts)) == list(range(151))


def test_evaluation_hears_whole_utterances_from_long_to_short_and_leaves_none_out(data):
    batch = batch_of(data.utterances_dataset(list(data.utterances)))
    assert batch.id == BY_LENGTH
    assert batch.num_frames.tolist() == [250, 130, 97, 96, 40] and batch.num_tokens.tolist() == [0, 5, 1, 11, 3]
    assert torch.equal(batch.layers.data[1, :130], data.layers.read("b2"))
    assert torch.equal(batch.tokens.data[1, :5], data.tokens.read("b2"))


def test_with_the_text_hidden_no_token_is_read(data, monkeypatch):
    monkeypatch.setattr(data.tokens, "read", None)
    batch = batch_of(replace(data, inputs=("speech",)).utterances_dataset(list(data.utterances)))
    assert batch.id == BY_LENGTH and batch.num_frames.tolist() == [250, 130, 97, 96, 40]
    assert not batch.num_tokens.any() and not batch.tokens.data.any()


def test_with_the_speech_hidden_no_frame_is_read_and_what_has_no_text_is_left_out(data, monkeypatch):
    monkeypatch.setattr(data.layers, "read", None)
    batch = batch_of(replace(data, inputs=("text",)).utterances_dataset(list(data.utterances)))
    assert batch.id == BY_LENGTH[1:] and batch.num_tokens.tolist() == [5, 1, 11, 3]
    assert not batch.num_frames.any() and not batch.layers.data.any()


def test_frames_are_normalised_as_asked(data):
    data = replace(data, normaliser=Normaliser(data.layers, data.utterances, "utterance"))
    frames, _ = data.speech("a3")
    np.testing.assert_allclose(frames.mean(dim=0), 0, atol=1e-5)
    np.testing.assert_allclose(frames.std(dim=0, correction=0), 1, atol=1e-5)


def test_an_emotion_outside_the_labels_is_an_error_and_never_class_zero(data):
    with pytest.raises(DataError, match="must be one of angry, happy, but is 'sad'"):
        replace(data, labels=("angry", "happy")).target("a2")
