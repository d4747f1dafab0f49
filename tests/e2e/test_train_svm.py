"""The reference recipe from a corpus folder to results, and that it stands beside the speech recipe on equal terms."""

import csv
import json
import sys

import numpy as np
import pytest
from sklearn.metrics import recall_score
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from emorec_lobes.evaluation.predictions import read_predictions
from emorec_lobes.features.store import FeatureStore

from .conftest import LABELS, ROOT, SPEAKERS

C_VALUES = (0.00001, 0.0001, 0.001, 0.01, 0.1, 1.0)
PAIRS = {"num_groups": "null", "speaker_groups": "[[s1, s2], [s3, s4], [s5, s6]]"}


@pytest.fixture()
def svm(tones, features, monkeypatch, capsys):
    """Runs the reference recipe in this process: (output folder, overrides) -> (exit code, stdout, stderr)."""
    from emorec_lobes.experiments.reference import LayerStatistics, answer_with_svm
    from emorec_lobes.experiments.run import run_recipe

    monkeypatch.setattr(sys, "argv", ["train_svm.py"])

    def run(output, **overrides):
        options = {
            "corpus": "table",
            "data_folder": tones / "labels.csv",
            "labels": "[angry, sad]",
            "num_groups": 3,
            "encoder": "mel",
            "num_layers": 1,
            "encoder_dim": 80,
            "feature_folder": features,
            "output_folder": output,
            **overrides,
        }
        words = [f"--{key}={value}" for key, value in options.items()]
        argv = [str(ROOT / "hparams/svm_resemblyzer.yaml"), *words, "--device=cpu", "--noprogressbar"]
        code = run_recipe(answer_with_svm, LayerStatistics, argv)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def mix_up(labels_csv, to):
    """The same corpus with shuffled labels, which one C fits better than another."""
    with labels_csv.open() as stream:
        rows = list(csv.DictReader(stream))
    for row, place in zip(rows, np.random.default_rng(0).permutation(len(rows)), strict=True):
        row["label"] = rows[place]["path"].split("_")[1]
    for row in rows:
        row["path"] = str(labels_csv.parent / row["path"])
    with to.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return to


def slowly(folder, features, fold, mode="none", refit=False):
    """The fold again from frames, with scikit-learn alone: UAR on valid of each C, the chosen C, test answers by id."""
    manifest = json.loads((folder / "manifest.json").read_text())
    store = FeatureStore.read_only(next(features.glob("layers-*")))
    frames = {item: store.read(item).float().numpy() for item in manifest}
    if mode == "speaker":
        for speaker in {entry["speaker"] for entry in manifest.values()}:
            items = [item for item, entry in manifest.items() if entry["speaker"] == speaker]
            together = np.concatenate([frames[item] for item in items])
            for item in items:
                frames[item] = (frames[item] - together.mean(axis=0)) / together.std(axis=0).clip(1e-3)
    rows = {item: np.concatenate([each.mean(axis=0), each.std(axis=0)]).ravel() for item, each in frames.items()}
    table = read_predictions(folder / f"fold_{fold}/predictions.csv")
    valid, test = (list(table.only(split).ids) for split in ("valid", "test"))
    train = [item for item in manifest if item not in {*valid, *test}]

    def fit(items, c):
        scaler = StandardScaler().fit([rows[item] for item in items])
        svc = LinearSVC(C=c, random_state=1, max_iter=100_000)
        svc.fit(scaler.transform([rows[item] for item in items]), [manifest[item]["emotion"] for item in items])
        return lambda others: svc.predict(scaler.transform([rows[item] for item in others]))

    truth = [manifest[item]["emotion"] for item in valid]
    uars = [recall_score(truth, fit(train, c)(valid), average="macro") for c in C_VALUES]
    chosen = C_VALUES[int(np.argmax(uars))]  # the first, so the smallest, of equals
    return uars, chosen, dict(zip(test, fit(train + valid if refit else train, chosen)(test), strict=True))


def test_a_strict_run_learns_the_tones_and_leaves_everything_it_promises(svm, tmp_path):
    code, out, err = svm(tmp_path / "run")
    assert code == 0 and [line.split(" (")[0] for line in err.splitlines()] == ["fold 1", "fold 2", "fold 3"]
    record = json.loads((tmp_path / "run/results.json").read_text())
    assert record["uar"] == 1.0 and "UAR" in out
    assert len(record["stamp"]["chosen_c"]) == 3 and set(record["stamp"]["chosen_c"]) <= set(C_VALUES)
    for name in ("predictions.csv", "results.json", "results.md", "figures/confusion.png"):
        assert (tmp_path / "run" / name).stat().st_size > 0
        assert (tmp_path / "run/fold_1" / name).stat().st_size > 0
    for name in ("hyperparams.yaml", "env.log", "fingerprint.json", "validation.json"):
        assert (tmp_path / "run/fold_1" / name).stat().st_size > 0


@pytest.mark.parametrize(("mode", "refit"), [("none", False), ("speaker", True)])
def test_c_and_answers_are_those_of_a_slow_way_from_frames(svm, tones, features, tmp_path, mode, refit):
    table = mix_up(tones / "labels.csv", tmp_path / "labels.csv")
    chosen = []
    assert svm(tmp_path / "run", data_folder=table, normalise=mode, refit=refit, **PAIRS)[0] == 0
    for fold in (1, 2, 3):
        uars, c, answers = slowly(tmp_path / "run", features, fold, mode, refit)
        validation = json.loads((tmp_path / f"run/fold_{fold}/validation.json").read_text())
        assert [row["c"] for row in validation["rows"]] == list(C_VALUES)
        np.testing.assert_allclose([row["uar"] for row in validation["rows"]], uars)
        assert validation["chosen_c"] == c
        tested = read_predictions(tmp_path / f"run/fold_{fold}/predictions.csv").only("test")
        assert dict(zip(tested.ids, np.array(tested.labels)[tested.predicted], strict=True)) == answers
        chosen.append(c)
    stamp = json.loads((tmp_path / "run/results.json").read_text())["stamp"]
    assert stamp["chosen_c"] == chosen and stamp["refit_on_train_and_valid"] is refit
    assert len(set(chosen)) > 1, "a corpus on which one C is always the best would show little"


def test_it_tests_the_same_folds_as_the_speech_recipe_from_the_same_store(svm, train, features, tmp_path):
    short = {"number_of_updates": 2, "updates_per_validation": 2, "protocol": "strict"}
    assert train(tmp_path / "ser", **short)[0] == 0
    held = {path: path.stat().st_mtime_ns for path in features.rglob("*") if path.is_file()}
    assert svm(tmp_path / "svm")[0] == 0
    assert {path: path.stat().st_mtime_ns for path in features.rglob("*") if path.is_file()} == held
    ours, theirs = (read_predictions(tmp_path / run / "predictions.csv") for run in ("svm", "ser"))
    for column in ("ids", "folds", "splits", "speakers", "targets"):
        assert np.array_equal(getattr(ours, column), getattr(theirs, column))
    record, other = (json.loads((tmp_path / run / "results.json").read_text()) for run in ("svm", "ser"))
    assert record["fingerprint"]["data"] == other["fingerprint"]["data"]
    assert record["fingerprint"]["features"]["layers"] == other["fingerprint"]["features"]["layers"]
    assert set(record) == set(other)
    alike = ("corpus", "protocol", "scheme", "num_folds", "speaker_independent", "checkpoint_chosen_on", "encoder")
    for key in (*alike, "refit_on_train_and_valid", "seed", "normalise", "aligner"):
        assert record["stamp"][key] == other["stamp"][key]
    assert {"enrolment", "speaker_statistics_over", "as_the_authors"} <= set(record["stamp"]) & set(other["stamp"])


def test_nothing_but_the_layers_is_extracted(svm, tmp_path):
    assert svm(tmp_path / "run", fold=1, feature_folder=tmp_path / "features")[0] == 0
    assert [path.name[:11] for path in (tmp_path / "features").iterdir() if path.is_dir()] == ["layers-mel-"]


def test_two_runs_give_the_same_bytes(svm, tmp_path):
    for name in ("a", "b"):
        assert svm(tmp_path / name, fold=1)[0] == 0
    assert (tmp_path / "a/fold_1/predictions.csv").read_bytes() == (tmp_path / "b/fold_1/predictions.csv").read_bytes()


def test_a_single_c_does_without_validation(svm, tmp_path):
    assert svm(tmp_path / "run", fold=2, protocol="paper", c_values="[0.01]")[0] == 0
    assert set(read_predictions(tmp_path / "run/fold_2/predictions.csv").splits) == {"test"}
    stamp = json.loads((tmp_path / "run/fold_2/results.json").read_text())["stamp"]
    assert stamp["chosen_c"] == 0.01 and stamp["checkpoint_chosen_on"] == "nothing: C was given"


def test_speaker_normalisation_is_stamped_as_use_of_the_test_speakers_audio(svm, tmp_path):
    said = {}
    for mode in ("none", "speaker"):
        assert svm(tmp_path / mode, fold=1, normalise=mode)[0] == 0
        stamp = json.loads((tmp_path / mode / "fold_1/results.json").read_text())["stamp"]
        said[mode] = stamp["speaker_statistics_over"]
    assert said["none"] == "nothing" and "tested ones too" in said["speaker"]


def test_finished_folds_are_not_fitted_again(svm, tmp_path, monkeypatch):
    from emorec_lobes.experiments import reference

    assert svm(tmp_path / "run")[0] == 0
    monkeypatch.setattr(reference, "fit_svm", None)
    code, out, _ = svm(tmp_path / "run")
    assert code == 0 and "UAR" in out


def test_a_fold_finished_on_one_corpus_does_not_stand_for_another(svm, tones, tmp_path):
    assert svm(tmp_path / "run", fold=1)[0] == 0
    other = mix_up(tones / "labels.csv", tmp_path / "labels.csv")
    code, _, err = svm(tmp_path / "run", fold=1, data_folder=other)
    assert code == 2 and "was begun with other values of" in err and "data" in err


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"protocol": "paper"}, ["`c_values` must be a single one under the protocol paper", "--c_values ["]),
        ({"c_values": "[]"}, ["`c_values` must be different numbers above 0"]),
        ({"c_values": "[0.1, 0]"}, ["`c_values`", "[0.1, 0]"]),
        ({"c_values": "[0.1, -1]"}, ["`c_values`", "-1"]),
        ({"c_values": "[0.1, 0.1]"}, ["`c_values` must be different"]),
        ({"c_values": "[0.1, much]"}, ["`c_values`", "'much'"]),
        ({"c_values": "[.inf]"}, ["`c_values`", "inf"]),
        ({"c_values": 0.1}, ["`c_values` must be a list"]),
        ({"class_weights": "balance"}, ["`class_weights`", "'balance'"]),
        ({"class_weights": "[1, 2, 3]"}, ["`class_weights`", "2 positive numbers"]),
        ({"normalise": "utterance"}, ["`normalise` must be none or speaker", "every mean 0"]),
        ({"normalise": "speakers"}, ["`normalise` must be one of", "Did you mean 'speaker'"]),
        ({"max_iterations": 0}, ["`max_iterations` must be a whole number from 1 up"]),
        ({"batch_size": 4}, ["has no key `batch_size`"]),
        ({"fold": 9}, ["`fold` must be one of all, none, 1, 2, 3"]),
        ({"encoder_dim": 40}, ["encoder", "num_layers", "encoder_dim", "80"]),
        ({"data_folder": "/nonexistent"}, ["/nonexistent"]),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(svm, tmp_path, changes, parts):
    code, out, err = svm(tmp_path / "run", **changes)
    assert code == 2 and out == ""
    assert err.count("\n") == 1 and err.startswith("train_svm.py: ")
    for part in parts:
        assert part in err
    assert not list(tmp_path.rglob("results.json")) and not list(tmp_path.rglob("*.tmp"))
    assert svm(tmp_path / "run", fold=1)[0] == 0, "what was refused must not stand in the way"


def test_an_svm_that_does_not_converge_is_named(svm, tones, tmp_path):
    table = mix_up(tones / "labels.csv", tmp_path / "labels.csv")
    code, _, err = svm(tmp_path / "run", fold=1, data_folder=table, max_iterations=1, c_values="[1.0]")
    assert code == 2 and err.splitlines()[-1].startswith("train_svm.py: `max_iterations` must let the SVM with C = 1")


def test_training_speakers_of_one_class_are_refused(svm, tones, tmp_path):
    """Fold 2 tests the second group of speakers, validates on the third, and is left with the first."""
    lone = {"s1": "angry", "s2": "angry", "s3": "sad", "s4": "sad"}
    lines = [f"{s},{each}" for s in SPEAKERS for each in LABELS if lone.get(s, each) == each]
    rows = [f"{tones}/{speaker}_{label}_0.wav,{label},{speaker}" for speaker, label in (x.split(",") for x in lines)]
    (tmp_path / "labels.csv").write_text("\n".join(["path,label,speaker", *rows]) + "\n")
    code, _, err = svm(tmp_path / "run", data_folder=tmp_path / "labels.csv", **PAIRS)
    assert code == 2
    assert err.splitlines()[-1].startswith(
        "train_svm.py: Fold 2 must train on at least two classes, but has only angry"
    )


def test_the_scripts_own_command_line_runs(tones, features, tmp_path):
    import subprocess

    words = f"--corpus table --data_folder {tones}/labels.csv --labels=[angry,sad] --num_groups 3 --encoder mel".split()
    words += f"--num_layers 1 --encoder_dim 80 --feature_folder {features} --output_folder {tmp_path}/run".split()
    script, hparams = ROOT / "recipes/IEMOCAP/train_svm.py", ROOT / "hparams/svm_resemblyzer.yaml"
    done = subprocess.run([sys.executable, script, hparams, *words, "--fold", "1"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "UAR" in done.stdout and (tmp_path / "run/fold_1/results.json").exists()


def test_session_speakers_are_tested_one_a_fold_and_pooled_in_order(svm, tmp_path):
    assert svm(tmp_path / "table")[0] == 0
    entries = json.loads((tmp_path / "table/manifest.json").read_text())
    for item, entry in entries.items():  # a take of a speaker is a speaker here: twelve of two utterances
        entry["session"], entry["speaker"] = entry["speaker"], f"{entry['speaker']}_{item[-1]}"
    for name in ("manifest.json", "manifest.info.json"):
        (tmp_path / name).write_bytes((tmp_path / "table" / name).read_bytes())
    (tmp_path / "manifest.json").write_text(json.dumps(entries))

    options = {"manifest": tmp_path / "manifest.json", "num_groups": "null", "scheme": "session_speakers"}
    code, _, err = svm(tmp_path / "run", **options)
    assert code == 0 and len(err.splitlines()) == 12
    record = json.loads((tmp_path / "run/results.json").read_text())
    assert record["num_utterances"] == 24 and record["stamp"]["num_folds"] == 12
    assert [row["fold"] for row in record["folds"]] == [str(number) for number in range(1, 13)]
    assert [row["speakers"] for row in record["folds"]] == [[each] for each in sorted(record["confusion_by_speaker"])]
    table = read_predictions(tmp_path / "run/predictions.csv")
    sides = {
        (fold, split): speaker for fold, split, speaker in zip(table.folds, table.splits, table.speakers, strict=True)
    }
    for fold in map(str, range(1, 13)):
        tested, validating = sides[fold, "test"], sides[fold, "valid"]
        assert tested != validating and tested[:-1] == validating[:-1], "two speakers of one session"

    code, _, err = svm(tmp_path / "refit", **options, refit=True)
    assert code == 2 and "must come with protocol: strict and refit: False" in err
