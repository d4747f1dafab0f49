"""Augmentation, class weights and label smoothing on the command line, and a resumed run that has them all."""

import json

import pytest

from emorec_lobes.brains.ser import SERBrain
from emorec_lobes.experiments.settings import read_settings
from emorec_lobes.features.store import FeatureStore

from .conftest import assert_a_killed_run_ends_as_a_whole_one

ALL_ON = {
    "spec_augment": True,
    # Half of the batches, and in changing order: what Python's own random numbers decide.
    "layer_augment": "{augmenter: {augment_prob: 0.5, shuffle_augmentations: True, min_augmentations: 1}}",
    "wave_copies": 2,
    "class_weights": "balanced",
    "label_smoothing": 0.1,
}


def fold_file(folder, name):
    return (folder / "fold_1" / name).read_bytes()


@pytest.mark.parametrize("dies_at", [13, pytest.param(27, marks=pytest.mark.slow)])
def test_a_killed_run_with_augmentation_ends_as_if_nothing_had_happened(train, tmp_path, dies_at):
    options = {"protocol": "strict", "fold": 1, **ALL_ON}
    names = ("predictions.csv", "history.json", "model.safetensors")
    assert_a_killed_run_ends_as_a_whole_one(train, SERBrain, tmp_path, dies_at, names, **options)


@pytest.mark.parametrize("key", ["spec_augment", "wave_copies", "class_weights", "label_smoothing"])
def test_each_of_them_trains_something_else_and_is_another_run(train, tmp_path, key):
    value = "[1.0, 3.0]" if key == "class_weights" else ALL_ON[key]
    short = {"protocol": "paper", "fold": 1, "number_of_updates": 4, "updates_per_validation": 2}
    assert train(tmp_path / "plain", **short)[0] == 0
    assert train(tmp_path / "other", **short, **{key: value})[0] == 0
    assert fold_file(tmp_path / "plain", "predictions.csv") != fold_file(tmp_path / "other", "predictions.csv")
    code, _, err = train(tmp_path / "plain", **short, **{key: value})
    assert code == 2 and f"holds a run with other settings ({key} was" in err


def test_the_record_and_the_fold_say_what_was_on(train, tmp_path):
    assert train(tmp_path / "run", fold=1, **ALL_ON)[0] == 0
    record = json.loads(fold_file(tmp_path / "run", "results.json"))
    assert record["stamp"]["spec_augment"] is True and record["stamp"]["wave_copies"] == 2
    copies = {name: folder for name, folder in record["fingerprint"]["features"].items() if "-copy" in name}
    assert len(copies) == len(set(copies.values())) == 6


def test_balanced_weights_are_those_of_the_folds_own_training_utterances(train, tmp_path):
    short = {"fold": 1, "number_of_updates": 2, "updates_per_validation": 2}
    assert train(tmp_path / "even", **short)[0] == 0
    manifest = json.loads((tmp_path / "even/manifest.json").read_text())
    (tmp_path / "uneven.info.json").write_text((tmp_path / "even/manifest.info.json").read_text())
    kept = {key: entry for key, entry in manifest.items() if not entry["wav"].endswith("_angry_0.wav")}
    (tmp_path / "uneven.json").write_text(json.dumps(kept))
    options = {**short, "protocol": "paper", "class_weights": "balanced", "manifest": tmp_path / "uneven.json"}
    assert train(tmp_path / "uneven", **options)[0] == 0
    # Four speakers train, each with one angry and two sad utterances: 12 / (2 * 4) and 12 / (2 * 8).
    assert read_settings(tmp_path / "uneven/fold_1/hyperparams.yaml")["class_weights"] == [1.5, 0.75]


def test_crops_come_from_copies_in_training_and_only_there(train, tmp_path, monkeypatch):
    read = []
    real = FeatureStore.read

    def noted(store, utterance_id, *args):
        read.append((store.header.extractor, utterance_id))
        return real(store, utterance_id, *args)

    monkeypatch.setattr(FeatureStore, "read", noted)
    assert train(tmp_path / "run", protocol="strict", fold=1, wave_copies=2)[0] == 0
    tables = fold_file(tmp_path / "run", "predictions.csv").decode().splitlines()[1:]
    held_out = {line.split(",")[0] for line in tables}
    of_copies = {item for extractor, item in read if "-copy" in extractor}
    assert {extractor for extractor, _ in read} >= {"layers-mel", "layers-mel-copy1", "layers-mel-copy2", "mel-copy1"}
    assert len(of_copies) == 8 and len(held_out) == 16 and of_copies.isdisjoint(held_out)


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"class_weights": "heavy"}, ["`class_weights`", "null, balanced or 2 positive numbers", "'heavy'"]),
        ({"class_weights": "[1, 2, 3]"}, ["`class_weights`", "2 positive numbers"]),
        ({"label_smoothing": 1}, ["`label_smoothing` must be below 1"]),
        ({"label_smoothing": -0.1}, ["`label_smoothing`", "from 0 up"]),
        ({"wave_copies": -1}, ["`wave_copies`", "from 0 up"]),
        ({"spec_augment": "much"}, ["`spec_augment` must be True or False"]),
        (
            {"layer_augment": "{augmenter: {concat_original: True}}"},
            ["`concat_original` of an Augmenter must be False"],
        ),
        ({"wave_augment": "{augmenter: {repeat_augment: 3}}"}, ["`repeat_augment` of an Augmenter must be 1"]),
    ],
)
def test_what_cannot_be_used_is_one_line_before_anything_is_computed(train, tmp_path, changes, parts):
    features = tmp_path / "features"
    code, out, err = train(tmp_path / "run", feature_folder=features, **changes)
    assert code == 2 and out == "" and err.count("\n") == 1
    for part in parts:
        assert part in err
    assert not features.exists()
