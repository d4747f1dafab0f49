"""Training on what raters heard: the same as on labels where they agree, and nothing but targets where they do not."""

import csv
import json
from pathlib import Path

import pytest

FILES = ("predictions.csv", "model.safetensors")
SHORT = {"fold": 1, "number_of_updates": 6, "updates_per_validation": 3, "label_smoothing": 0.1}


@pytest.fixture
def rated(tones, tmp_path):
    """`rated(name, others)`: the tones with three ratings each, the label and what `others` makes of it."""

    def make(name, others):
        folder = tmp_path / name
        folder.mkdir()
        with (tones / "labels.csv").open() as stream:
            rows = list(csv.DictReader(stream))
        for row in rows:
            row["path"] = str(Path(tones, row["path"]))
            row["ratings"] = ";".join([row["label"], *others(row["label"])])
        with (folder / "labels.csv").open("w", newline="") as stream:
            writer = csv.DictWriter(stream, rows[0])
            writer.writeheader()
            writer.writerows(rows)
        return folder

    return make


def other_of(label):
    return "sad" if label == "angry" else "angry"


def test_where_all_raters_agree_soft_labels_train_the_very_same_network(train, rated, tmp_path):
    corpus = rated("agreed", lambda label: [label, label])
    for soft in (False, True):
        code, out, err = train(tmp_path / f"run_{soft}", data_folder=corpus, soft_labels=soft, **SHORT)
        assert code == 0, err
    for name in FILES:
        assert (tmp_path / f"run_True/fold_1/{name}").read_bytes() == (
            tmp_path / f"run_False/fold_1/{name}"
        ).read_bytes()
    assert "one rater, against the others' majority" in out
    record, plain = (json.loads((tmp_path / f"run_{soft}/fold_1/results.json").read_text()) for soft in (True, False))
    assert record["raters"] == plain["raters"] and record["raters"]["one_rater"]["others"]["accuracy"] == 1
    assert record["stamp"]["trained_on"] == "the raters' votes, which 24 utterances of the corpus have"
    assert "trained_on" not in plain["stamp"] and "soft_labels" not in plain["fingerprint"]["features"]


def test_where_they_do_not_the_network_is_another_one_and_labels_are_still_what_is_tested(train, rated, tmp_path):
    corpus = rated("disputed", lambda label: [label, other_of(label)])
    for soft in (False, True):
        assert train(tmp_path / f"run_{soft}", data_folder=corpus, soft_labels=soft, **SHORT)[0] == 0
    tables = [list(csv.DictReader((tmp_path / f"run_{soft}/fold_1/{FILES[0]}").open())) for soft in (False, True)]
    assert [row["target"] for row in tables[0]] == [row["target"] for row in tables[1]]
    assert [row["p_sad"] for row in tables[0]] != [row["p_sad"] for row in tables[1]]
    record = json.loads((tmp_path / "run_True/fold_1/results.json").read_text())
    assert [row["level"] for row in record["raters"]["by_agreement"]] == ["majority"]
    code, _, err = train(tmp_path / "run_True", data_folder=rated("other", lambda label: []), soft_labels=True, **SHORT)
    assert code == 2 and "begun with other values of features" in err


def test_a_corpus_without_ratings_has_none_to_train_on(train, tmp_path):
    code, out, err = train(tmp_path / "run", soft_labels=True, **SHORT)
    assert (code, out) == (2, "")
    assert "`soft_labels` must be False for a corpus whose manifest has no ratings, but is True instead." in err
    assert err.count("\n") == 1
