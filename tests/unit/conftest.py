"""Records and answers of cross-validations that nobody has run, for the tests of what is made of them."""

import json

import numpy as np
import pytest

from emorec_lobes.evaluation.predictions import Predictions, write_predictions
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


@pytest.fixture
def write_whole_run(strict_run):
    """`write_whole_run(folder, seed, skill, ...)`: all that a recipe leaves, of 3 folds and 6 speakers; no weights."""

    def write(
        folder, seed=1, skill=2.0, corpus="emodb", overrides=None, stamp=None, speaker="{}", with_history=True,
        ratings=None,
    ):  # fmt: skip
        table = strict_run(skill=skill, scale=1.5, seed=seed)
        columns = (table.ids, table.folds, table.splits, [speaker.format(name) for name in table.speakers])
        table = Predictions(*columns, table.targets, table.labels, table.probabilities)
        overrides = {"skill": str(skill), **(overrides or {}), "seed": str(seed)}
        record = results_record(
            table.only("test"),
            {**STAMP, "corpus": corpus, "scheme": "speaker_groups", "num_folds": 3, "seed": seed, **(stamp or {})},
            {"config": f"{seed}", "data": "77c1"},
            {"recipe": "recipes/IEMOCAP/train_ser.py", "hparams": "ser_small.yaml", "overrides": overrides,
             "fingerprint": "0f3a"},
            ratings=ratings,
        )  # fmt: skip
        write_predictions(folder / "predictions.csv", table)
        (folder / "results.json").write_text(json.dumps(record))
        entries = {
            f"emodb_{number:04}": {
                "wav": f"{{data_root}}/{number}.wav", "duration": 1 + number * 7 % 240 / 40, "emotion": "sad",
                "raw_emotion": "T", "session": str(number % 3 + 1), "kind": ("improvised", "scripted")[number % 4 == 0],
            }
            for number in range(240)
        }  # fmt: skip
        (folder / "manifest.json").write_text(json.dumps(entries))
        for fold in (1, 2, 3) if with_history else ():
            rows = [
                {"update": update, "train": {"loss": seed / update}, "valid": {"uar": 0.5 + update / 100}}
                for update in (10, 20, 30)
            ]
            (folder / f"fold_{fold}").mkdir()
            (folder / f"fold_{fold}/history.json").write_text(json.dumps({"rows": rows, "chosen_update": 20}))
        return folder

    return write
