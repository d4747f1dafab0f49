"""Normalised features have zero mean and unit variance over what they are normalised over."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from emorec_lobes.corpora.manifest import without_labels
from emorec_lobes.dataio.normalise import MODES, Normaliser
from emorec_lobes.errors import ConfigError, ProtocolError

from .conftest import make_store


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


@pytest.mark.parametrize("mode", MODES)
def test_no_mode_looks_at_a_label(layers, utterances, mode):
    frames = layers.read("a1")
    seen, unseen = (Normaliser(layers, each, mode)("a1", frames) for each in (utterances, without_labels(utterances)))
    assert torch.equal(seen, unseen)


class OneEmotionOnly(Normaliser):
    """Pools, as is often done, a speaker's utterances of one emotion."""

    def _pool(self, utterances):
        super()._pool({item: value for item, value in utterances.items() if value.emotion == "sad"})


def test_a_normaliser_that_picks_utterances_by_emotion_is_refused_where_labels_are_covered(layers, utterances):
    assert OneEmotionOnly(layers, utterances, "speaker")
    with pytest.raises(ProtocolError, match=r"`emotion` of 'a1' must stay unseen"):
        OneEmotionOnly(layers, without_labels(utterances), "speaker")


def test_speaker_mode_refuses_an_utterance_without_speaker(layers, utterances):
    utterances["a1"] = replace(utterances["a1"], speaker=None)
    with pytest.raises(ConfigError, match=r"'a1' has no speaker.*--normalise utterance"):
        Normaliser(layers, utterances, "speaker")


def test_an_unknown_mode_is_refused(layers, utterances):
    with pytest.raises(ConfigError, match="Did you mean 'speaker'"):
        Normaliser(layers, utterances, "speakers")


@pytest.fixture()
def noise(tmp_path):
    """Random frames in half precision, far from zero; one feature never moves, another hardly."""

    def frames(item, num_frames):
        values = np.random.default_rng(num_frames).normal(3, 2, (num_frames, 2, 3)).astype(np.float32)
        values[:, 0, 0] = 1.5
        values[:, 1, 1] = 1 + (np.arange(num_frames) % 2) / 1024
        return values

    return make_store(tmp_path, "noise", (2, 3), "float16", frames)


@pytest.mark.parametrize("mode", MODES)
def test_statistics_are_those_of_the_normalised_frames(noise, utterances, mode):
    normaliser = Normaliser(noise, utterances, mode)
    for item in utterances:
        frames = normaliser(item, noise.read(item)).double().numpy()
        for found, slowly in zip(normaliser.statistics(item), (frames.mean(axis=0), frames.std(axis=0)), strict=True):
            # What single precision leaves of a mean of 1 after division by the least deviation, 0.001.
            np.testing.assert_allclose(found, slowly, rtol=1e-4, atol=2e-4)


@pytest.mark.parametrize("mode", MODES)
def test_statistics_are_had_without_reading_a_frame(noise, utterances, mode, monkeypatch):
    def refuse(*args):
        raise AssertionError("a frame was read")

    monkeypatch.setattr(noise, "read", refuse)
    mean, std = Normaliser(noise, utterances, mode).statistics("a1")
    assert mean.shape == std.shape == (2, 3)
