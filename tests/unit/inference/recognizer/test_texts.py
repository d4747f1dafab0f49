"""Models that read: a text's own answer, alone or beside others, with its audio or without."""

import numpy as np
import pytest
import torch
from torch import nn

from emorec_lobes.errors import ConfigError, DataError
from emorec_lobes.features.audio import load_audio
from emorec_lobes.inference import texts as texts_module
from emorec_lobes.inference.recognizer import EmotionRecognizer
from emorec_lobes.models.combination import combination
from emorec_lobes.models.fusion import ModalityEncoder, SpeechTextClassifier
from emorec_lobes.models.layer_mix import LayerMix
from emorec_lobes.models.text_cnn import TextCNN

TEXTS = ["no", "I am so glad to see you", "leave me alone now", "well"]
WIDTH = 6


class Words:
    """A text encoder: a vector a word, the same whatever stands beside it."""

    def batch(self, texts):
        return [torch.stack([self.vector(word) for word in text.split()]) for text in texts]

    def vector(self, word):
        return torch.randn(1, WIDTH, generator=torch.Generator().manual_seed(sum(map(ord, word))))


@pytest.fixture(autouse=True)
def words(monkeypatch):
    monkeypatch.setattr(texts_module, "load_text_encoder", lambda *_: Words())


def spread(last):
    with torch.no_grad():
        last.weight.normal_(std=2.0)


@pytest.fixture(scope="module")
def reader():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        cnn = TextCNN(
            WIDTH, [8], [3], padding=1, num_classes=3, dropout=0.5, authors=False, layer_mix=LayerMix(1, "ratio")
        )
        spread(cnn.output)
    return cnn


@pytest.fixture(scope="module")
def listener():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        sides = (ModalityEncoder(*sizes, hidden_dim=8, dropout=0.5, layer_mix=None) for sizes in ((1, 80), (1, WIDTH)))
        model = SpeechTextClassifier(*sides, combination("concatenation", 8, 1), 3, dropout=0.5, modality_dropout=0.5)
        for side in (model.speech, model.text):
            nn.init.normal_(side.stand_in)
        spread(model.output[-1])
    return model


def opened(model, prefix=""):
    hparams = {"labels": ["angry", "happy", "sad"], "brackets": "keep", "max_tokens": 32}
    hparams |= {f"{prefix}encoder": "words", f"{prefix}num_layers": 1, f"{prefix}encoder_dim": WIDTH}
    if prefix:
        hparams |= {"encoder": "mel", "num_layers": 1, "encoder_dim": 80, "encoder_padding": "centred"}
        hparams |= {"normalise": "utterance"}
    return EmotionRecognizer({"model": model}, hparams)


def values(answers):
    return np.array([list(answer.probabilities.values()) for answer in answers])


def test_a_text_is_answered_alone_as_in_a_list(reader):
    recognizer = opened(reader)
    alone = values([recognizer.predict(text=text) for text in TEXTS])

    together = values(recognizer.predict(text=TEXTS))

    assert np.abs(alone - together).max() < 1e-5 and np.ptp(alone, axis=0).max() > 0.05
    with torch.no_grad():
        tokens = Words().batch(TEXTS[1:2])[0].half().float()
        expected = reader(tokens.unsqueeze(0), torch.ones(1)).softmax(dim=1)
    assert np.abs(alone[1] - expected[0].numpy()).max() < 1e-5


def test_a_reader_hears_nothing(reader, recordings):
    recognizer = opened(reader)
    assert recognizer.takes_text and not recognizer.takes_audio
    assert recognizer.predict(recordings[0], text="well").warnings == ("audio not used",)
    with pytest.raises(ConfigError, match="needs a `text`"):
        recognizer.predict(recordings[0])
    with pytest.raises(ConfigError, match="hears nothing"):
        recognizer.timeline(recordings[0])
    with pytest.raises(DataError, match="input 1"):
        recognizer.predict(text=["well", " "])


def test_speech_and_text_go_together_or_alone(listener, recordings):
    recognizer = opened(listener, "text_")
    paths = [*recordings[:3], recordings[0]]
    both = values(recognizer.predict(paths, text=TEXTS))
    alone = values([recognizer.predict(path, text=text) for path, text in zip(paths, TEXTS, strict=True)])
    assert np.abs(both - alone).max() < 1e-5

    some = values(recognizer.predict(paths, text=[TEXTS[0], None, TEXTS[2], None]))
    speech, text = values(recognizer.predict(paths)), values(recognizer.predict(text=TEXTS))

    assert np.abs(some[[0, 2]] - both[[0, 2]]).max() < 1e-5 and np.abs(some[[1, 3]] - speech[[1, 3]]).max() < 1e-5
    for one, other in ((both, speech), (both, text), (speech, text)):
        assert np.abs(one - other).max() > 1e-3


def test_speech_alone_is_what_the_model_says_of_its_layers(listener, recordings):
    from emorec_lobes.features.mel import MelSpectrogram

    layers = MelSpectrogram()(load_audio(recordings[1])).half().float()
    std, mean = torch.std_mean(layers, dim=0, correction=0)
    layers = ((layers - mean) / std.clamp_min(1e-3)).unsqueeze(0).unsqueeze(2)
    with torch.no_grad():
        counts = torch.tensor([layers.shape[1]]), torch.tensor([0])
        expected = listener(layers, counts[0], torch.zeros(1, 1, 1, WIDTH), counts[1]).softmax(dim=1)
    found = values([opened(listener, "text_").predict(recordings[1])])
    assert np.abs(found - expected.numpy()).max() < 1e-5


def test_silence_with_words_has_an_answer_and_without_has_none(listener):
    recognizer = opened(listener, "text_")
    silence = np.zeros(16_000)
    assert recognizer.predict(silence, sample_rate_hz=16_000).label is None
    assert recognizer.predict(silence, text="leave me", sample_rate_hz=16_000).label is not None
