"""Layers with small shares go at export, and what that changes is what was said of it."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from emorec_lobes.errors import ConfigError
from emorec_lobes.features.speech import layers_header, load_encoder
from emorec_lobes.features.store import FeatureStore
from emorec_lobes.inference.cut import cut_layers, layers_kept
from emorec_lobes.inference.export import export, largest_move, read_fold
from emorec_lobes.inference.graph import make_graph
from emorec_lobes.inference.model_folder import open_folder, open_model, verify
from emorec_lobes.inference.recognizer import EmotionRecognizer
from emorec_lobes.inference.verify import RECORD

SHARES = (0.9, 0.108, -0.008)  # of ratio weights that sum to 1


def write_shares(folder, shares=SHARES):
    weights = load_file(folder / "model.safetensors")
    weights["model.layer_mix.raw_weights"] = torch.tensor(shares)
    save_file(weights, folder / "model.safetensors")
    return folder


def name_store(folder, name):
    record = json.loads((folder / "results.json").read_text())
    record["fingerprint"]["features"]["layers"] = name
    (folder / "results.json").write_text(json.dumps(record))


@pytest.fixture()
def fold(make_fold, tmp_path):
    return write_shares(make_fold(tmp_path / "fold_1", num_statistics=0))


def test_the_topmost_go_while_their_shares_sum_to_no_more_than_is_allowed():
    shares = torch.tensor([0.25, 0.5, 0.125, -0.0625, 0.03125, 0.0])
    by_hand = {0.0: 5, 0.03: 5, 0.03125: 4, 0.09: 4, 0.09375: 3, 0.21: 3, 0.21875: 2, 0.99: 1, 9.0: 1}
    assert {most: layers_kept(shares, most) for most in by_hand} == by_hand
    assert layers_kept(torch.tensor([0.0, 0.0]), 0.0) == 1


@pytest.mark.parametrize("normalise", ["none", "speaker"])
def test_the_cut_model_answers_as_the_whole_one_does_where_the_dropped_layers_are_zero(make_fold, tmp_path, normalise):
    whole = open_folder(write_shares(make_fold(tmp_path / "f", num_statistics=0, normalise=normalise)))
    cut = cut_layers(whole, 0.01)
    assert (cut.kept, cut.num_layers, round(cut.share, 6)) == (2, 3, 0.008)
    graphs = [make_graph(each.task, each.model, each.hparams) for each in (whole, cut.loaded)]
    layers, counts, speaker = graphs[0].example(torch.Generator().manual_seed(1))
    without = layers.clone()
    without[:, :, 2] = 0
    with torch.no_grad():
        expected, found = graphs[0](without, counts, speaker), graphs[1](layers[:, :, :2], counts, speaker)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
        assert not torch.equal(expected, graphs[0](layers, counts, speaker))


@pytest.mark.parametrize("shares", [SHARES, (0.2, 0.5, 0.3), (1.4, -0.3, -0.1)])
def test_no_mixed_feature_changes_by_more_than_the_bound(make_fold, tmp_path, shares):
    whole = open_folder(write_shares(make_fold(tmp_path / "f", num_statistics=0), shares))
    cut, layers = cut_layers(whole, 0.9), torch.randn(2, 50, 3, 256)
    with torch.no_grad():
        change = whole.model.layer_mix(layers) - cut.loaded.model.layer_mix(layers[:, :, : cut.kept])
    assert float(change.abs().max()) <= cut.share * float(layers[:, :, cut.kept :].abs().max()) * (1 + 1e-5)
    assert cut.share <= 0.9 and float(change.abs().max()) > 0


def test_an_export_without_a_layer_opens_verifies_and_says_what_it_lacks(fold, tmp_path):
    lines = list(export(read_fold(fold), tmp_path / "model", drop_layers=0.01))
    told = next(line for line in lines if line.startswith("encoder layers: the lowest 2 of 3"))
    assert "shares are 0.008 in all" in told and "3 batches of random features" in told
    card, record = ((tmp_path / "model" / name).read_text() for name in ("README.md", RECORD))
    assert "scores of the whole model" in card and "differs by no more than 0.008 times" in card
    assert json.loads(record)["dropped_layers"]["kept"] == 2
    opened = open_model(tmp_path / "model")
    assert (opened.hparams["num_layers"], opened.hparams["encoder_layers"]) == (2, 3)
    assert largest_move(opened, cut_layers(open_folder(fold), 0.01).loaded) == 0
    assert len(list(verify(tmp_path / "model"))) == 6


def test_waves_are_answered_as_by_the_whole_model_but_for_the_share(fold, tmp_path):
    list(export(read_fold(fold), tmp_path / "model", drop_layers=0.01))
    wave = torch.randn(24_000, generator=torch.Generator().manual_seed(0)) * 0.1
    folders = (fold, tmp_path / "model")
    whole, cut = (EmotionRecognizer.from_hparams(each).predict(wave.numpy(), sample_rate_hz=16_000) for each in folders)
    move = max(abs(whole.probabilities[label] - cut.probabilities[label]) for label in whole.probabilities)
    assert 0 < move < 0.01


def test_a_cut_model_on_a_transformer_hears_through_its_lower_layers_alone(make_fold, tmp_path):
    from transformers import Wav2Vec2Config, Wav2Vec2Model

    config = Wav2Vec2Config(
        hidden_size=16, num_hidden_layers=3, num_attention_heads=2, intermediate_size=24, num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=2, conv_dim=(8,) * 7, do_stable_layer_norm=True, feat_extract_norm="layer",
    )  # fmt: skip
    encoder = str(tmp_path / "encoder")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        Wav2Vec2Model(config).save_pretrained(encoder)
    sizes = {"encoder": encoder, "num_layers": 4, "encoder_dim": 16, "num_statistics": 0}
    fold = write_shares(make_fold(tmp_path / "fold_1", **sizes), (0.7, 0.29, 0.006, 0.004))
    name_store(fold, layers_header(encoder, 4, 16).folder_name)
    wave = torch.randn(24_000, generator=torch.Generator().manual_seed(0)) * 0.1

    list(export(read_fold(fold), tmp_path / "model", drop_layers=0.011))

    cut = EmotionRecognizer.from_hparams(tmp_path / "model", encoder=encoder)
    found = cut.predict(wave.numpy(), sample_rate_hz=16_000).probabilities
    whole, layers = open_folder(fold), load_encoder(encoder, 4, 16).layers(wave).half().float()[None]
    layers[:, :, 2:] = 0
    with torch.no_grad():
        inputs = (layers, torch.tensor([layers.shape[1]]), torch.zeros(1, 256))
        answers = make_graph(whole.task, whole.model, whole.hparams)(*inputs)[0].tolist()
    expected = dict(zip(whole.hparams["labels"], answers, strict=True))
    assert cut.hparams.num_layers == 2
    assert dict(found) == pytest.approx(expected, abs=1e-5)


def test_stored_features_of_the_validation_are_what_the_change_is_measured_on(make_fold, tmp_path):
    header = layers_header("resemblyzer", 3, 256)
    fold = write_shares(make_fold(tmp_path / "f", num_statistics=0, feature_folder=str(tmp_path)))
    name_store(fold, header.folder_name)
    store, frames = FeatureStore.open(tmp_path, header), torch.randn(2, 70, 3, 256) * 30
    for name, each in zip(("valid1", "valid7"), frames, strict=True):
        store.write(name, each, audio_hash="0", source=(1, 2))

    lines = list(export(read_fold(fold), tmp_path / "model", drop_layers=0.01))

    [told] = [line for line in lines if "2 utterances of the validation" in line]
    whole, moves = open_folder(fold), []
    for each in frames.half().float():
        without = each.clone()
        without[:, 2] = 0
        graph = make_graph(whole.task, whole.model, whole.hparams)
        with torch.no_grad():
            answers = [graph(layers[None], torch.tensor([70]), torch.zeros(1, 256)) for layers in (each, without)]
        moves.append(float((answers[0] - answers[1]).abs().max()))
    assert max(moves) > 1e-4 and f": {max(moves):.2g}" in told


def test_without_the_option_all_layers_stay(fold, tmp_path):
    lines = list(export(read_fold(fold), tmp_path / "model"))
    assert not any(line.startswith("encoder layers") for line in lines)
    text = (tmp_path / "model/hyperparams.yaml").read_text()
    assert "num_layers: 3" in text and "num_used" not in text and "encoder_layers" not in text


@pytest.mark.parametrize("hparams", ["ad_vgg5.yaml", "ter_minilm.yaml", "fusion_demo.yaml"])
def test_a_model_that_mixes_no_speech_layers_alone_is_refused(make_fold, tmp_path, hparams):
    with pytest.raises(ConfigError, match=r"is none of train_ser.py. Leave it out"):
        cut_layers(open_folder(make_fold(tmp_path / "f", hparams)), 0.1)


def test_a_model_that_pools_each_layer_is_refused(make_fold, tmp_path):
    with pytest.raises(ConfigError, match="pools statistics of every layer"):
        cut_layers(open_folder(make_fold(tmp_path / "f")), 0.1)


def test_where_nothing_is_gained_nothing_is_written(fold, tmp_path):
    with pytest.raises(ConfigError, match=r"must be at least 0.008, the share of the topmost of 3 layers"):
        list(export(read_fold(fold), tmp_path / "model", drop_layers=0.007))
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("most", [-0.1, 1.0, float("nan")])
def test_a_share_that_is_none_is_refused(fold, most):
    with pytest.raises(ConfigError, match="must be 0 or more and less than 1"):
        cut_layers(open_folder(fold), most)
