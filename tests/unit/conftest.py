"""Records and answers of cross-validations that nobody has run, for the tests of what is made of them."""

import json

import numpy as np
import pytest

from emorec_lobes.evaluation.predictions import Predictions
from emorec_lobes.evaluation.report import results_record
from emorec_lobes.labels import FOUR_CLASSES

LABELS = ("angry", "sad")
STAMP = {"corpus": "emodb", "protocol": "strict", "speaker_statistics_over": "nothing"}


@pytest.fixture
def write_run():
    """`write_run(folder, seed, overrides, ...)`: results.json of three folds of two speakers, 60 answers in all."""

    def write(
        folder, seed=1, overrides=None, hparams="ser_small.yaml", skill=0.8, stamp=None, fingerprint=None, units=None
    ):
        generator = np.random.default_rng([seed, int(100 * skill)])
        targets = np.arange(60) % 2
        answered = np.where(generator.random(60) < skill, targets, 1 - targets)
        speakers = np.arange(60) // 2 % 6
        predictions = Predictions(
            ids=[f"u{number}" for number in range(60)],
            folds=[str(speaker // 2 + 1) for speaker in speakers],
            splits=["test"] * 60,
            speakers=[f"s{speaker}" for speaker in speakers],
            targets=targets,
            labels=LABELS,
            probabilities=np.eye(2)[answered],
        )
        recipe = "recipes/IEMOCAP/train_svm.py" if hparams.startswith("svm") else "recipes/IEMOCAP/train_ser.py"
        record = results_record(
            predictions,
            {**STAMP, "num_folds": 3, "seed": seed, **(stamp or {})},
            {"config": f"{seed}", "data": "77c1", **(fingerprint or {})},
            {"recipe": recipe, "hparams": hparams, "overrides": {**(overrides or {}), "seed": str(seed)},
             "fingerprint": "0f3a"},
            units=units,
        )  # fmt: skip
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "results.json").write_text(json.dumps(record))
        return folder

    return write


@pytest.fixture
def two_systems(tmp_path, write_run):
    """Three seeds of ser_small and of it with --refit True, as recipes leave them, single folds included."""
    for name, overrides, skill in (("plain", {}, 0.6), ("refit", {"refit": "True"}, 0.9)):
        for seed in (1, 2, 3):
            run = write_run(tmp_path / f"runs/{name}/seed_{seed}", seed, {"lr": "0.1", **overrides}, skill=skill)
            write_run(run / "fold_1", seed, stamp={"num_folds": 1})
    return tmp_path / "runs"


@pytest.fixture
def strict_run():
    """`strict_run(skill, scale, seed, ...)`: valid and test rows of 3 folds, always of the same utterances."""

    def make(skill=2.0, scale=1.0, seed=0, num_utterances=240, splits=("valid", "test")):
        generator = np.random.default_rng(seed)
        numbers = np.arange(num_utterances)
        targets = (numbers % 4) * (numbers % 5 > 0)  # four classes, the first one twice as often
        speakers = numbers // 5 % 6
        tested_in = speakers // 2 + 1
        parts = []
        for split in splits:
            logits = generator.normal(size=(num_utterances, 4))
            logits[numbers, targets] += skill
            weights = np.exp(scale * logits)
            parts.append(
                Predictions(
                    ids=[f"emodb_{number:04}" for number in numbers],
                    folds=[str(fold if split == "test" else fold % 3 + 1) for fold in tested_in],
                    splits=[split] * num_utterances,
                    speakers=[f"emodb_s{speaker}" for speaker in speakers],
                    targets=targets,
                    labels=FOUR_CLASSES,
                    probabilities=weights / weights.sum(axis=1, keepdims=True),
                )
            )
        return Predictions.concatenate(parts)

    return make
