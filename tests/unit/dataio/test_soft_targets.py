"""Training items carry their utterance's shares of the classes; evaluation items its class."""

from dataclasses import replace

import pytest
import torch
from speechbrain.dataio.batch import PaddedBatch

from . import test_spectrum, test_speech, test_text

speech_data, text_data, spectrum_data = test_speech.data, test_text.data, test_spectrum.data

SHARES = torch.tensor([0.25, 0.75])


@pytest.mark.parametrize(
    ("kind", "training", "evaluation", "rated", "unrated"),
    [
        ("speech_data", "crops_dataset", "segments_dataset", "a3", "a1"),
        ("text_data", "draws_dataset", "utterances_dataset", "b", "a"),
        ("spectrum_data", "crops_dataset", None, "a3", "a1"),
    ],
)
def test_every_draw_of_a_rated_utterance_has_its_shares_and_others_all_for_their_class(
    request, kind, training, evaluation, rated, unrated
):
    data = replace(request.getfixturevalue(kind), soft_targets={rated: SHARES})
    dataset = getattr(data, training)([rated, unrated])
    batch = PaddedBatch([dataset[0, 0.0], dataset[1, 0.4], dataset[0, 0.9]])
    assert torch.equal(batch.target.data, torch.stack([SHARES, torch.tensor([1.0, 0.0]), SHARES]))
    items = getattr(data, evaluation)([rated]) if evaluation else data.utterances_dataset([rated], "whole")
    assert items[0]["target"] == data.target("angry" if kind == "speech_data" else rated)


def test_without_shares_targets_are_classes(request):
    for kind in ("speech_data", "spectrum_data"):
        assert request.getfixturevalue(kind).crops_dataset(["a2"])[0, 0.5]["target"] == 1


def test_a_draw_of_an_unrated_text_of_several_emotions_is_all_for_the_one_that_it_chooses(text_data):
    both = replace(text_data.utterances["c"], emotions=["angry", "sad"])
    data = replace(text_data, utterances={**text_data.utterances, "c": both}, soft_targets={"b": SHARES})
    dataset = data.draws_dataset(["c"])
    assert [dataset[0, fraction]["target"].tolist() for fraction in (0.1, 0.9)] == [[1, 0], [0, 1]]
