"""The speech recipe from a corpus folder to results, on tones that any model can tell apart."""

import json
from pathlib import Path

import pytest

from emorec_lobes.brains.ser import SERBrain
from emorec_lobes.evaluation.predictions import read_predictions

from .conftest import Killed, assert_a_killed_run_ends_as_a_whole_one


def test_a_strict_run_learns_the_tones_and_leaves_everything_it_promises(train, tmp_path):
    code, out, err = train(tmp_path / "run", number_of_updates=120, updates_per_validation=30, protocol="strict")
    assert code == 0 and [line.split(" (")[0] for line in err.splitlines()] == ["fold 1", "fold 2", "fold 3"]
    record = json.loads((tmp_path / "run/results.json").read_text())
    assert record["uar"] == 1.0 and "UAR" in out
    predictions = read_predictions(tmp_path / "run/predictions.csv")
    assert sorted(predictions.only("test").ids) == sorted(json.loads((tmp_path / "run/manifest.json").read_text()))
    assert set(predictions.splits) == {"valid", "test"}
    for name in ("predictions.csv", "results.json", "results.md", "figures/confusion.png"):
        assert (tmp_path / "run" / name).stat().st_size > 0
    names = "hyperparams.yaml env.log train_log.txt model.safetensors predictions.csv results.json history.json"
    for name in [*names.split(), "figures/confusion.png", "figures/training_curves.png", "figures/mel.png"]:
        assert (tmp_path / "run/fold_1" / name).stat().st_size > 0, name


def test_a_paper_run_has_no_validation_and_uses_the_last_update(train, tmp_path):
    code, _, err = train(tmp_path / "run", protocol="paper", fold=2)
    assert code == 0 and err.startswith("fold 2 (train 16, valid 0, test 8 utterances)")
    record = json.loads((tmp_path / "run/fold_2/results.json").read_text())
    assert record["stamp"]["protocol"] == "paper" and record["stamp"]["chosen_update"] == 40
    assert set(read_predictions(tmp_path / "run/fold_2/predictions.csv").splits) == {"test"}
    assert not (tmp_path / "run/fold_1").exists()


@pytest.mark.parametrize(
    ("dies_at", "changes"),
    [
        (3, {}),
        (10, {"hparams": "ser_resemblyzer.yaml"}),  # the one whose learning rate decays
        pytest.param(27, {"num_workers": 1}, marks=pytest.mark.slow),
        (45, {"refit": True}),
        (13, {"patience": 2, "layer_mix_mode": "softmax", "hparams": "ser_small.yaml"}),
    ],
)
def test_a_run_that_is_killed_and_started_again_ends_as_if_nothing_had_happened(train, tmp_path, dies_at, changes):
    options = {"protocol": "strict", "fold": 1, **changes}
    names = ("predictions.csv", "history.json")
    assert_a_killed_run_ends_as_a_whole_one(train, SERBrain, tmp_path, dies_at, names, **options)


def test_a_run_killed_while_it_writes_its_results_writes_them_the_next_time(train, tmp_path, monkeypatch):
    from emorec_lobes.experiments import folds

    assert train(tmp_path / "whole", fold=1)[0] == 0

    def die(*args):
        raise Killed

    monkeypatch.setattr(folds, "write_results", die)
    with pytest.raises(Killed):
        train(tmp_path / "killed", fold=1)
    monkeypatch.undo()
    monkeypatch.setattr("sys.argv", ["train_ser.py"])
    assert train(tmp_path / "killed", fold=1)[0] == 0
    results = [(tmp_path / run / "fold_1/predictions.csv").read_bytes() for run in ("whole", "killed")]
    assert results[0] == results[1]


def test_a_fold_begun_on_one_corpus_does_not_go_on_with_another(train, tmp_path):
    """Else utterances seen in training before the change could be tested after it."""

    class Mortal(SERBrain):
        def on_fit_batch_end(self, batch, outputs, loss, should_step):
            if self.optimizer_step == 27:
                raise Killed

    with pytest.raises(Killed):
        train(tmp_path / "run", brain=Mortal, fold=1)
    manifest = json.loads((tmp_path / "run/manifest.json").read_text())
    names = sorted({entry["speaker"] for entry in manifest.values()})
    moved = dict(zip(names, names[2:] + names[:2], strict=True))
    for entry in manifest.values():
        entry["speaker"] = moved[entry["speaker"]]
    (tmp_path / "other.json").write_text(json.dumps(manifest))
    (tmp_path / "other.info.json").write_text((tmp_path / "run/manifest.info.json").read_text())
    code, _, err = train(tmp_path / "run", fold=1, manifest=tmp_path / "other.json")
    assert code == 2 and "was begun with other values of" in err and "data" in err


def test_a_loss_that_is_not_a_number_stops_the_run_before_it_is_saved(train, tmp_path):
    import torch

    class Exploding(SERBrain):
        def on_fit_batch_end(self, batch, outputs, loss, should_step):
            if self.optimizer_step == 17:
                with torch.no_grad():
                    next(self.hparams.model.encoder.parameters()).fill_(float("nan"))

    code, _, err = train(tmp_path / "run", brain=Exploding, fold=1)
    assert code == 2 and "no longer a number" in err and "--lr" in err
    assert train(tmp_path / "run", fold=1)[0] == 0


def test_half_precision_trains_too(train, tmp_path):
    options = {"fold": 1, "precision": "bf16", "eval_precision": "bf16", "hparams": "ser_small.yaml"}
    assert train(tmp_path / "run", **options, number_of_updates=4, updates_per_validation=2)[0] == 0


@pytest.mark.parametrize("option", ["debug", "test_only", "ckpt_interval_steps=3", "optimizer_step_limit=3"])
def test_options_under_which_a_record_would_not_be_true_are_refused(train, tmp_path, option):
    name, _, value = option.partition("=")
    code, _, err = train(tmp_path / "run", **{name: value or None})
    assert code == 2 and f"`--{name}`" in err and not (tmp_path / "run").exists()


def test_finished_folds_are_not_trained_again_and_one_fold_can_come_first(train, tmp_path):
    assert train(tmp_path / "run", fold=3)[0] == 0
    before = (tmp_path / "run/fold_3/results.json").stat().st_mtime_ns
    assert train(tmp_path / "run")[0] == 0
    assert (tmp_path / "run/fold_3/results.json").stat().st_mtime_ns == before

    class Idle(SERBrain):
        def fit_batch(self, batch):
            raise AssertionError("a finished run must not train")

    code, out, _ = train(tmp_path / "run", brain=Idle)
    assert code == 0 and "UAR" in out


def test_a_run_without_improvement_stops_early_and_says_where(train, tmp_path):
    options = {"protocol": "strict", "fold": 1, "number_of_updates": 200, "patience": 1}
    assert train(tmp_path / "run", **options)[0] == 0
    rows = json.loads((tmp_path / "run/fold_1/history.json").read_text())["rows"]
    assert rows[-1]["update"] < 200


def test_refitting_trains_on_the_validation_speakers_too_for_the_chosen_number_of_updates(train, tmp_path):
    seen = []

    class Watched(SERBrain):
        def fit_batch(self, batch):
            seen.append((self.has_valid, frozenset(batch.id)))
            return super().fit_batch(batch)

    assert train(tmp_path / "run", brain=Watched, protocol="strict", fold=1, refit=True, seed=4)[0] == 0
    predictions = read_predictions(tmp_path / "run/fold_1/predictions.csv")
    everything = set(json.loads((tmp_path / "run/manifest.json").read_text()))
    tested, validated = (set(predictions.only(split).ids) for split in ("test", "valid"))
    assert frozenset().union(*(ids for has_valid, ids in seen if has_valid)) == everything - tested - validated
    assert frozenset().union(*(ids for has_valid, ids in seen if not has_valid)) == everything - tested
    record = json.loads((tmp_path / "run/fold_1/results.json").read_text())
    assert record["stamp"]["refit_on_train_and_valid"] is True
    refit = (tmp_path / "run/fold_1/refit/train_log.txt").read_text().splitlines()
    assert f"update: {record['stamp']['chosen_update']}" in refit[-1]
    assert "valid" not in refit[-1]


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"fold": 9}, ["`fold` must be one of all, none, 1, 2, 3", "'9'"]),
        ({"batchsize": 9}, ["has no key `batchsize`", "--batch_size"]),
        ({"labels": "[sad, angry]"}, ["`labels` must be in the order angry, sad"]),
        ({"labels": "[angry, happy]"}, ["happy is not. Leave it out"]),
        ({"num_classes": 4}, ["`num_classes` must be 2"]),
        ({"scheme": "sesions"}, ["`scheme` must be one of", "Did you mean 'sessions'"]),
        ({"encoder_dim": 40}, ["encoder", "num_layers", "encoder_dim", "80"]),
        ({"encoder": "/nonexistent/model"}, ["/nonexistent/model"]),
        ({"normalise": "speakers"}, ["`normalise` must be one of"]),
        ({"corpus": "iemocab"}, ["`corpus` must be one of", "Did you mean 'iemocap'"]),
        ({"aligner": "gentile"}, ["aligner"]),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(train, tmp_path, changes, parts):
    code, out, err = train(tmp_path / "run", **changes)
    assert code == 2 and out == ""
    assert err.count("\n") == 1 and err.startswith("train_ser.py: ")
    for part in parts:
        assert part in err
    assert not list(tmp_path.rglob("results.json")) and not list(tmp_path.rglob("*.tmp"))
    mended = {"fold": 1, "number_of_updates": 2, "updates_per_validation": 2}
    assert train(tmp_path / "run", **mended)[0] == 0, "what was refused must not stand in the way"


def test_a_folder_with_another_runs_settings_is_refused(train, tmp_path):
    assert train(tmp_path / "run", fold=1)[0] == 0
    code, _, err = train(tmp_path / "run", fold=1, batch_size=3)
    assert code == 2 and "batch_size was 4, is 3" in err and "--output_folder" in err


def test_two_runs_into_one_folder_are_refused(train, tmp_path):
    from emorec_lobes.files import locked

    with locked(tmp_path / "run", "run"):
        code, _, err = train(tmp_path / "run", fold=1)
    assert code == 2 and "Another run is using" in err


def test_without_a_data_folder_the_message_names_it_and_the_demo(capsys):
    from emorec_lobes.experiments.run import main
    from emorec_lobes.experiments.speech import SpeechTask

    small = Path(__file__).parents[2] / "hparams/ser_small.yaml"
    assert main(SERBrain, SpeechTask, [str(small)]) == 2
    err = capsys.readouterr().err
    assert "--data_folder" in err and "make demo" in err and err.count("\n") == 1
