"""What the model is handed is what the store holds, with the right class, padded and counted right."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from speechbrain.dataio.batch import PaddedBatch

from emorec_lobes.corpora.manifest import Utterance
from emorec_lobes.dataio.text import TextData
from emorec_lobes.errors import DataError
from emorec_lobes.features.store import FeatureStore, StoreHeader
from emorec_lobes.lengths import lens_to_frames

COUNTS = {"a": 7, "b": 1, "c": 13, "d": 7}


@pytest.fixture()
def data(tmp_path):
    store = FeatureStore.open(tmp_path, StoreHeader("tokens", {"test": 1}, 0, None, (2, 3), "float16"))
    for number, (item, count) in enumerate(COUNTS.items(), start=1):
        store.write(item, torch.full((count, 2, 3), float(number)), audio_hash=item, source=())
    emotions = dict(zip(COUNTS, ("angry", "sad", "sad", "angry"), strict=True))
    utterances = {item: Utterance(item, "", 0.0, emotion, emotion) for item, emotion in emotions.items()}
    return TextData(utterances, ("angry", "sad"), store)


def test_a_training_batch_holds_each_draws_utterance_whole(data):
    dataset = data.draws_dataset(["a", "b", "c"])
    batch = PaddedBatch([dataset[2, 0.9], dataset[0, 0.1], dataset[1, 0.5]])
    assert batch.id == ["c", "a", "b"] and batch.target.tolist() == [1, 0, 1]
    tokens, lens = batch.tokens
    assert tokens.shape == (3, 13, 2, 3)
    assert lens_to_frames(lens, 13).tolist() == [13, 7, 1]
    assert [float(tokens[row, :count].unique()) for row, count in enumerate((13, 7, 1))] == [3.0, 1.0, 2.0]
    assert not tokens[1, 7:].any() and not tokens[2, 1:].any()


def test_evaluation_goes_from_long_to_short_and_leaves_none_out(data):
    dataset = data.utterances_dataset(["a", "b", "c", "d"])
    items = [dataset[place] for place in range(len(dataset))]
    assert [item["id"] for item in items] == ["c", "a", "d", "b"]
    assert [item["target"] for item in items] == [1, 0, 0, 1]
    assert [len(item["tokens"]) for item in items] == [13, 7, 7, 1]


def test_of_several_emotions_a_draw_chooses_one_evenly(data):
    both = replace(data.utterances["c"], emotions=["angry", "sad"])
    data = replace(data, utterances={**data.utterances, "c": both})
    dataset = data.draws_dataset(["c"])
    chosen = [dataset[0, float(fraction)]["target"] for fraction in np.linspace(0, 1, 200, endpoint=False)]
    assert chosen == [0] * 100 + [1] * 100
    assert dataset[0, float(np.nextafter(1.0, 0.0))]["target"] == 1


def test_an_emotion_outside_the_labels_is_an_error_and_never_class_zero(data):
    data = replace(data, labels=("angry", "happy"))
    with pytest.raises(DataError, match="must be one of angry, happy, but is 'sad'"):
        data.target("b")
