"""The recipe of speech and text, where the tone tells one half of the emotion and the words the other."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from emorec_lobes.brains.fusion import FusionBrain
from emorec_lobes.corpora.manifest import ManifestInfo, Utterance, write_manifest
from emorec_lobes.evaluation.metrics import scores
from emorec_lobes.evaluation.predictions import read_predictions
from emorec_lobes.experiments.run import main
from emorec_lobes.experiments.speech_text import SpeechTextTask

from .conftest import assert_a_killed_run_ends_as_a_whole_one, save_tiny_bert

ROOT = Path(__file__).parents[2]
LABELS = ("angry", "neutral", "happy", "sad")
IS_LOUD = {"angry": True, "happy": True, "neutral": False, "sad": False}
WORDS = {"angry": ["hate", "lie"], "sad": ["hate", "lie"], "happy": ["love", "win"], "neutral": ["love", "win"]}
FILLERS = ["i", "you", "so"]
PER_SESSION = 16
DIM = 16

TINY = {
    "corpus": "table",
    "encoder": "mel",
    "num_layers": 1,
    "encoder_dim": 80,
    "text_num_layers": 3,
    "text_encoder_dim": DIM,
    "max_tokens": 40,
    "hidden_dim": 32,
    "dropout": 0.1,
    "num_heads": 2,
    "modality_dropout": 0.2,
    "crop_frames": 40,
    "number_of_updates": 40,
    "updates_per_validation": 10,
    "batch_size": 8,
    "lr": 0.003,
    "num_workers": 0,
}
QUICK = {"fold": 1, "number_of_updates": 4, "updates_per_validation": 2}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Three sessions of two speakers: the folder, and its utterances, the last one without a text."""
    folder, utterances = tmp_path_factory.mktemp("corpus"), []
    generator = np.random.default_rng(5)
    for number in range(3 * PER_SESSION):
        session, turn = divmod(number, PER_SESSION)
        label = LABELS[turn // 2 % 4]
        duration_s = float(generator.uniform(0.4, 1.2))
        times = np.arange(int(16_000 * duration_s)) / 16_000
        wave = np.sin(2 * np.pi * (800 if IS_LOUD[label] else 300) * times) + 0.1 * generator.standard_normal(
            len(times)
        )
        soundfile.write(folder / f"{number}.wav", 0.2 * wave, 16_000)
        words = [*generator.choice(WORDS[label], 2), *generator.choice(FILLERS, generator.integers(0, 5))]
        utterances.append(
            Utterance(
                id=f"t_{number:03d}",
                wav=f"{{data_root}}/{number}.wav",
                duration=duration_s,
                emotion=label,
                raw_emotion=label,
                speaker=f"t_{session}{'FM'[turn % 2]}",
                session=str(session),
                text=" ".join(generator.permutation(words).tolist()),
            )
        )
    utterances[-1] = replace(utterances[-1], text=None)
    return folder, utterances


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    """A BERT of two narrow layers with random weights, which knows the words above."""
    words = [*WORDS["sad"], *WORDS["happy"], *FILLERS]
    return save_tiny_bert(tmp_path_factory.mktemp("bert"), words, hidden_size=DIM, num_layers=2)


@pytest.fixture()
def train(corpus, encoder, features, tmp_path, monkeypatch, capsys):
    """Runs the recipe in this process: (output folder, overrides) -> (exit code, stdout, stderr)."""
    monkeypatch.setattr(sys, "argv", ["train_fusion.py"])
    folder, as_made = corpus

    def run(output, utterances=None, hparams="fusion_demo.yaml", brain=FusionBrain, **overrides):
        manifest = tmp_path / "manifest.json"
        write_manifest(manifest, utterances or as_made, ManifestInfo("table"))
        places = {"data_folder": folder, "feature_folder": features, "output_folder": output}
        options = {**TINY, "text_encoder": encoder, "manifest": manifest, **places, **overrides}
        words = [f"--{key}={value}" for key, value in options.items()]
        code = main(brain, SpeechTextTask, [str(ROOT / "hparams" / hparams), *words, "--device=cpu", "--noprogressbar"])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def test_what_neither_input_tells_alone_is_told_by_both(train, corpus, tmp_path):
    code, out, err = train(tmp_path / "run", number_of_updates=120, updates_per_validation=30)
    assert code == 0, err
    run, record = tmp_path / "run", json.loads((tmp_path / "run/results.json").read_text())
    assert record["uar"] > 0.85
    alone = record["with_one_input"]
    assert list(alone) == ["speech", "text"]
    assert all(0.3 < alone[name]["uar"] < 0.7 for name in alone)  # half of it can be known
    assert "speech alone" in out and "| text alone |" in (run / "results.md").read_text()
    assert record["stamp"]["utterances_without_text"] == 1
    ids = [item.id for item in corpus[1]]
    for name, expected in (("speech", ids), ("text", ids[:-1])):
        table = read_predictions(run / f"predictions_{name}_only.csv")
        tested = table.only("test")
        assert sorted(tested.ids) == expected and set(table.splits) == {"valid", "test"}
        rescored = scores(tested.targets, tested.predicted, tested.labels)
        assert alone[name] == {key: rescored[key] for key in alone[name]}
        assert alone[name]["num_utterances"] == len(expected)
        of_folds = [read_predictions(run / f"fold_{k}/predictions_{name}_only.csv") for k in (1, 2, 3)]
        assert sum(map(len, of_folds)) == len(table)
    assert sorted(read_predictions(run / "predictions.csv").only("test").ids) == ids
    names = "hyperparams.yaml model.safetensors predictions.csv results.json results.md history.json"
    for name in [*names.split(), "figures/training_curves.png"]:
        assert (run / "fold_1" / name).stat().st_size > 0, name


@pytest.mark.parametrize("combine", ["concatenation", "gated_sum", "cross_attention"])
def test_every_way_to_combine_learns_it(train, tmp_path, combine):
    options = {"fold": 1, "number_of_updates": 120, "updates_per_validation": 40}
    assert train(tmp_path / "run", combine=combine, **options)[0] == 0
    record = json.loads((tmp_path / "run/fold_1/results.json").read_text())
    assert record["uar"] > 0.8 and record["stamp"]["combine"] == combine


@pytest.mark.parametrize(
    ("dies_at", "changes"),
    [
        (13, {"combine": "cross_attention", "class_weights": "balanced", "normalise": "speaker"}),
        (27, {"combine": "gated_sum", "refit": True}),
        (35, {"protocol": "paper"}),
    ],
)
def test_a_run_that_is_killed_and_started_again_ends_as_if_nothing_had_happened(train, tmp_path, dies_at, changes):
    options = {"fold": 1, **changes}
    names = ("predictions.csv", "predictions_speech_only.csv", "predictions_text_only.csv", "history.json")
    assert_a_killed_run_ends_as_a_whole_one(train, FusionBrain, tmp_path, dies_at, names, **options)


def test_a_finished_fold_is_not_trained_again_and_one_fold_can_come_first(train, tmp_path):
    options = {"number_of_updates": 4, "updates_per_validation": 2}
    assert train(tmp_path / "run", fold=2, **options)[0] == 0
    before = (tmp_path / "run/fold_2/results.json").stat().st_mtime_ns
    assert train(tmp_path / "run", **options)[0] == 0
    assert (tmp_path / "run/fold_2/results.json").stat().st_mtime_ns == before
    assert (tmp_path / "run/predictions_text_only.csv").exists()


def test_a_fold_begun_on_other_texts_does_not_go_on(train, corpus, tmp_path):
    assert train(tmp_path / "run", **QUICK)[0] == 0
    first, *rest = corpus[1]
    code, _, err = train(tmp_path / "run", utterances=[replace(first, text="so so"), *rest], **QUICK)
    assert code == 2 and "was begun with other values of features" in err


def test_a_test_session_without_any_text_is_answered_by_its_speech(train, corpus, tmp_path):
    silent = [replace(item, text="" if item.session == "0" else item.text) for item in corpus[1]]
    code, out, err = train(tmp_path / "run", utterances=silent, **QUICK)
    assert code == 0, err
    assert not (tmp_path / "run/fold_1/predictions_text_only.csv").exists() and "text alone" not in out
    assert len(read_predictions(tmp_path / "run/fold_1/predictions.csv").only("test")) == PER_SESSION


@pytest.mark.parametrize(
    ("change", "options", "parts"),
    [
        ({}, {"combine": "sum"}, ["`combine` must be one of concatenation, gated_sum, cross_attention"]),
        ({}, {"combine": "cross_attention", "num_heads": 3}, ["`num_heads` must divide `hidden_dim` (32)"]),
        ({}, {"modality_dropout": 2}, ["`modality_dropout` must be from 0 to 1, but is 2"]),
        ({}, {"dropout": 1.0}, ["`dropout` must be from 0 up to, but not, 1"]),
        ({}, {"num_classes": 2}, ["`num_classes` must be 4"]),
        ({}, {"text_encoder_dim": 12}, ["num_layers", "encoder_dim", "16"]),
        ({}, {"text_encoder": "/nonexistent/model"}, ["/nonexistent/model"]),
        ({}, {"brackets": "dropp"}, ["`brackets` must be one of keep, drop, map", "Did you mean 'drop'"]),
        ({}, {"text_encodr": "minilm"}, ["no key `text_encodr`", "--text_encoder"]),
        ({"text": " "}, {}, ["At least one of the 48 utterances must have a transcript", "train_ser.py"]),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(train, corpus, tmp_path, change, options, parts):
    utterances = [replace(item, **change) for item in corpus[1]]
    code, out, err = train(tmp_path / "run", utterances, **{**QUICK, **options})
    lines = err.splitlines()
    assert code == 2 and out == "" and len(lines) == 1 and lines[0].startswith("train_fusion.py: ")
    for part in parts:
        assert part in lines[0]
    assert not list(tmp_path.rglob("results.json"))


def test_the_same_audio_on_two_sides_is_refused_whatever_is_said(train, corpus, tmp_path):
    *rest, last = corpus[1]
    code, _, err = train(tmp_path / "run", [*rest, replace(last, wav=rest[0].wav, text="so you win")], **QUICK)
    assert code == 2 and "The same audio must not be in both" in err


def test_the_large_file_trains_too_and_shows_how_it_mixes_layers(train, tmp_path):
    assert train(tmp_path / "run", hparams="fusion_large.yaml", **QUICK)[0] == 0
    figures = [path.name for path in (tmp_path / "run/fold_1/figures").glob("layer_weights_*")]
    assert figures == ["layer_weights_text.png"]  # of the speech, one layer is stored
