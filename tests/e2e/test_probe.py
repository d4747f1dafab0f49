"""`emorec probe` from a finished run to table and figures, and what it refuses."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from emorec_lobes.cli.main import main
from emorec_lobes.models import probe as models_probe

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    """The paper's probe has three million weights; its layers are tested elsewhere."""
    monkeypatch.setattr(models_probe, "HIDDEN_DIMS", (32, 16, 16))


@pytest.fixture(scope="module")
def ser_run(tones, features, command_line, tmp_path_factory):
    """The first fold of a speech run, trained on the tones."""
    from emorec_lobes.brains.ser import SERBrain
    from emorec_lobes.experiments.run import main as recipe
    from emorec_lobes.experiments.speech import SpeechTask

    folder = tmp_path_factory.mktemp("ser") / "run"
    return _run(recipe, SERBrain, SpeechTask, command_line("ser_mel.yaml", tones, features, folder, fold=1), folder)


@pytest.fixture(scope="module")
def ad_run(tones, features, tmp_path_factory):
    """The first fold of a run with two AD modules."""
    from emorec_lobes.brains.ad import ADBrain
    from emorec_lobes.experiments.ad import ADTask
    from emorec_lobes.experiments.run import main as recipe

    folder = tmp_path_factory.mktemp("ad") / "run"
    options = {
        "corpus": "table",
        "data_folder": tones / "labels.csv",
        "feature_folder": features,
        "output_folder": folder,
        "labels": "[angry, sad]",
        "num_classes": 2,
        "scheme": "speaker_groups",
        "num_groups": 3,
        "protocol": "paper",
        "vad": "none",
        "crop_frames": 48,
        "number_of_epochs": 2,
        "batch_size": 4,
        "num_workers": 0,
        "ad_positions": "[conv4, conv5]",
        "fold": 1,
    }
    words = [str(ROOT / "hparams/ad_vgg5.yaml"), *(f"--{key}={value}" for key, value in options.items())]
    return _run(recipe, ADBrain, ADTask, [*words, "--device=cpu", "--noprogressbar"], folder)


def _run(recipe, brain, task, words, folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["train.py"])
        assert recipe(brain, task, words) == 0
    return folder


def contents(folder):
    """All files but log.txt, to which this process, which has trained the run, goes on logging."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "log.txt"}


def test_the_codes_of_a_speech_run_are_probed_and_the_run_stays_as_it_was(ser_run, tmp_path, capsys):
    before = contents(ser_run)
    assert main(["probe", str(ser_run), "--to", str(tmp_path / "out")]) == 0
    assert contents(ser_run) == before
    assert capsys.readouterr().out == (tmp_path / "out/probe.md").read_text()
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["pca.png", "probe.json", "probe.md", "tsne.png"]
    record = json.loads((tmp_path / "out/probe.json").read_text())
    assert len(record["speakers"]) == 4 and record["left_out"] == 0
    of = {(row["asked_for"], row["probe"], row["utterances"]): row for row in record["probes"]}
    assert len(of) == len(record["probes"]) == 6 and {row["point"] for row in record["probes"]} == {"codes"}
    # 16 training utterances of four speakers, of whom one each is held out; 8 of the two others are tested.
    assert {key: row["num_utterances"] for key, row in of.items()} == {
        (asked, probe, side): 8 if side == "test" else 4
        for asked, sides in {"speaker": ["held out"], "emotion": ["held out", "test"]}.items()
        for probe in ("network", "linear")
        for side in sides
    }
    assert of["emotion", "linear", "test"]["accuracy"] >= 0.75, "the network tells the tones apart"
    assert of["speaker", "linear", "held out"]["uniform"] == 0.25


def test_the_codes_are_those_that_the_model_answers_from(ser_run):
    """The classifier, put upon the probed codes, says what predictions.csv says."""
    import torch

    from emorec_lobes.evaluation.predictions import read_predictions
    from emorec_lobes.experiments.probed_run import Source, fold_settings, gather, speech_inputs
    from emorec_lobes.inference.finished import open_fold
    from emorec_lobes.models.probe_points import code_points

    target = "emorec_lobes.models.cross_representation.CrossRepresentation"
    fold = open_fold(ser_run, "1", (target,))
    settings = fold_settings(fold.folder, fold.hparams)
    probed = gather(settings, "1", fold.model, Source(speech_inputs, code_points, ""), "cpu", progress=False)
    rows = probed.tested["codes"]
    with torch.no_grad():
        answers = fold.model.classifier(torch.from_numpy(rows.vectors).unsqueeze(1)).softmax(dim=1).numpy()
    written = read_predictions(fold.folder / "predictions.csv").only("test")
    expected = dict(zip(written.ids.tolist(), written.probabilities, strict=True))
    single = [place for place, count in enumerate(rows.counts) if count == 1]
    assert len(single) > 2
    starts = np.cumsum(rows.counts) - rows.counts
    for place in single:
        np.testing.assert_allclose(answers[starts[place]], expected[probed.tested_ids[place]], atol=1e-4)


def test_every_point_of_each_module_is_probed_and_its_attention_drawn(ad_run, tmp_path, capsys):
    assert main(["probe", str(ad_run), "--to", str(tmp_path / "out"), "--pooling", "average"]) == 0
    out, _ = capsys.readouterr()
    record = json.loads((tmp_path / "out/probe.json").read_text())
    points = [f"{place} {part}" for place in ("conv4", "conv5") for part in ("F", "IN(F)", "F+", "F-")]
    assert list(dict.fromkeys(row["point"] for row in record["probes"])) == points
    assert len(record["probes"]) == 6 * len(points) and "average" in record["vectors"]
    assert (tmp_path / "out/attention.png").stat().st_size > 0
    assert "conv5 F-" in out and "1 / n" in out
    for row in record["probes"]:
        if row["point"].endswith("IN(F)") and row["asked_for"] == "emotion" and row["utterances"] == "test":
            assert row["accuracy"] == 0.5, "the average of what is normalised is one constant"


def test_features_that_moved_are_found_where_they_are_said_to_be(ad_run, features, tones, tmp_path, capsys):
    moved = tmp_path / "moved"
    shutil.copytree(ad_run, moved)
    words = ["probe", str(moved), "--data-folder", str(tones), "--feature-folder", str(features)]
    assert main(words) == 0
    assert (moved / "fold_1/probe/probe.json").exists()
    assert "fold 1 of moved" in capsys.readouterr().out


def refused(capsys, *words):
    assert main(["probe", *map(str, words)]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and err.startswith("emorec: ")
    return err


def test_what_is_no_finished_run_of_such_a_network_is_one_line(ser_run, tones, tmp_path, capsys):
    assert "must be the folder of a run" in refused(capsys, tones)
    assert "must be the folder of a run" in refused(capsys, tmp_path / "missing")
    assert "`fold` must be one of 1, but is '2'" in refused(capsys, ser_run, "--fold", 2)
    run = tmp_path / "run"
    shutil.copytree(ser_run, run)
    hyperparams = run / "fold_1/hyperparams.yaml"
    text = hyperparams.read_text()
    hyperparams.write_text(text.replace("cross_representation.CrossRepresentation", "text_cnn.TextCNN"))
    assert "but holds TextCNN instead" in refused(capsys, run)
    hyperparams.write_text(text.split("\nmodel:")[0])
    assert "but holds no network instead" in refused(capsys, run)
    (run / "fold_1/results.json").unlink()
    assert "is not finished" in refused(capsys, run)


def test_a_folder_that_would_run_something_else_runs_nothing(ser_run, tmp_path, capsys):
    run, made = tmp_path / "run", tmp_path / "made"
    shutil.copytree(ser_run, run)
    path = run / "fold_1/hyperparams.yaml"
    text = path.read_text()
    path.write_text(text.replace("  layer_mix:", f"  layer_mix: !apply:os.mkdir [{made}]"))
    assert path.read_text() != text
    assert "is not on the list of safe targets" in refused(capsys, run)
    path.write_text(f"{text}\nextra: !apply:os.mkdir [{made}]\n")
    assert main(["probe", str(run)]) == 0
    assert not made.exists()


def test_weights_or_a_manifest_that_do_not_belong_to_the_run_are_refused(ser_run, tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(ser_run, run)
    path = run / "fold_1/model.safetensors"
    weights = load_file(path)
    save_file({name: value for name, value in weights.items() if name != "model.encoder.lstm.weight_ih_l0"}, path)
    assert "does not fit its hyperparams.yaml" in refused(capsys, run)
    save_file(weights, path)
    manifest = json.loads((run / "manifest.json").read_text())
    tested = next(key for key in manifest if key.split(",")[0] in (run / "fold_1/predictions.csv").read_text())
    del manifest[tested]
    (run / "manifest.json").write_text(json.dumps(manifest))
    assert "Restore the manifest" in refused(capsys, run)


def test_networks_are_drawn_side_by_side(ad_run, tmp_path):
    assert main(["probe", str(ad_run), "--to", str(tmp_path), "--beside", str(ad_run)]) == 0
    assert all((tmp_path / name).stat().st_size > 0 for name in ("networks.png", "networks_pca.png"))


def test_a_network_on_other_features_is_not_drawn_beside(ad_run, tmp_path, capsys):
    other = tmp_path / "other"
    shutil.copytree(ad_run, other)
    hparams = other / "fold_1/hyperparams.yaml"
    hparams.write_text(hparams.read_text().replace("hop_ms: 10.0", "hop_ms: 20.0"))
    assert main(["probe", str(ad_run), "--to", str(tmp_path / "out"), "--beside", str(other)]) == 2
    assert "`hop_ms`" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_speech_run_has_nothing_beside_it(ser_run, tmp_path, capsys):
    assert main(["probe", str(ser_run), "--to", str(tmp_path / "out"), "--beside", str(ser_run)]) == 2
    assert "--beside" in capsys.readouterr().err
