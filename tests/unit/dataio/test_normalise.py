"""Normalised features have zero mean and unit variance over what they are normalised over."""

from dataclasses import replace

import pytest
import torch

from emorec_lobes.dataio.normalise import Normaliser
from emorec_lobes.errors import ConfigError


def test_none_leaves_the_frames_alone(layers, utterances):
    frames = layers.read("a1")
    assert torch.equal(Normaliser(layers, utterances, "none")("a1", frames), frames)


@pytest.mark.parametrize("utterance_id", ["a1", "a3", "b2"])
def test_utterance_mode_whitens_each_utterance(layers, utterances, utterance_id):
    whole = Normaliser(layers, utterances, "utterance")(utterance_id, layers.read(utterance_id))
    assert torch.allclose(whole.mean(dim=0), torch.zeros(2, 3), atol=1e-4)
    assert torch.allclose(whole.std(dim=0, correction=0), torch.ones(2, 3), atol=1e-4)


def test_a_slice_is_normalised_like_the_same_frames_of_the_whole(layers, utterances):
    normaliser = Normaliser(layers, utterances, "utterance")
    whole = normaliser("a3", layers.read("a3"))
    assert torch.allclose(normaliser("a3", layers.read("a3", 100, 196)), whole[100:196])


def test_speaker_mode_whitens_all_of_a_speakers_frames_together(layers, utterances):
    normaliser = Normaliser(layers, utterances, "speaker")
    for speaker in "ab":
        ids = [item for item in utterances if item[0] == speaker]
        together = torch.cat([normaliser(item, layers.read(item)) for item in ids])
        assert torch.allclose(together.mean(dim=0), torch.zeros(2, 3), atol=1e-4)
        assert torch.allclose(together.std(dim=0, correction=0), torch.ones(2, 3), atol=1e-4)


def test_speaker_mode_looks_at_no_label(layers, utterances):
    relabelled = {item: replace(value, emotion="sad") for item, value in utterances.items()}
    frames = layers.read("a1")
    before, after = (Normaliser(layers, corpus, "speaker")("a1", frames) for corpus in (utterances, relabelled))
    assert torch.equal(before, after)


def test_speaker_mode_refuses_an_utterance_without_speaker(layers, utterances):
    utterances["a1"] = replace(utterances["a1"], speaker=None)
    with pytest.raises(ConfigError, match=r"'a1' has no speaker.*--normalise utterance"):
        Normaliser(layers, utterances, "speaker")


def test_an_unknown_mode_is_refused(layers, utterances):
    with pytest.raises(ConfigError, match="Did you mean 'speaker'"):
        Normaliser(layers, utterances, "speakers")
