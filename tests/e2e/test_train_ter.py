"""The text recipe from transcripts to results, on words that any model can tell apart."""

import json
import logging
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from emorec_lobes.brains.ter import TERBrain
from emorec_lobes.corpora.manifest import ManifestInfo, Utterance, write_manifest
from emorec_lobes.evaluation.predictions import read_predictions
from emorec_lobes.experiments.run import main
from emorec_lobes.experiments.text import TextTask

from .conftest import assert_a_killed_run_ends_as_a_whole_one, save_tiny_bert

ROOT = Path(__file__).parents[2]
WORDS = {"angry": ["hate", "lie"], "sad": ["miss", "cry"]}
FILLERS = ["i", "you", "so"]
NUM_TURNS = 40  # of a session
DIM, NUM_LAYERS = 16, 3

TINY = {
    "corpus": "table",
    "labels": "[angry, sad]",
    "num_classes": 2,
    "num_layers": 1,
    "encoder_dim": DIM,
    "max_tokens": 40,
    "number_of_updates": 40,
    "updates_per_validation": 10,
    "batch_size": 4,
    "lr": 0.003,
    "num_workers": 0,
}


def transcript(label, generator):
    """One to ten words, of which one or two tell the label."""
    told = generator.choice(WORDS[label], generator.integers(1, 3)).tolist()
    words = [*told, *generator.choice(FILLERS, generator.integers(0, 9)).tolist()]
    return " ".join(words[place] for place in generator.permutation(len(words)))


def talk():
    """Three sessions of one dialogue of two speakers each; none has audio."""
    generator = np.random.default_rng(5)
    for number in range(3 * NUM_TURNS):
        session, turn = divmod(number, NUM_TURNS)
        label = ("angry", "sad")[number // 2 % 2]
        yield Utterance(
            id=f"t_{number:03d}",
            wav="",
            duration=0.0,
            emotion=label,
            raw_emotion=label,
            speaker=f"t_{session}{'FM'[turn % 2]}",
            session=str(session),
            dialog=f"t_{session}",
            turn=turn,
            text=transcript(label, generator),
        )


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    """A BERT of two narrow layers with random weights, which knows the words above."""
    words = [*WORDS["angry"], *WORDS["sad"], *FILLERS]
    return save_tiny_bert(tmp_path_factory.mktemp("bert"), words, hidden_size=DIM, num_layers=NUM_LAYERS - 1)


@pytest.fixture()
def train(encoder, tmp_path, monkeypatch, capsys):
    """Runs the text recipe in this process: (output folder, overrides) -> (exit code, stdout, stderr)."""
    monkeypatch.setattr(sys, "argv", ["train_ter.py"])

    def run(output, utterances=None, hparams="ter_bert.yaml", brain=TERBrain, **overrides):
        manifest = tmp_path / "manifest.json"
        write_manifest(manifest, utterances or talk(), ManifestInfo("table"))
        places = {"data_folder": tmp_path, "feature_folder": tmp_path / "features", "output_folder": output}
        options = {**TINY, "encoder": encoder, "manifest": manifest, **places, **overrides}
        words = [f"--{key}={value}" for key, value in options.items()]
        code = main(brain, TextTask, [str(ROOT / "hparams" / hparams), *words, "--device=cpu", "--noprogressbar"])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def test_a_strict_run_learns_the_words_and_leaves_everything_it_promises(train, tmp_path):
    options = {"number_of_updates": 120, "updates_per_validation": 30, "protocol": "strict", "num_layers": NUM_LAYERS}
    code, out, _ = train(tmp_path / "run", **options)
    assert code == 0 and "UAR" in out
    record = json.loads((tmp_path / "run/results.json").read_text())
    assert record["uar"] > 0.9  # 0.5 is chance
    predictions = read_predictions(tmp_path / "run/predictions.csv")
    assert sorted(predictions.only("test").ids) == [item.id for item in talk()]
    assert set(predictions.splits) == {"valid", "test"}
    stamp = record["stamp"]
    assert (stamp["brackets"], stamp["context_turns"], stamp["truncated_utterances"]) == ("keep", 0, 0)
    assert stamp["as_the_authors"] == [] and stamp["normalise"] == "none"
    names = "hyperparams.yaml model.safetensors predictions.csv results.json figures/layer_weights.png"
    for name in [*names.split(), "figures/training_curves.png"]:
        assert (tmp_path / "run/fold_1" / name).stat().st_size > 0, name


def test_a_paper_run_overfits_a_handful(train, tmp_path):
    """The same speakers' words, tested on their twins: what was learnt by heart is known by heart."""
    handful = list(talk())[:8]
    twins = [replace(item, id=f"{item.id}x", speaker=f"{item.speaker}x", session="9") for item in handful]
    options = {"protocol": "paper", "number_of_updates": 100, "updates_per_validation": 50, "fold": 2}
    code, _, err = train(tmp_path / "run", utterances=[*handful, *twins], **options)
    assert code == 0, err  # the same words on both sides are no leak
    record = json.loads((tmp_path / "run/fold_2/results.json").read_text())
    assert record["uar"] == 1.0 and record["stamp"]["chosen_update"] == 100


@pytest.mark.parametrize(
    ("dies_at", "changes"),
    [
        (13, {"dropout": 0.3, "num_layers": NUM_LAYERS, "context_turns": 2, "class_weights": "balanced"}),
        (27, {"authors": True, "max_tokens": 122, "refit": True}),
        (35, {"hparams": "ter_minilm.yaml"}),  # the one whose learning rate decays
    ],
)
def test_a_run_that_is_killed_and_started_again_ends_as_if_nothing_had_happened(train, tmp_path, dies_at, changes):
    options = {"protocol": "strict", "fold": 1, **changes}
    names = ("predictions.csv", "history.json")
    assert_a_killed_run_ends_as_a_whole_one(train, TERBrain, tmp_path, dies_at, names, **options)


TOLD = {
    "accuracy": [0.1, 0.4, 0.3, 0.2],
    "uar": [0.1, 0.2, 0.3, 0.4],
    "weighted_f1": [0.4, 0.3, 0.2, 0.1],
    "macro_f1": [0.1, 0.2, 0.4, 0.3],
}


class Scripted(TERBrain):
    """Scores its validations as told, whatever it answers."""

    def scores(self):
        return {name: values[len(self.history.rows)] for name, values in TOLD.items()}


@pytest.mark.parametrize(("score", "best"), [("accuracy", 20), ("uar", 40), ("weighted_f1", 10), ("macro_f1", 30)])
def test_the_score_that_is_named_chooses_the_checkpoint(train, tmp_path, score, best):
    options = {"protocol": "strict", "fold": 1, "validation_score": score}
    assert train(tmp_path / "run", brain=Scripted, **options)[0] == 0
    fold = tmp_path / "run/fold_1"
    stamp = json.loads((fold / "results.json").read_text())["stamp"]
    assert stamp["chosen_update"] == best and stamp["checkpoint_chosen_on"] == f"validation {score}"
    kept = [path.read_text() for path in fold.glob("save/*/CKPT.yaml")]
    assert len(kept) == (1 if best == 40 else 2)  # the last one, and the best
    assert any(f"update: {best}\n" in text for text in kept)
    # Its weights are those of a training that ends there, and chooses its last.
    short = {**options, "number_of_updates": best, "validation_score": "uar"}
    assert train(tmp_path / "short", brain=Scripted, **short)[0] == 0
    weights = [(tmp_path / run / "fold_1/model.safetensors").read_bytes() for run in ("run", "short")]
    assert weights[0] == weights[1]


def test_patience_waits_for_the_score_that_is_named(train, tmp_path):
    for score, updates in (("weighted_f1", 20), ("accuracy", 30)):
        options = {"protocol": "strict", "fold": 1, "validation_score": score, "patience": 1}
        assert train(tmp_path / score, brain=Scripted, **options)[0] == 0
        rows = json.loads((tmp_path / score / "fold_1/history.json").read_text())["rows"]
        assert rows[-1]["update"] == updates


def test_as_the_authors_no_probability_of_two_classes_leaves_what_a_sigmoid_allows(train, tmp_path):
    assert train(tmp_path / "run", authors=True, max_tokens=122, fold=1, lr=0.1)[0] == 0
    probabilities = read_predictions(tmp_path / "run/fold_1/predictions.csv").probabilities
    bound = 1 / (1 + np.e)
    assert probabilities.min() >= bound - 1e-6 and probabilities.max() <= 1 - bound + 1e-6
    record = json.loads((tmp_path / "run/fold_1/results.json").read_text())
    assert record["stamp"]["as_the_authors"] == ["authors_network", "max_tokens"]


def test_each_context_has_tokens_of_its_own(train, tmp_path):
    from emorec_lobes.features.store import FeatureStore

    quick = {"fold": 1, "number_of_updates": 2, "updates_per_validation": 2}
    for context_turns in (0, 2):
        assert train(tmp_path / f"run_{context_turns}", context_turns=context_turns, **quick)[0] == 0
    [plain], [behind] = ((tmp_path / "features" / place).glob("tokens-*") for place in (".", "context_2"))
    plain, behind = FeatureStore.read_only(plain), FeatureStore.read_only(behind)
    words = {item.id: len(item.text.split()) for item in talk()}
    assert {item: plain.num_frames(item) for item in words} == words
    assert {item: behind.num_frames(item) for item in words} == words  # the context's own tokens are not among them
    for place, item in enumerate(words):
        begins_a_dialogue = place % NUM_TURNS == 0
        assert torch.equal(plain.read(item), behind.read(item)) is begins_a_dialogue


def test_what_is_cut_off_is_counted_in_the_record(train, tmp_path):
    logging.disable()  # the extraction warns of it too
    quick = {"fold": 1, "number_of_updates": 2, "updates_per_validation": 2, "max_tokens": 7}
    assert train(tmp_path / "run", **quick)[0] == 0
    logging.disable(logging.NOTSET)
    record = json.loads((tmp_path / "run/fold_1/results.json").read_text())
    longer = [item for item in talk() if len(item.text.split()) > 5]  # two of seven are special tokens
    assert record["stamp"]["truncated_utterances"] == len(longer) > 0


def without(items, **changes):
    first, *rest = items
    return [replace(first, **changes), *rest]


@pytest.mark.parametrize(
    ("utterances", "changes", "parts"),
    [
        (None, {"num_classes": 4}, ["`num_classes` must be 2"]),
        (None, {"encoder_dim": 12}, ["encoder", "num_layers", "encoder_dim", "16"]),
        (None, {"num_layers": 7}, ["encoder", "num_layers", "3"]),
        (None, {"brackets": "dropp"}, ["`brackets` must be one of keep, drop, map", "Did you mean 'drop'"]),
        (None, {"encoder": "/nonexistent/model"}, ["/nonexistent/model"]),
        (None, {"validation_score": "recall"}, ["`validation_score` must be one of accuracy, uar", "'recall'"]),
        (None, {"context_turns": -1}, ["`context_turns` must be a whole number from 0 up"]),
        (None, {"scheme": "speakers", "context_turns": 1}, ["The dialog 't_0' must not be in both", "context_turns"]),
        (without(talk(), dialog=None), {"context_turns": 1}, ["'t_000' has no dialog", "--context_turns 0"]),
        (without(talk(), text=""), {}, ["'t_000'", "empty"]),
        (None, {"authors": True, "max_tokens": 200}, ["`max_tokens` must be at most 122", "--max_tokens 122"]),
        (None, {"kernel_sizes": "[1, 1, 8]"}, ["`kernel_sizes` must be as many as `channels`"]),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(train, tmp_path, utterances, changes, parts):
    quick = {"fold": 1, "number_of_updates": 2, "updates_per_validation": 2}
    code, out, err = train(tmp_path / "run", utterances, **{**quick, **changes})
    lines = [line for line in err.splitlines() if not line.startswith("fold ")]
    assert code == 2 and out == "" and len(lines) == 1 and lines[0].startswith("train_ter.py: ")
    for part in parts:
        assert part in lines[0]
    assert not list(tmp_path.rglob("results.json"))


def test_the_demo_file_trains_too(train, tmp_path):
    assert train(tmp_path / "run", hparams="ter_demo.yaml", fold=1)[0] == 0
