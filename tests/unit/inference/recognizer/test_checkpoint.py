"""Hugging Face audio classifiers answer as transformers' own code does, alone or in a batch, and bring no code."""

import json
import shutil

import numpy as np
import pytest
import torch

from emorec_lobes.errors import ConfigError, EmorecError, UnavailableError
from emorec_lobes.inference.recognizer import EmotionRecognizer

_SIZES = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 24}
_SIZES |= {"conv_dim": (8,) * 7, "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 2}
_SIZES |= {
    "classifier_proj_size": 8,
    "id2label": {0: "ang", 1: "neu", 2: "hap"},
    "num_labels": 3,
    "initializer_range": 0.5,
}
_LARGE = {"do_stable_layer_norm": True, "feat_extract_norm": "layer"}
FAMILIES = {
    "wav2vec2": ("Wav2Vec2", _LARGE),
    "weighted": ("Wav2Vec2", _LARGE | {"use_weighted_layer_sum": True}),
    "wav2vec2-base": ("Wav2Vec2", {}),
    "hubert": ("Hubert", _LARGE),
    "wavlm": ("WavLM", _LARGE),
    "data2vec-audio": ("Data2VecAudio", {}),
}


@pytest.fixture(scope="module")
def classifier(tmp_path_factory, waves):
    """family -> (its model, spread, its folder)."""
    import transformers

    made = {}

    def get(family):
        if family not in made:
            name, options = FAMILIES[family]
            folder = tmp_path_factory.mktemp(family)
            with torch.random.fork_rng():
                torch.manual_seed(0)
                config = getattr(transformers, f"{name}Config")(**_SIZES, **options)
                model = getattr(transformers, f"{name}ForSequenceClassification")(config).eval()
            spread(model, waves)
            model.save_pretrained(folder)
            made[family] = model, folder
        return made[family]

    return get


@pytest.fixture(scope="module")
def waves(say):
    durations = [*np.random.default_rng(0).uniform(0.3, 2, 6), 1.25, 1.25]
    return [say(duration_s, seed) for seed, duration_s in enumerate(durations)]


def spread(model, waves):
    """Gives the classes logits of unit deviation over these waves: else all would have about one answer."""
    with torch.no_grad():
        logits = torch.cat([model(standardised(wave)).logits for wave in waves])
        std, mean = torch.std_mean(logits, dim=0)
        model.classifier.weight.div_(std.unsqueeze(-1))
        model.classifier.bias.sub_(mean).div_(std)


def standardised(wave):
    return torch.from_numpy((wave - wave.mean()) / np.sqrt(wave.var() + 1e-7)).unsqueeze(0)


def values(answers):
    return np.array([list(answer.probabilities.values()) for answer in answers])


@pytest.mark.parametrize("family", FAMILIES)
def test_answers_are_transformers_own_alone_and_in_a_batch(classifier, waves, family):
    from transformers import Wav2Vec2FeatureExtractor

    model, folder = classifier(family)
    extractor = Wav2Vec2FeatureExtractor()
    expected = []
    for wave in waves:
        with torch.no_grad():
            inputs = extractor(wave, sampling_rate=16_000, return_tensors="pt").input_values
            expected.append(model(inputs).logits.softmax(dim=1)[0].numpy())
    recognizer = EmotionRecognizer.from_hparams(folder)
    assert recognizer.labels == ("ang", "neu", "hap")

    alone = [recognizer.predict(wave, sample_rate_hz=16_000) for wave in waves]
    together = recognizer.predict(waves, sample_rate_hz=16_000, embeddings=True)

    assert np.ptp(expected, axis=0).max() > 0.1
    assert np.abs(values(alone) - expected).max() < 1e-5
    assert np.abs(values(together) - expected).max() < 1e-5
    assert together[0].embedding.shape == (8,)


@pytest.mark.parametrize("lower", ["bf16", "int8"])
def test_a_lower_precision_is_near(tmp_path, waves, lower):
    """With weights of the size that training starts from; where they are larger, rounding grows from layer to layer."""
    import transformers

    with torch.random.fork_rng():
        torch.manual_seed(0)
        wide = {"hidden_size": 64, "conv_dim": (64,) * 7, "initializer_range": 0.02}
        config = transformers.Wav2Vec2Config(**_SIZES | _LARGE | wide)
        transformers.Wav2Vec2ForSequenceClassification(config).save_pretrained(tmp_path)
    seen = []
    for precision in ("fp32", lower):
        recognizer = EmotionRecognizer.from_hparams(tmp_path, precision=precision)
        answers = recognizer.predict(waves, sample_rate_hz=16_000)
        seen.append(np.array([list(answer.probabilities.values()) for answer in answers]))
    assert 0 < np.abs(seen[0] - seen[1]).max() < 0.02


def changed(folder, target, **options):
    shutil.copytree(folder, target)
    path = target / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | options))
    return target


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"architectures": ["Wav2Vec2ForCTC"]}, "must hold a classifier of waves"),
        ({"architectures": []}, "says nothing instead"),
        ({"auto_map": {"AutoModelForAudioClassification": "evil.Model"}}, "without code of its own"),
        ({"id2label": {"0": "a", "1": "a", "2": "b"}}, "must differ"),
        ({"hidden_size": 32}, "cannot be loaded|must be complete"),
    ],
)
def test_another_kind_of_folder_is_refused(classifier, tmp_path, options, message):
    folder = changed(classifier("wav2vec2")[1], tmp_path / "model", **options)
    with pytest.raises(EmorecError, match=message) as caught:
        EmotionRecognizer.from_hparams(folder)
    assert "\n" not in str(caught.value)


def test_pickled_weights_are_not_opened(classifier, tmp_path):
    folder = changed(classifier("wav2vec2")[1], tmp_path / "model")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ConfigError, match=r"must hold model\.safetensors"):
        EmotionRecognizer.from_hparams(folder)


def test_a_pickle_named_safetensors_is_not_opened(classifier, tmp_path):
    folder = changed(classifier("wav2vec2")[1], tmp_path / "model")
    torch.save({"a": torch.zeros(1)}, folder / "model.safetensors")
    with pytest.raises(UnavailableError, match="cannot be loaded"):
        EmotionRecognizer.from_hparams(folder)


def test_a_head_that_would_be_left_random_is_refused(classifier, tmp_path):
    from safetensors.torch import load_file, save_file

    folder = changed(classifier("wav2vec2")[1], tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    del weights["classifier.weight"]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(UnavailableError, match=r"the first is classifier\.weight"):
        EmotionRecognizer.from_hparams(folder)
