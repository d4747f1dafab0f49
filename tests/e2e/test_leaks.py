"""Five leaks, each made as a user could make it: one line, exit code 2, and nothing trained or half-written."""

import csv
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from emorec_lobes.brains.ser import SERBrain
from emorec_lobes.cli.main import main as emorec
from emorec_lobes.dataio.normalise import Normaliser
from emorec_lobes.experiments.run import main
from emorec_lobes.experiments.speech import SpeechTask

from .conftest import SPEAKERS, arguments

SHORT = {"protocol": "strict", "number_of_updates": 2, "updates_per_validation": 2}
FOLDS = {"scheme": "table", "num_groups": "null", **SHORT}  # the table's own

# Strict: fold 1 tests a, validates on b and trains on c and d.
FOLD_OF = dict(zip(SPEAKERS, "abccdd", strict=True))


@pytest.fixture()
def corpus(tones, tmp_path):
    """A copy of the tones, to be spoilt."""
    return Path(shutil.copytree(tones, tmp_path / "corpus"))


@pytest.fixture()
def refused(train, tmp_path):
    """Runs a recipe that must refuse what it is given, and returns its line."""

    def run(recipe=train, **changes):
        code, out, err = recipe(tmp_path / "run", **changes)
        *before, line = err.splitlines()
        assert (code, out) == (2, "") and line.startswith("train_ser.py: ")
        assert all(text.startswith("fold ") for text in before)
        left = [path.name for path in tmp_path.rglob("*")]
        assert not [name for name in left if name.endswith((".tmp", ".ckpt")) or name.startswith("CKPT")]
        assert not {"results.json", "predictions.csv", "model.safetensors"} & set(left)
        return line

    return run


def read_table(corpus):
    with (corpus / "labels.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    return [{**row, "id": Path(row["path"]).stem, "fold": FOLD_OF[row["speaker"]]} for row in rows]


def write_table(corpus, rows):
    with (corpus / "labels.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def manifest_by_hand(corpus, path, change):
    """What `emorec prepare` makes of the table, after an editor was used on it."""
    assert emorec(f"prepare table --data-folder {corpus} --table labels.csv --manifest {path}".split()) == 0
    entries = json.loads(path.read_text())
    change(entries)
    path.write_text(json.dumps(entries))


@pytest.mark.parametrize("name", ["s5", "S5", "s5 "])
def test_a_speaker_on_two_sides_is_refused_before_anything_is_extracted(refused, corpus, tmp_path, capsys, name):
    rows = read_table(corpus)
    write_table(corpus, rows)

    def split_a_speaker(entries):
        entry = entries["table_s5_sad_0"]
        entry |= {"speaker": f"table_{name}", "fold": "c"}

    manifest_by_hand(corpus, tmp_path / "mine.json", split_a_speaker)
    capsys.readouterr()
    # Fold 1 trains on both c and d; the others would not.
    line = refused(
        manifest=tmp_path / "mine.json", data_folder=corpus, feature_folder=tmp_path / "features", fold=1, **FOLDS
    )
    assert "'table_s5'" in line and f"'table_{name}'" in line and "of fold 2" in line
    assert not (tmp_path / "features").exists() and not (tmp_path / "run/config.json").exists()


@pytest.mark.parametrize("is_by_hand", [False, True])
def test_an_id_on_two_sides_is_refused_before_anything_is_extracted(refused, corpus, tmp_path, capsys, is_by_hand):
    rows = read_table(corpus)
    changes = {"data_folder": corpus, "feature_folder": tmp_path / "features", **FOLDS}
    if is_by_hand:
        write_table(corpus, rows)
        path = tmp_path / "mine.json"
        manifest_by_hand(corpus, path, dict)
        capsys.readouterr()
        path.write_text(path.read_text().replace('"table_s6_sad_1"', '"table_s1_sad_1"'))
        changes["manifest"] = path
    else:
        rows[-1]["id"] = "s1_sad_1"
        write_table(corpus, rows)
    line = refused(**changes)
    assert "'table_s1_sad_1'" in line
    assert not (tmp_path / "features").exists() and not (tmp_path / "run/fold_1").exists()


def saved_again(corpus, name, num_channels=1, **options):
    """A copy of s1's first angry file as another speaker's, under another name and in another format."""
    # libsndfile writes whole numbers into a file of floats as they are: that would be another gain.
    dtype = "float64" if options.get("subtype") == "FLOAT" else "int32"
    samples, sample_rate_hz = soundfile.read(corpus / "s1_angry_0.wav", dtype=dtype)
    soundfile.write(corpus / name, np.stack([samples] * num_channels, axis=1), sample_rate_hz, **options)
    copy = {"path": name, "label": "sad", "speaker": "s6", "id": "other", "fold": "d"}
    write_table(corpus, [*read_table(corpus), copy])


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("other.wav", {}),
        ("other.flac", {"subtype": "PCM_24"}),
        ("deep/other.wav", {"subtype": "FLOAT", "num_channels": 2}),
        ("other.aiff", {"subtype": "PCM_32"}),
    ],
)
def test_the_same_audio_under_another_name_is_refused(refused, train, corpus, tmp_path, name, options):
    (corpus / "deep").mkdir()
    saved_again(corpus, name, **options)
    line = refused(data_folder=corpus, **FOLDS)
    for part in ("s1_angry_0.wav (table_s1_angry_0)", f"{name} (table_other)", "both training and test", "identical"):
        assert part in line
    assert not list((tmp_path / "run").glob("fold_*")) and not (tmp_path / "run/config.json").exists()
    write_table(corpus, read_table(corpus)[:-1])
    assert train(tmp_path / "run", data_folder=corpus, fold=1, **FOLDS)[0] == 0, (
        "without the copy the same folder is taken"
    )


@pytest.mark.parametrize(("start", "stop", "word"), [(1.0, None, "identical"), (0.5, 1.2, "overlap")])
def test_the_same_audio_inside_a_longer_file_is_refused(refused, corpus, tmp_path, capsys, start, stop, word):
    samples, sample_rate_hz = soundfile.read(corpus / "s1_angry_0.wav", dtype="int16")
    rest = np.random.default_rng(0).integers(-99, 99, sample_rate_hz).astype(np.int16)
    soundfile.write(corpus / "long.wav", np.concatenate([rest, samples]), sample_rate_hz)
    rows = [*read_table(corpus), {"path": "long.wav", "label": "sad", "speaker": "s6", "id": "other", "fold": "d"}]
    write_table(corpus, rows)

    def cut(entries):
        entries["table_other"] |= {"start": start} | ({"stop": stop} if stop else {})
        if word == "overlap":
            entries["table_s1_angry_0"] |= {"wav": "{data_root}/long.wav", "start": 1.0}

    manifest_by_hand(corpus, tmp_path / "mine.json", cut)
    capsys.readouterr()
    changes = {"manifest": tmp_path / "mine.json", "feature_folder": tmp_path / "features"}
    line = refused(data_folder=corpus, **changes, **FOLDS)
    assert "long.wav" in line and "table_s1_angry_0" in line and "table_other" in line and word in line
    assert (tmp_path / "features").exists() == (word == "identical"), "what the bounds say needs no extraction"


@pytest.mark.parametrize("way", ["listed twice", "copied in the table"])
def test_validation_on_the_test_is_refused(refused, corpus, way):
    if way == "listed twice":
        groups = "[[s1, s2], [s1, s2], [s3, s4, s5, s6]]"
        line = refused(data_folder=corpus, scheme="speaker_groups", num_groups="null", speaker_groups=groups, **SHORT)
        assert "table_s1 twice" in line
        return
    rows = [{key: row[key] for key in ("path", "label", "id", "fold")} for row in read_table(corpus)]
    tested = [row for row in rows if row["fold"] == "a"]
    again = [{**row, "id": f"again_{row['id']}", "fold": "b"} for row in tested]
    write_table(corpus, [*tested, *again, *(row for row in rows if row["fold"] in "cd")])
    line = refused(data_folder=corpus, **FOLDS)
    assert "in both validation and test of fold 1" in line and f"the first of {len(tested)} such pairs" in line


class NormalisedBySadness(SpeechTask):
    """Takes a speaker's statistics over what is sad, as others do over what is neutral."""

    def __init__(self, settings, utterances, run_opts):
        super().__init__(settings, utterances, run_opts)
        sad = {item: value for item, value in utterances.items() if value.emotion == "sad"}
        self.normaliser = Normaliser(self.stores["layers"], sad, "speaker")


class EnrolledBySadness(SpeechTask):
    """Enrols the speakers of one split by what is sad."""

    split = "test"

    def data(self, hparams, fold):
        sad = [item for item in getattr(fold, self.split) if self.utterances[item].emotion == "sad"]
        self.utterances = {item: self.utterances[item] for item in sad}
        return super().data(hparams, fold)


class ValidationEnrolledBySadness(EnrolledBySadness):
    """The same for those it is validated on."""

    split = "valid"


@pytest.mark.parametrize(
    ("task", "speakers"),
    [(NormalisedBySadness, SPEAKERS), (EnrolledBySadness, ("s1", "s2")), (ValidationEnrolledBySadness, ("s3", "s4"))],
)
def test_speaker_statistics_that_look_at_labels_are_refused(
    refused, tones, features, capsys, monkeypatch, task, speakers
):
    monkeypatch.setattr(sys, "argv", ["train_ser.py"])

    def my_recipe(output, **changes):
        code = main(SERBrain, task, arguments("ser_mel.yaml", tones, features, output, **changes))
        return code, *capsys.readouterr()

    groups = {"num_groups": "null", "speaker_groups": "[[s1, s2], [s3, s4], [s5, s6]]"}
    line = refused(my_recipe, normalise="speaker", enrolment="speaker", **groups, **SHORT)
    assert "`emotion` of 'table_s" in line and "must stay unseen" in line
    assert line.partition("'table_")[2][:2] in speakers


def test_speaker_statistics_over_all_that_is_there_are_allowed_and_stamped(train, tmp_path):
    changes = {"normalise": "speaker", "enrolment": "speaker", "class_weights": "balanced", "fold": 1, **SHORT}
    assert train(tmp_path / "run", **changes)[0] == 0
    record = json.loads((tmp_path / "run/fold_1/results.json").read_text())
    assert "with one of the labels, tested ones too" in record["stamp"]["speaker_statistics_over"]
