"""From a training to a folder that anyone can check and ask."""

import json

import torch

from emorec_lobes.cli.main import main
from emorec_lobes.evaluation.predictions import read_predictions
from emorec_lobes.features.store import FeatureStore
from emorec_lobes.inference.graph import make_graph
from emorec_lobes.inference.model_folder import open_model


def test_a_trained_run_is_exported_verified_and_answers_as_it_did(train, features, tmp_path, capsys, monkeypatch):
    assert train(tmp_path / "run", protocol="strict", fold=1, enrolment="utterance")[0] == 0
    monkeypatch.chdir(tmp_path)
    assert main(["export", "run", "--to", "model", "--licence", "none needed: tones"]) == 0
    assert main(["verify", "model"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "fold: run/fold_1"
    opened = open_model("model")
    stored = json.loads((tmp_path / "run/fold_1/results.json").read_text())["fingerprint"]["features"]
    stores = {name: FeatureStore.read_only(features / stored[name]) for name in ("layers", "speaker")}
    rows = read_predictions(tmp_path / "run/fold_1/predictions.csv")
    graph = make_graph(opened.task, opened.model, opened.hparams)
    for item, expected in zip(rows.ids, rows.probabilities, strict=True):
        layers = stores["layers"].read(item).float()[None]
        with torch.inference_mode():
            found = graph(layers, torch.tensor([layers.shape[1]]), stores["speaker"].read(item))[0]
        torch.testing.assert_close(found.double(), torch.from_numpy(expected), atol=1e-5, rtol=0)
