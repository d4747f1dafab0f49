"""Finished folds that nobody trained: the published hyperparameter files in small, random weights, made-up answers."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from emorec_lobes.evaluation.predictions import Predictions, write_predictions
from emorec_lobes.evaluation.report import results_record
from emorec_lobes.experiments.settings import read_settings
from emorec_lobes.inference.check import load_checked
from emorec_lobes.inference.export import export, read_fold

HPARAMS = Path(__file__).parents[3] / "hparams"
SMALL = {
    "ser_resemblyzer.yaml": {
        "conv_channels": 8,
        "decoder_channels": 4,
        "phone_dim": 2,
        "crop_frames": 96,
        "num_statistics": 1,
    },
    "ad_resemblyzer.yaml": {"front_end": {"hidden_dim": 8}},
    "ad_vgg5.yaml": {"ad_positions": ["conv5"], "num_speakers": 3, "labels": ["angry", "sad"], "num_classes": 2},
    "ter_minilm.yaml": {"channels": [8, 8], "kernel_sizes": [1, 3]},
    "fusion_demo.yaml": {"hidden_dim": 8},
}
FEATURES = {
    "layers": "layers-resemblyzer-52f1d5e3f3b7",
    "tokens": "tokens-minilm-1f0c5a2b9d3e",
    "spectrum": "spectrum-resemblyzer-06aa56d01638",
}


def answers(labels, split, skill, seed):
    """Forty answers, of which a share of about `skill` is right."""
    generator = np.random.default_rng(seed)
    targets = np.arange(40) % len(labels)
    answered = np.where(generator.random(40) < skill, targets, (targets + 1) % len(labels))
    probabilities = np.full((40, len(labels)), 0.1 / (len(labels) - 1))
    probabilities[np.arange(40), answered] = 0.9
    speakers = [f"s{number % 4}" for number in range(40)]
    ids = [f"{split}{number}" for number in range(40)]
    return Predictions(ids, ["1"] * 40, [split] * 40, speakers, targets, tuple(labels), probabilities)


def write_fold(folder, hparams="ser_resemblyzer.yaml", skill=0.7, splits=("valid", "test"), **overrides):
    """`fold_<k>` as a recipe leaves it."""
    given = {**SMALL[hparams], "data_folder": "corpus", **overrides}
    settings = read_settings(HPARAMS / hparams, given)
    folder.mkdir(parents=True)
    (folder / "hyperparams.yaml").write_text(settings.resolved(fold="1", fold_folder="results/fold_1"))
    with torch.random.fork_rng():
        torch.manual_seed(int(100 * skill))
        model = load_checked(folder / "hyperparams.yaml", ["model"])["model"]
        for name, buffer in model.named_buffers():
            if "running_var" in name:
                buffer.uniform_(0.5, 1.5)
            elif "running_mean" in name:
                buffer.uniform_(-0.1, 0.1)  # more would silence every rectifier, and what lies before it
    weights = {f"model.{name}": value.contiguous() for name, value in model.state_dict().items()}
    save_file(weights, folder / "model.safetensors")
    labels = settings["labels"]
    predictions = Predictions.concatenate([answers(labels, split, skill, 7) for split in splits])
    write_predictions(folder / "predictions.csv", predictions)
    stamp = {"corpus": settings["corpus"], "protocol": "strict", "num_folds": 5, "scheme": "speaker_groups",
             "speaker_statistics_over": "nothing", "checkpoint_chosen_on": "validation uar"}  # fmt: skip
    command = {"recipe": "recipes/IEMOCAP/train_ser.py", "hparams": hparams, "overrides": {}, "fingerprint": "0f3a"}
    fingerprint = {"config": "1", "data": "2", "features": FEATURES}
    record = results_record(predictions.only("test"), stamp, fingerprint, command)
    (folder / "results.json").write_text(json.dumps(record))
    return folder


@pytest.fixture(scope="session")
def make_fold():
    """The function that writes a fold."""
    return write_fold


@pytest.fixture(scope="session")
def fold(tmp_path_factory):
    """The folder of a fold of the speech recipe; only to be read."""
    return write_fold(tmp_path_factory.mktemp("run") / "fold_1")


@pytest.fixture(scope="session")
def exported(tmp_path_factory, fold):
    """A model folder made of that fold; only to be read."""
    folder = tmp_path_factory.mktemp("exported") / "model"
    list(export(read_fold(fold), folder))
    return folder


@pytest.fixture()
def copy(tmp_path, exported):
    """A model folder of one's own, to spoil."""
    return shutil.copytree(exported, tmp_path / "model")
