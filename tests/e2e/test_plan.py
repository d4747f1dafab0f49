"""`emorec plan` on the tones: what it says comes true, and nothing of it is left."""

import json
import shutil
import tempfile

import pytest

from emorec_lobes.cli.main import main
from emorec_lobes.features.store import FeatureStore

from .conftest import ROOT


@pytest.fixture()
def plan(tmp_path, monkeypatch, capsys):
    """Makes a plan in this process: (recipe, words) -> the record. A process is taken to start in 5 s."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("emorec_lobes.experiments.plan.start_up", lambda recipe, threads: 5.0)
    monkeypatch.setattr("emorec_lobes.experiments.plan_fold._MOST", 6)

    def run(recipe, words, code=0):
        assert main(["plan", recipe, *words, "--json"]) == code
        assert list(scratch.glob("emorec*")) == []
        return json.loads(capsys.readouterr().out)

    return run


@pytest.fixture()
def words(command_line, tones):
    """The words of a plan: (feature folder, run folder, options) -> list of str."""

    def make(features, to, **options):
        line = command_line("ser_mel.yaml", tones, features, "unused", protocol="strict", **options)
        return [word for word in line if not word.startswith("--output_folder")] + ["--to", str(to)]

    return make


def size(path):
    """Bytes of all files below a folder but the header of a store."""
    return sum(each.stat().st_size for each in path.rglob("*") if each.is_file() and each.name != "header.json")


def test_a_plan_comes_true_leaves_nothing_and_counts_only_what_is_left(plan, words, train, tmp_path, monkeypatch):
    found = plan("IEMOCAP/train_ser.py", [*words(tmp_path / "features", tmp_path / "runs"), "--seeds", "1-2"])
    assert {each.name for each in tmp_path.iterdir()} == {"scratch"}
    assert found["corpus"]["utterances"] == 24 and found["runs"]["to_do"] == 6
    training = found["training"]
    assert training["num_updates"] == 40 * 3 * 2 and training["update_s"] > 0
    assert training["parts_s"]["updates"] == pytest.approx(240 * training["update_s"])
    spent = {name for name, seconds in training["parts_s"].items() if seconds > 0}
    assert spent == {"updates", "validations", "checkpoints", "answers", "rest"}
    assert found["seconds"] > found["extraction"]["seconds"] + training["seconds"] > 0
    assert found["disk_warning"] is None and found["memory"]["process_bytes"] > 1e8

    options = {"feature_folder": tmp_path / "features", "protocol": "strict", "fold": 1}
    assert train(tmp_path / "runs/seed_1", **options)[0] == 0
    for store in found["extraction"]["stores"]:
        folder = tmp_path / "features" / store["name"]
        assert len(FeatureStore.read_only(folder)) == store["num_missing"] == 24
        assert store["num_bytes"] == pytest.approx(size(folder), rel=0.01)
    # The plan has room for the newest checkpoint and for the best one, which may be the same; a log may be long.
    fold = tmp_path / "runs/seed_1/fold_1"
    saved = [size(each) for each in (fold / "save").glob("CKPT*")]
    assert training["checkpoint_bytes"] == pytest.approx(saved[0], rel=0.03)
    expected = training["disk_bytes"] / 6 - (2 - len(saved)) * training["checkpoint_bytes"]
    assert size(fold) == pytest.approx(expected, abs=1e6)

    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    left = plan("IEMOCAP/train_ser.py", [*words(tmp_path / "features", tmp_path / "runs"), "--folds", "1-2"], code=2)
    assert "Free some, or choose other folders or a cheaper setting." in left["disk_warning"]
    assert (left["runs"]["there"], left["runs"]["to_do"]) == (1, 1)
    assert left["extraction"]["seconds"] == left["extraction"]["disk_bytes"] == 0
    assert left["training"]["num_updates"] == 40
    done = plan("IEMOCAP/train_ser.py", [*words(tmp_path / "features", tmp_path / "runs"), "--folds", "1"])
    assert done["runs"]["to_do"] == 0 and done["seconds"] == 0 and done["disk_bytes"] == 0


@pytest.mark.parametrize(
    ("recipe", "hparams", "options", "updates"),
    [
        ("train_svm", "svm_resemblyzer", {"encoder": "mel", "num_layers": 1, "encoder_dim": 80}, 0),
        # 16 of 24 utterances are not in the tested third, and 8 of them train: 2 updates of 4 in each of 3 epochs
        ("train_ad", "ad_vgg5", {"num_classes": 2, "number_of_epochs": 3, "batch_size": 4, "num_workers": 0}, 6 * 3),
    ],
)
def test_a_plan_can_be_made_of_other_recipes(plan, tones, tmp_path, recipe, hparams, options, updates):
    common = {
        "corpus": "table", "data_folder": tones / "labels.csv", "labels": "[angry, sad]", "scheme": "speaker_groups",
        "num_groups": 3, "feature_folder": tmp_path / "features",
    }  # fmt: skip
    line = [f"--{key}={value}" for key, value in {**common, **options}.items()]
    found = plan(f"IEMOCAP/{recipe}.py", [str(ROOT / f"hparams/{hparams}.yaml"), *line, "--to", str(tmp_path / "runs")])
    assert found["training"]["num_updates"] == updates and found["seconds"] > 0
    assert {each.name for each in tmp_path.iterdir()} == {"scratch"}
