"""The network before training, beside which others are drawn, is the one that training started from."""

import json

import pytest
import torch
from safetensors.torch import save_file

from emorec_lobes.errors import ConfigError
from emorec_lobes.experiments.pretrained import Pretrained
from emorec_lobes.experiments.probed_run import before_training, fold_settings
from emorec_lobes.features.spectrum_spec import SpectrumSpec
from emorec_lobes.models.emotion_network import EmotionNetwork
from emorec_lobes.models.front_end import DisentangledFrontEnd
from emorec_lobes.models.vgg import VGG

SPEC = {"num_mels": 40, "window_ms": 40.0, "hop_ms": 10.0, "subtract_mean": True}


@pytest.fixture()
def run(tmp_path):
    """A fold's settings, its network, and the weights it began with."""
    vgg = VGG(channels=[4, 4], pooled=[2], masked_norm=True)
    save_file(vgg.state_dict(), tmp_path / "front_end.safetensors")
    (tmp_path / "front_end.json").write_text(json.dumps({"kind": "fbank", **SPEC, "trained_on": "noise"}))
    learnt = Pretrained(str(tmp_path), SpectrumSpec())
    (tmp_path / "fingerprint.json").write_text(json.dumps({"features": {"pretrained": learnt.fingerprint}}))
    hparams = {**SPEC, "features": "fbank", "vad": "none", "vad_options": {}, "normalise": "none"}
    hparams["pretrained"] = str(tmp_path)
    trained = DisentangledFrontEnd(VGG(channels=[4, 4], pooled=[2], masked_norm=True), [], lambda width: None)
    network = EmotionNetwork(trained, "mean_std", 4, num_classes=2, num_speakers=1, shared_emotion_head=False)
    return fold_settings(tmp_path, hparams), network, vgg.state_dict()


def test_it_has_the_weights_that_training_began_with(run):
    settings, network, learnt = run
    fresh = before_training(settings, network)["before training"].front_end.front_end.state_dict()
    assert all(torch.equal(fresh[name], value) for name, value in learnt.items())


def test_weights_that_have_changed_since_are_refused(run, tmp_path):
    settings, network, learnt = run
    save_file({name: value + 1 for name, value in learnt.items()}, tmp_path / "front_end.safetensors")
    with pytest.raises(ConfigError, match=r"`pretrained` must hold the weights that .* began with"):
        before_training(settings, network)
