"""The recipe of attribute disentanglement from audio to results, and what it refuses."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file, save_file

from emorec_lobes.brains.ad import ADBrain
from emorec_lobes.brains.base import History
from emorec_lobes.cli.main import main as emorec
from emorec_lobes.evaluation.predictions import read_predictions
from emorec_lobes.experiments.ad import ADTask
from emorec_lobes.experiments.run import main
from emorec_lobes.models.resnet import ResNet

from .conftest import assert_a_killed_run_ends_as_a_whole_one

ROOT = Path(__file__).parents[2]

TINY = {
    "corpus": "table",
    "labels": "[angry, sad]",
    "num_classes": 2,
    "scheme": "speaker_groups",
    "num_groups": 3,
    "vad": "none",
    "crop_frames": 48,
    "eval_windows": "whole",
    "number_of_epochs": 14,
    "lr_milestones": "[12]",
    "batch_size": 4,
    "num_workers": 0,
    "extractor_lr_factor": 1.0,
    "lr": 0.003,
}


@pytest.fixture()
def train(tones, features, monkeypatch, capsys):
    """Runs the recipe in this process: (output folder, hparams, overrides) -> (exit code, stdout, stderr)."""
    monkeypatch.setattr(sys, "argv", ["train_ad.py"])

    def run(output, hparams="ad_vgg5.yaml", brain=ADBrain, **overrides):
        options = {
            "data_folder": tones / "labels.csv",
            "feature_folder": features,
            "output_folder": output,
            **TINY,
            **overrides,
        }
        words = [f"--{key}={value}" for key, value in options.items()]
        code = main(brain, ADTask, [str(ROOT / "hparams" / hparams), *words, "--device=cpu", "--noprogressbar"])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def record(folder):
    return json.loads((folder / "results.json").read_text())


@pytest.fixture(scope="module")
def front_end(tmp_path_factory):
    """A folder as the pre-training leaves it, with random weights."""
    folder = tmp_path_factory.mktemp("speaker")
    torch.manual_seed(3)
    resnet = ResNet([16, 32, 64, 128, 128], first_kernel_size=7, blocks_per_stage=2, masked_norm=True)
    save_file(resnet.state_dict(), folder / "front_end.safetensors")
    about = {"kind": "fbank", "num_mels": 40, "window_ms": 40.0, "hop_ms": 10.0, "subtract_mean": True}
    (folder / "front_end.json").write_text(json.dumps({**about, "trained_on": "noise"}))
    return folder


@pytest.mark.parametrize("positions", ["[conv5]", pytest.param("[]", marks=pytest.mark.slow)])
def test_it_learns_tones_and_answers_unseen_speakers(train, tmp_path, positions):
    code, out, err = train(tmp_path, ad_positions=positions)
    assert code == 0, err
    assert record(tmp_path)["uar"] > 0.9
    assert "UAR" in out
    table = read_predictions(tmp_path / "predictions.csv")
    assert sorted(set(table.splits)) == ["test", "valid"]


def test_each_fold_has_a_speaker_head_of_its_training_speakers_alone(train, tmp_path):
    code, _, err = train(tmp_path, fold=1, number_of_epochs=1)
    assert code == 0, err
    weights = load_file(tmp_path / "fold_1" / "model.safetensors")
    assert len(weights["model.heads.irrelevant.0.weight"]) == 2  # of six, in three groups


def test_windows_and_whole_utterances_are_both_answered(train, tmp_path):
    for windows in ("overlapping", "whole"):
        code, _, err = train(tmp_path / windows, fold=1, number_of_epochs=2, eval_windows=windows)
        assert code == 0, err
    one, other = (read_predictions(tmp_path / each / "fold_1" / "predictions.csv") for each in ("overlapping", "whole"))
    assert list(one.ids) == list(other.ids)
    assert abs(one.probabilities - other.probabilities).max() > 0


@pytest.mark.parametrize("dies_at", [2, 9])
def test_a_killed_run_goes_on_to_the_same_answers(train, tmp_path, dies_at):
    names = ("predictions.csv", "history.json", "model.safetensors")
    assert_a_killed_run_ends_as_a_whole_one(train, ADBrain, tmp_path, dies_at, names, fold=1, number_of_epochs=6)


def test_learnt_weights_are_where_training_starts(train, tmp_path, front_end):
    code, _, err = train(
        tmp_path,
        "ad_resnet18.yaml",
        fold=1,
        pretrained=front_end,
        number_of_epochs=1,
        extractor_lr_factor=0.0,
        batch_size=8,
    )
    assert code == 0, err
    learnt, found = load_file(front_end / "front_end.safetensors"), load_file(tmp_path / "fold_1" / "model.safetensors")
    weights = [name for name in learnt if "running" not in name and "num_batches" not in name]
    assert all(torch.equal(learnt[name], found[f"model.front_end.front_end.{name}"]) for name in weights)
    assert record(tmp_path / "fold_1")["stamp"]["pretrained_on"] == "noise"


def test_a_model_normalised_over_speakers_says_so_and_answers_an_enrolled_one(train, tones, tmp_path, capsys):
    code, _, err = train(tmp_path / "run", fold=1, number_of_epochs=1, normalise="speaker")
    assert code == 0, err
    stamp = record(tmp_path / "run" / "fold_1")["stamp"]
    assert stamp["normalise"] == "speaker" and "tested ones too" in stamp["speaker_statistics_over"]
    ask = ["predict", str(tones / "s1_sad_0.wav"), "--model", str(tmp_path / "run" / "fold_1")]
    assert emorec(ask) == 2
    assert "--enrol" in capsys.readouterr().err

    voice = tmp_path / "voice"
    voice.mkdir()
    for path in tones.glob("s1_*.wav"):
        shutil.copy(path, voice)
    assert emorec([*ask, "--enrol", str(voice), "--format", "json"]) == 0
    answer = json.loads(capsys.readouterr().out)["probabilities"]
    table = read_predictions(tmp_path / "run" / "fold_1" / "predictions.csv")
    recorded = dict(
        zip(table.labels, table.probabilities[[each.endswith("s1_sad_0") for each in table.ids]][0], strict=True)
    )
    assert answer == pytest.approx(recorded, abs=1e-3)


def test_weights_that_learnt_without_each_utterances_mean_may_be_normalised_over_speakers(train, tmp_path, front_end):
    code, _, err = train(
        tmp_path,
        "ad_resnet18.yaml",
        fold=1,
        pretrained=front_end,
        number_of_epochs=1,
        batch_size=8,
        normalise="speaker",
    )
    assert code == 0, err


def test_trained_again_with_more_utterances_the_rate_falls_at_the_same_updates(train, tmp_path, monkeypatch):
    monkeypatch.setattr(History, "best_update", lambda self, _: self.rows[-1]["update"])
    code, _, err = train(tmp_path, fold=1, refit=True, number_of_epochs=3, lr_milestones="[2, 3]")
    assert code == 0, err
    logs = [(tmp_path / "fold_1" / part / "train_log.txt").read_text() for part in ("", "refit")]
    first, again = ([line.split(" - ")[0] for line in log.splitlines()] for log in logs)
    assert len(first) == 3 and first == again


def test_an_epoch_is_one_pass_however_many_crops_an_update_has(train, tmp_path):
    updates = []
    for factor in (1, 2):
        options = {"fold": 1, "number_of_epochs": 2, "lr_milestones": "[2]", "grad_accumulation_factor": factor}
        code, _, err = train(tmp_path / str(factor), **options)
        assert code == 0, err
        history = json.loads((tmp_path / str(factor) / "fold_1/history.json").read_text())
        updates.append([row["update"] for row in history["rows"]])
    assert updates == [[2, 4], [1, 2]]  # of 8 utterances in batches of 4


def test_resemblyzers_network_is_fine_tuned(train, tmp_path):
    pytest.importorskip("resemblyzer")
    code, _, err = train(
        tmp_path, "ad_resemblyzer.yaml", fold=1, number_of_epochs=2, extractor_lr_factor=0.01, hop_ms=10.0
    )
    assert code == 0, err
    from emorec_lobes.features import resemblyzer

    found = load_file(tmp_path / "fold_1" / "model.safetensors")
    for name, value in resemblyzer.pretrained_lstms().state_dict().items():
        moved = (found[f"model.front_end.front_end.blocks.layers.lstms.{name}"] - value).abs().max()
        assert 0 < moved < 0.01


def test_the_scheme_of_the_paper_needs_sessions(train, tmp_path):
    code, _, err = train(tmp_path, scheme="session_speakers", num_groups="null")
    assert code == 2
    assert "session" in err


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"ad_positions": "[conv9]"}, ["conv9", "conv5"]),
        ({"eval_windows": "all"}, ["eval_windows", "whole"]),
        ({"disentanglers_with": "both"}, ["disentanglers_with", "heads"]),
        ({"num_classes": 3}, ["num_classes"]),
        ({"pretrained": "nowhere"}, ["nowhere"]),
        ({"pretrained": "resemblyzer"}, ["features", "resemblyzer"]),
        ({"normalise": "speakers"}, ["normalise", "speaker"]),
        ({"hparams": "ad_resemblyzer.yaml", "normalise": "speaker"}, ["normalise", "resemblyzer", "none"]),
    ],
)
def test_a_setting_that_cannot_be_used_is_one_line(train, tmp_path, overrides, words):
    code, _, err = train(tmp_path, **overrides)
    assert code == 2
    assert len(err.strip().splitlines()) == 1
    assert all(word in err for word in words)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda folder: (folder / "front_end.safetensors").write_bytes(b"{"), ["front_end.safetensors", "damaged"]),
        (lambda folder: (folder / "front_end.safetensors").unlink(), ["front_end.safetensors"]),
        (lambda folder: (folder / "front_end.json").unlink(), ["front_end.json"]),
        (lambda folder: forget(folder, "subtract_mean"), ["front_end.json", "subtract_mean"]),
        (lambda folder: change(folder, lambda weights: weights.popitem()), ["has no"]),
        (lambda folder: change(folder, lambda weights: weights.update(more=torch.zeros(1))), ["more"]),
        (lambda folder: change(folder, narrow), ["wide", "conv1"]),
        (lambda folder: change(folder, diverge), ["finite", "running_mean"]),
    ],
)
def test_weights_that_do_not_fit_are_one_line(train, tmp_path, front_end, spoil, words):
    folder = tmp_path / "speaker"
    folder.mkdir()
    for name in ("front_end.safetensors", "front_end.json"):
        (folder / name).write_bytes((front_end / name).read_bytes())
    spoil(folder)
    code, _, err = train(tmp_path / "run", "ad_resnet18.yaml", pretrained=folder)
    assert code == 2
    assert len(err.strip().splitlines()) == 1
    assert all(word in err for word in words)


def change(folder, how):
    weights = load_file(folder / "front_end.safetensors")
    how(weights)
    save_file(weights, folder / "front_end.safetensors")


def forget(folder, key):
    about = json.loads((folder / "front_end.json").read_text())
    del about[key]
    (folder / "front_end.json").write_text(json.dumps(about))


def narrow(weights):
    weights["blocks.conv1.conv.conv.weight"] = weights["blocks.conv1.conv.conv.weight"][:8].contiguous()


def diverge(weights):
    weights["blocks.conv1.conv.norm.running_mean"] *= float("nan")


def test_a_detector_that_removes_everything_is_one_line(train, tmp_path):
    features = tmp_path / "features"
    code, _, err = train(tmp_path / "run", vad="energy", vad_options="{offset: 100.0}", feature_folder=features)
    assert code == 2
    assert len(err.strip().splitlines()) == 1
    assert "s1_angry_0.wav" in err and "vad" in err
    assert train(tmp_path / "run", fold=1, number_of_epochs=1, feature_folder=features)[0] == 0


def test_an_utterance_shorter_than_a_window_is_one_line(train, tones, tmp_path):
    corpus = tmp_path / "corpus"
    shutil.copytree(tones, corpus)
    soundfile.write(corpus / "s3_sad_0.wav", np.zeros(500), 16_000)
    code, _, err = train(tmp_path / "run", data_folder=corpus / "labels.csv", feature_folder=tmp_path / "features")
    assert code == 2
    assert len(err.strip().splitlines()) == 1
    assert "s3_sad_0.wav" in err and "640" in err


def test_predict_answers_with_such_a_model(train, tones, tmp_path, capsys):
    assert train(tmp_path, fold=1, number_of_epochs=1)[0] == 0
    assert emorec(["predict", str(tones / "s1_sad_0.wav"), "--model", str(tmp_path / "fold_1")]) == 0
    assert "s1_sad_0.wav" in capsys.readouterr().out
