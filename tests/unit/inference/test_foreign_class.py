"""A model folder is a SpeechBrain hub folder: its own loader finds modules, pretrainer and class."""

import pytest
import torch
from safetensors.torch import load_file, save_file
from speechbrain.inference.interfaces import Pretrained, foreign_class

from emorec_lobes.errors import ConfigError
from emorec_lobes.inference import recognizer


class Stub(Pretrained):
    """Takes what SpeechBrain hands over."""

    HPARAMS_NEEDED = ["labels", "sample_rate", "temperature"]  # noqa: RUF012
    MODULES_NEEDED = ["model"]  # noqa: RUF012


def load(folder):
    return foreign_class(source=str(folder), pymodule_file="custom.py", classname="EmotionRecognizer")


def test_speechbrain_loads_the_folder_strictly_and_leaves_no_link(copy, tmp_path, monkeypatch):
    monkeypatch.setattr(recognizer, "EmotionRecognizer", Stub)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    before = sorted(path.name for path in copy.iterdir())
    loaded = load(copy)
    weights = load_file(copy / "model.safetensors")
    assert isinstance(loaded, Stub) and not loaded.mods.model.training
    assert loaded.hparams.labels == ["angry", "neutral", "happy", "sad"]
    state = loaded.mods.model.state_dict()
    assert set(state) == set(weights) and all(torch.equal(state[name], weights[name]) for name in weights)
    assert list((tmp_path / "work").iterdir()) == []
    assert sorted(path.name for path in copy.iterdir() if path.name != "__pycache__") == before


def test_a_missing_tensor_stops_speechbrain_too(copy, monkeypatch):
    monkeypatch.setattr(recognizer, "EmotionRecognizer", Stub)
    weights = load_file(copy / "model.safetensors")
    weights.pop("classifier.layers.0.weight")
    save_file(weights, copy / "model.safetensors")
    with pytest.raises(ConfigError, match=r"classifier\.layers\.0\.weight is missing"):
        load(copy)
