"""ser_small.yaml the whole way, as on the real corpus: IEMOCAP's tree, a 24-layer wav2vec 2.0, five folds.

Only sizes and the number of updates are overridden; the weights of the encoder are random, so no score is looked at.
"""

import json
import sys
from pathlib import Path

import pytest
import torch

from emorec_lobes.brains.ser import SERBrain
from emorec_lobes.evaluation.predictions import read_predictions
from emorec_lobes.experiments.run import main
from emorec_lobes.experiments.speech import SpeechTask
from emorec_lobes.features.store import FeatureStore

HPARAMS = Path(__file__).parents[2] / "hparams/ser_small.yaml"
NUM_TURNS = 2


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    """The architecture of wav2vec2-large, 24 layers deep and 16 wide, saved as the hub has it."""
    from transformers import Wav2Vec2Config, Wav2Vec2Model

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("encoder")
    config = Wav2Vec2Config(
        hidden_size=16,
        num_hidden_layers=24,
        num_attention_heads=2,
        intermediate_size=32,
        conv_dim=[16] * 7,
        conv_bias=True,
        num_conv_pos_embedding_groups=2,
        do_stable_layer_norm=True,
        feat_extract_norm="layer",
    )
    Wav2Vec2Model(config).save_pretrained(folder)
    return folder


def test_five_sessions_are_held_out_in_turn_and_pooled(synthetic_iemocap, encoder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["train_ser.py"])
    overrides = {
        "corpus": "synthetic",
        "data_folder": synthetic_iemocap,
        "output_folder": tmp_path / "run",
        "feature_folder": tmp_path / "features",
        "encoder": encoder,
        "encoder_dim": 16,
        "conv_channels": 16,
        "decoder_channels": 16,
        "phone_dim": 8,
        "number_of_updates": 6,
        "updates_per_validation": 3,
        "num_workers": 0,
    }
    words = [f"--{key}={value}" for key, value in overrides.items()]
    assert main(SERBrain, SpeechTask, [str(HPARAMS), *words, "--device=cpu", "--noprogressbar"]) == 0
    assert "Results: synthetic corpus" in capsys.readouterr().out

    manifest = json.loads((tmp_path / "run/manifest.json").read_text())
    predictions = read_predictions(tmp_path / "run/predictions.csv")
    assert sorted(predictions.ids) == sorted(manifest)
    for utterance_id, fold in zip(predictions.ids, predictions.folds, strict=True):
        assert manifest[utterance_id]["session"] == fold
    record = json.loads((tmp_path / "run/results.json").read_text())
    assert record["stamp"]["protocol"] == "paper" and record["stamp"]["speaker_independent"] is True
    assert len(record["folds"]) == 5

    [layers] = (tmp_path / "features").glob("layers-*")
    store = FeatureStore.read_only(layers)
    assert store.header.shape == (25, 16) and store.header.dtype == "float16"
    assert store.read(predictions.ids[0]).shape[1:] == (25, 16)
    enrolled = json.loads((tmp_path / "run/fold_1/enrolment.json").read_text())
    assert len(enrolled) == 10 and all(enrolled.values())
