"""ad_vgg5.yaml the whole way, as on the real corpus: IEMOCAP's tree, improvised turns, each speaker tested once.

Only the length of crops and of the training are overridden, so no score is looked at.
"""

import json
import sys
from pathlib import Path

from emorec_lobes.brains.ad import ADBrain
from emorec_lobes.evaluation.predictions import read_predictions
from emorec_lobes.experiments.ad import ADTask
from emorec_lobes.experiments.run import main

HPARAMS = Path(__file__).parents[2] / "hparams/ad_vgg5.yaml"
NUM_TURNS = 4


def test_ten_runs_test_each_speaker_while_the_other_of_the_session_validates(
    synthetic_iemocap, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(sys, "argv", ["train_ad.py"])
    overrides = {
        "corpus": "synthetic",
        "data_folder": synthetic_iemocap,
        "output_folder": tmp_path / "run",
        "feature_folder": tmp_path / "features",
        "crop_frames": 24,
        "number_of_epochs": 1,
        "eval_windows": "whole",
        "num_workers": 0,
    }
    words = [f"--{key}={value}" for key, value in overrides.items()]
    assert main(ADBrain, ADTask, [str(HPARAMS), *words, "--device=cpu", "--noprogressbar"]) == 0
    assert "Results: synthetic corpus" in capsys.readouterr().out

    manifest = json.loads((tmp_path / "run/manifest.json").read_text())
    assert {entry["kind"] for entry in manifest.values()} == {"improvised"}
    record = json.loads((tmp_path / "run/results.json").read_text())
    assert record["stamp"]["selection"] == "xi2022" and record["stamp"]["speaker_independent"] is True
    assert len(record["folds"]) == 10
    pooled = read_predictions(tmp_path / "run/predictions.csv")
    assert sorted(pooled.only("test").ids) == sorted(manifest)
    for fold in range(1, 11):
        rows = read_predictions(tmp_path / f"run/fold_{fold}/predictions.csv")
        people = [{manifest[each]["speaker"] for each in rows.only(split).ids} for split in ("valid", "test")]
        assert [len(names) for names in people] == [1, 1] and not people[0] & people[1]
        assert len({manifest[each]["session"] for each in rows.ids}) == 1
