"""Bad input through the real commands: one line that names what to mend, exit code 2, and the next good run goes on."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile

from emorec_lobes.cli.main import main as emorec

from .conftest import ROOT, arguments

SHORT = {"fold": 1, "number_of_updates": 2, "updates_per_validation": 2}


@contextmanager
def no_file_over(num_bytes):
    """The system refuses every write beyond this size, as a full disk would."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture()
def refused(train):
    """Runs the recipe on bad input and returns its line; lines that say which fold is training may come before."""

    def run(*args, **changes):
        code, out, err = train(*args, **changes)
        *before, line = err.splitlines()
        assert code == 2 and out == "" and line.startswith("train_ser.py: ")
        assert all(text.startswith("fold ") for text in before)
        return line

    return run


@pytest.fixture()
def copied(tones, tmp_path):
    """A copy of the tones, to be spoilt."""
    return Path(shutil.copytree(tones, tmp_path / "copied"))


@pytest.fixture(scope="module")
def finished(tones, features, tmp_path_factory):
    """A finished run of three folds; it fills `features` too."""
    from emorec_lobes.brains.ser import SERBrain
    from emorec_lobes.experiments.run import main
    from emorec_lobes.experiments.speech import SpeechTask

    folder = tmp_path_factory.mktemp("finished")
    assert (
        main(SERBrain, SpeechTask, arguments("ser_mel.yaml", tones, features, folder, **{**SHORT, "fold": "all"})) == 0
    )
    return folder


@pytest.fixture()
def run_copy(finished, tmp_path):
    """A copy of the finished run, to be spoilt."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


@pytest.fixture()
def features_copy(finished, features, tmp_path):
    """A copy of the filled features, to be spoilt."""
    return Path(shutil.copytree(features, tmp_path / "features"))


def leftovers(folder):
    return [path for path in folder.rglob("*") if path.name.endswith(".tmp") or path.name == "results.json"]


def halve(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"number_of_updates": 0}, ["`number_of_updates` must be a whole number from 1 up, but is 0"]),
        ({"number_of_updates": -5}, ["`number_of_updates`", "-5"]),
        ({"number_of_updates": "many"}, ["`number_of_updates`", "'many'"]),
        ({"number_of_updates": 1.5}, ["`number_of_updates`", "1.5"]),
        ({"batch_size": 0}, ["`batch_size`", "from 1 up"]),
        ({"num_workers": -1}, ["`num_workers`", "from 0 up"]),
        ({"patience": "soon"}, ["`patience`", "'soon'"]),
        ({"lr": "fast"}, ["`lr` must be a number from 0 up"]),
        ({"authors": "maybe"}, ["`authors` must be True or False"]),
        ({"labels": "angry"}, ["`labels` must be a list"]),
        ({"labels": "[angry, sda]"}, ["Did you mean 'sad'"]),
        ({"seed": "x"}, ["`seed`"]),
        ({"corpus_options": "x"}, ["`corpus_options` must be a mapping"]),
        ({"corpus_options": "{lable_column: x}"}, ["'lable_column'", "label_column"]),
        ({"crop_frames": 50}, ["`crop_frames` must be a multiple of `frames_per_code` (48), but is 50"]),
        ({"num_mels": 40}, ["`num_mels` must be 80"]),
        ({"num_phones": 10}, ["`num_phones` must be 128"]),
        ({"speaker_dim": 10}, ["`speaker_dim` must be 256"]),
        ({"kernel_size": 4}, ["`kernel_size` must be odd"]),
        ({"num_classes": 7}, ["`num_classes` must be 2"]),
        ({"protocol": "strct"}, ["`protocol` must be one of", "Did you mean 'strict'"]),
        ({"enrolment": "speakr"}, ["`enrolment` must be one of", "Did you mean 'speaker'"]),
        ({"num_groups": "null", "speaker_groups": "[[a], [b]]"}, ["`speaker_groups` must be one of", "'a'"]),
        ({"manifest": "/nonexistent.json"}, ["/nonexistent.json does not exist", "emorec prepare"]),
        ({"precision": "fp12"}, ["fp12", "fp32"]),
    ],
)
def test_a_setting_that_means_nothing_is_named_before_anything_is_trained(refused, train, tmp_path, changes, parts):
    line = refused(tmp_path / "run", **changes)
    for part in parts:
        assert part in line
    assert not list(tmp_path.rglob("fold_*")) and not leftovers(tmp_path)
    assert not (tmp_path / "run/config.json").exists(), "a refused run must not keep the folder from the next one"


@pytest.mark.usefixtures("finished")
def test_after_a_refused_setting_the_same_folder_takes_the_mended_one(refused, train, tmp_path):
    refused(tmp_path / "run", **{**SHORT, "crop_frames": 50})
    assert train(tmp_path / "run", **SHORT)[0] == 0


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", ["must hold keys and values"]),
        ("- a\n- b\n", ["must hold keys and values"]),
        ("a: [1\n", ["is not valid YAML"]),
        ("seed: 1\n", ["has no key"]),
        (("ContentEncoder", "ContentEncodr"), ["ContentEncodr", "Correct the tag"]),
        (("num_convs: 5", "num_cnvs: 5"), ["num_cnvs", "Correct the tag"]),
        (("!ref <encoder_dim>", "!ref <encodr_dim>"), ["encodr_dim", "Correct its !ref"]),
    ],
)
def test_a_hyperparameter_file_that_cannot_be_built_is_named(refused, tmp_path, text, parts):
    path = tmp_path / "mine.yaml"
    if not isinstance(text, str):
        text = (ROOT / "hparams/ser_mel.yaml").read_text().replace(*text)
    path.write_text(text)
    line = refused(tmp_path / "run", hparams=path)
    for part in [str(path), *parts]:
        assert part in line
    assert not (tmp_path / "run").exists()


def test_without_arguments_the_line_says_what_to_write(capsys):
    from emorec_lobes.experiments.run import main

    assert main(object, object, []) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "HPARAMS.yaml" in err and "--help" in err


@pytest.mark.parametrize(
    ("spoil", "parts"),
    [
        (lambda path: path.unlink(), ["1 of 24 audio files are missing"]),
        (lambda path: path.write_bytes(b""), ["0 bytes"]),
        (lambda path: path.write_text("no audio at all " * 50), ["libsndfile"]),
        (lambda path: soundfile.write(path, np.zeros(399), 16_000), ["0.025 s"]),
        (lambda path: soundfile.write(path, np.full(8_000, np.nan), 16_000, subtype="FLOAT"), ["finite"]),
    ],
)
def test_unusable_audio_is_named_and_once_restored_the_run_goes_on(
    refused, train, tones, copied, features_copy, tmp_path, spoil, parts
):
    path = copied / "s3_sad_0.wav"
    spoil(path)
    options = {**SHORT, "data_folder": copied, "feature_folder": features_copy}
    line = refused(tmp_path / "run", **options)
    for part in [str(path), *parts]:
        assert part in line
    assert not leftovers(tmp_path) and not (tmp_path / "run/fold_1").exists()
    shutil.copy2(tones / path.name, path)
    assert train(tmp_path / "run", **options)[0] == 0


def test_audio_shorter_than_a_crop_is_padded_and_trained_on(train, copied, features_copy, tmp_path):
    soundfile.write(copied / "s3_sad_0.wav", np.random.default_rng(0).normal(size=400) / 9, 16_000)
    assert train(tmp_path / "run", data_folder=copied, feature_folder=features_copy, **SHORT)[0] == 0


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (lambda text: text.replace("s3_sad_0.wav,sad", "s3_sad_0.wav,sadd"), ["labels.csv, row ", "'sadd'", "'sad'"]),
        (lambda text: text.replace(",speaker", ",person"), ["speaker", "24 of 24 have none", "--speaker-column"]),
        (lambda text: text.replace("label", "emotoin", 1), ["emotoin"]),
        (lambda text: "", ["at least one row"]),
        (lambda text: text + text.splitlines()[-1] + "\n", ["share the id"]),
    ],
)
def test_a_table_with_a_wrong_row_or_column_is_named(refused, copied, tmp_path, change, parts):
    table = copied / "labels.csv"
    table.write_text(change(table.read_text()))
    line = refused(tmp_path / "run", data_folder=copied, **SHORT)
    for part in parts:
        assert part in line
    assert not leftovers(tmp_path) and not (tmp_path / "run/config.json").exists()


@pytest.mark.parametrize(
    ("part", "is_emptied"),
    [("", False), ("dialog/EmoEvaluation", False), ("dialog/EmoEvaluation", True), ("sentences/wav", True)],
)
def test_half_a_corpus_is_refused_by_prepare_and_by_the_recipe(refused, tmp_path, capsys, part, is_emptied):
    for session in range(1, 6):
        for name in ("dialog/EmoEvaluation", "dialog/transcriptions", "sentences/wav"):
            folder = tmp_path / f"corpus/Session{session}" / name
            folder.mkdir(parents=True)
            (folder / "something").touch()
    gone = tmp_path / "corpus/Session3" / part
    shutil.rmtree(gone)
    if is_emptied:
        gone.mkdir()
    words = ["--data-folder", str(tmp_path / "corpus"), "--manifest", str(tmp_path / "m.json")]
    assert emorec(["prepare", "iemocap", *words]) == 2
    for line in (capsys.readouterr().err, refused(tmp_path / "run", corpus="iemocap", data_folder=tmp_path / "corpus")):
        assert str(gone) in line and "Complete the release" in line
    assert not list(tmp_path.rglob("m*.json")) and not leftovers(tmp_path)


def test_a_wrong_data_folder_leaves_nothing_that_hinders_the_right_one(refused, train, tones, tmp_path):
    assert "/nonexistent" in refused(tmp_path / "run", data_folder="/nonexistent", **SHORT)
    assert train(tmp_path / "run", **SHORT)[0] == 0


@pytest.mark.parametrize(
    ("name", "change", "parts"),
    [
        ("layers-*/*/*.safetensors", halve, ["is damaged", "Delete it"]),
        ("layers-*/header.json", halve, ["header.json is not valid JSON", "Delete it"]),
        ("layers-*/header.json", lambda path: path.write_text("{}"), ["header.json has other fields", "Delete it"]),
        (
            "layers-*/header.json",
            lambda path: path.write_text(path.read_text().replace("80", "40")),
            ["encoder_dim 40", "encoder_dim 80"],
        ),
    ],
)
def test_a_damaged_store_is_named_and_its_cure_works(refused, train, features_copy, tmp_path, name, change, parts):
    path = sorted(features_copy.glob(name))[0]
    change(path)
    line = refused(tmp_path / "run", feature_folder=features_copy, **SHORT)
    for part in parts:
        assert part in line
    assert not leftovers(tmp_path / "run")
    path.unlink()
    assert train(tmp_path / "run", feature_folder=features_copy, **SHORT)[0] == 0


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "rubbish\n" + text[: len(text) // 2],
        lambda text: text.replace('"num_frames": ', '"num_frames": "x", "was": '),
    ],
)
def test_what_a_damaged_index_lost_is_extracted_again(train, features_copy, tmp_path, change):
    [index] = features_copy.glob("layers-*/index.jsonl")
    index.write_text(change(index.read_text()))
    assert train(tmp_path / "run", feature_folder=features_copy, **SHORT)[0] == 0


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (lambda entry: entry.update(wav=3), ["`wav`", "3"]),
        (lambda entry: entry.update(duration="long"), ["`duration`", "'long'"]),
        (lambda entry: entry.update(speaker=["s1"]), ["`speaker`", "['s1']"]),
        (lambda entry: entry.pop("emotion"), ["lacks emotion"]),
    ],
)
def test_a_manifest_with_a_wrong_entry_is_named(refused, tones, tmp_path, capsys, change, parts):
    path = tmp_path / "mine.json"
    assert emorec(f"prepare table --data-folder {tones} --table labels.csv --manifest {path}".split()) == 0
    manifest = json.loads(path.read_text())
    change(next(iter(manifest.values())))
    path.write_text(json.dumps(manifest))
    capsys.readouterr()
    line = refused(tmp_path / "run", manifest=path, data_folder=tones, **SHORT)
    for part in [str(path), *parts]:
        assert part in line


def test_a_disk_that_fills_up_while_extracting_keeps_what_is_whole(refused, train, tmp_path):
    options = {**SHORT, "feature_folder": tmp_path / "features"}
    with no_file_over(6_000):
        line = refused(tmp_path / "run", **options)
    assert str(tmp_path / "features") in line and "the same command" in line
    assert not leftovers(tmp_path) and not (tmp_path / "run/fold_1").exists()
    assert train(tmp_path / "run", **options)[0] == 0


@pytest.mark.usefixtures("finished")
def test_a_disk_that_fills_up_while_a_checkpoint_is_saved_leaves_none_that_is_half(refused, train, tmp_path):
    with no_file_over(30_000):
        line = refused(tmp_path / "run", **SHORT)
    assert str(tmp_path / "run/fold_1/save") in line and "No space left" in line
    assert not list((tmp_path / "run/fold_1/save").rglob("*.ckpt")) and not leftovers(tmp_path / "run")
    assert train(tmp_path / "run", **SHORT)[0] == 0


@pytest.mark.parametrize("name", ["model.ckpt", "epoch_counter.ckpt", "CKPT.yaml"])
def test_a_damaged_checkpoint_is_named_and_once_deleted_the_run_goes_on(refused, train, run_copy, name):
    (run_copy / "fold_1/results.json").unlink()
    [checkpoint] = (run_copy / "fold_1/save").glob("CKPT*")
    (checkpoint / name).write_bytes(b"\x00")
    line = refused(run_copy, **SHORT)
    assert str(checkpoint) in line and "Delete that folder" in line
    shutil.rmtree(checkpoint)
    assert train(run_copy, **SHORT)[0] == 0


@pytest.mark.parametrize(
    ("name", "change", "cure"),
    [
        ("config.json", lambda path: path.write_text("{}"), "config.json"),
        ("fold_1/results.json", lambda path: path.write_text("{}"), "fold_1/results.json"),
        ("fold_2/predictions.csv", halve, "fold_2/results.json"),
        ("fold_2/predictions.csv", Path.unlink, "fold_2/results.json"),
    ],
)
def test_a_damaged_file_of_a_finished_run_is_named_and_its_cure_works(refused, train, run_copy, name, change, cure):
    options = {**SHORT, "fold": "all"}
    change(run_copy / name)
    line = refused(run_copy, **options)
    assert str(run_copy / name) in line and "elete" in line and str(run_copy / cure) in line
    (run_copy / cure).unlink()
    assert train(run_copy, **options)[0] == 0


def test_a_deleted_manifest_is_made_again(train, run_copy):
    (run_copy / "manifest.json").unlink()
    assert train(run_copy, **SHORT)[0] == 0 and (run_copy / "manifest.json").exists()


def test_a_file_where_a_folder_belongs_is_named(refused, tmp_path):
    (tmp_path / "file").write_text("mine")
    assert str(tmp_path / "file") in refused(tmp_path / "file", **SHORT)
    assert str(tmp_path / "file") in refused(tmp_path / "run", feature_folder=tmp_path / "file", **SHORT)
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize(
    ("audio", "model", "options", "code", "parts"),
    [
        ("nope.wav", None, [], 1, ["nope.wav", "does not exist"]),
        ("labels.csv", None, [], 1, ["labels.csv", "libsndfile"]),
        ("s1_sad_0.wav", "/nonexistent", [], 2, ["/nonexistent must be a model's folder or a hub id"]),
        ("s1_sad_0.wav", None, ["--device", "gpu"], 2, ["`device` gpu"]),
    ],
)
def test_predict_names_what_it_cannot_use(finished, tones, capsys, audio, model, options, code, parts):
    assert emorec(["predict", str(tones / audio), "--model", str(model or finished / "fold_1"), *options]) == code
    err = capsys.readouterr().err
    assert "Traceback" not in err
    for part in parts:
        assert part in err


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("hyperparams.yaml", halve),
        ("hyperparams.yaml", lambda path: path.write_text("")),
        ("hyperparams.yaml", lambda path: path.write_text(path.read_text().replace("num_convs: 3", "num_cnvs: 3"))),
        (
            "hyperparams.yaml",
            lambda path: path.write_text("? [a, b]\n: 1\n" + path.read_text().replace("labels:", "x:")),
        ),
        ("model.safetensors", halve),
        ("model.safetensors", Path.unlink),
    ],
)
def test_predict_names_a_damaged_file_of_the_model(finished, tones, tmp_path, capsys, name, change):
    model = Path(shutil.copytree(finished / "fold_1", tmp_path / "model"))
    change(model / name)
    assert emorec(["predict", str(tones / "s1_sad_0.wav"), "--model", str(model)]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and str(model / name) in err


def test_of_two_runs_at_once_one_is_refused_and_ctrl_c_keeps_what_is_saved(tones, features, finished, tmp_path):
    words = [sys.executable, str(ROOT / "recipes/IEMOCAP/train_ser.py")]
    endless = {"fold": 1, "number_of_updates": 100_000, "updates_per_validation": 20}
    words += arguments("ser_mel.yaml", tones, features, tmp_path / "run", **endless)
    pipes = {"stderr": subprocess.PIPE, "text": True, "env": {**os.environ, "OMP_NUM_THREADS": "1"}}
    saved = tmp_path / "run/fold_1/save"
    first = subprocess.Popen(words, **pipes)
    while first.poll() is None and not list(saved.glob("CKPT*")):
        time.sleep(0.1)
    second = subprocess.run(words, timeout=120, **pipes)
    assert second.returncode == 2 and second.stderr.count("\n") == 1 and "Another run is using" in second.stderr
    first.send_signal(signal.SIGINT)
    _, err = first.communicate(timeout=120)
    assert first.returncode == 130, err
    assert err.splitlines()[1:] == ["train_ser.py: interrupted. Run the same command again to go on."]
    assert list(saved.glob("CKPT*/model.ckpt"))
