"""The text references from a manifest to results: what they may see, what they see, and what chooses."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score, recall_score

from emorec_lobes.corpora.manifest import ManifestInfo, Utterance, write_manifest
from emorec_lobes.evaluation.predictions import read_predictions
from emorec_lobes.features.store import FeatureStore

from .conftest import save_tiny_bert

ROOT = Path(__file__).parents[2]
LABELS = ("angry", "neutral", "sad")
WORDS = {"angry": ["hate", "lie", "!"], "neutral": ["road", "time", "you"], "sad": ["miss", "cry", "alone"]}
FILLERS = ["i", "so", "you", "a", "the", "time"]
SIZES = {"train": 120, "valid": 60, "test": 60}
C_VALUES = (0.01, 0.1, 1.0, 10.0)
SCORES = {
    "accuracy": accuracy_score,
    "uar": lambda truth, answers: recall_score(truth, answers, average="macro"),
    "weighted_f1": lambda truth, answers: f1_score(truth, answers, average="weighted"),
    "macro_f1": lambda truth, answers: f1_score(truth, answers, average="macro"),
}


def talk():
    """Dialogues of four turns in an official split: half are neutral, and a third of the words tell a wrong emotion."""
    generator = np.random.default_rng(3)
    for split, size in SIZES.items():
        for number in range(size):
            label = str(generator.choice(LABELS, p=[0.3, 0.5, 0.2]))
            told = label if generator.random() < 0.67 else str(generator.choice(LABELS))
            words = [*generator.choice(WORDS[told], 2).tolist(), *generator.choice(FILLERS, 3).tolist()]
            yield Utterance(
                id=f"t_{split}_{number:03d}",
                wav="",
                duration=0.0,
                emotion=label,
                raw_emotion=label,
                speaker=f"t_{number % 5}",
                dialog=f"t_{split}_{number // 4}",
                turn=number % 4,
                # A word of its own for each split: who has met it has met the split.
                text=" ".join([*words, f"only{split}"]),
                fold=split,
            )


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    """A BERT of one narrow layer with random weights, which knows the words above."""
    words = dict.fromkeys([*FILLERS, *(word for each in WORDS.values() for word in each)])
    return save_tiny_bert(tmp_path_factory.mktemp("bert"), words, hidden_size=16, num_layers=1, max_positions=64)


@pytest.fixture()
def fit(encoder, tmp_path, monkeypatch, capsys):
    """Runs a reference recipe in this process: (output folder, file, overrides) -> (exit code, stdout, stderr)."""
    from emorec_lobes.experiments.run import run_recipe
    from emorec_lobes.experiments.text_reference import answer_with_logistic, text_features

    monkeypatch.setattr(sys, "argv", ["train_lr.py"])

    def run(output, hparams="lr_tfidf.yaml", utterances=None, **overrides):
        manifest = tmp_path / "manifest.json"
        write_manifest(manifest, utterances or talk(), ManifestInfo("table"))
        minilm = {"encoder": encoder, "encoder_dim": 16, "max_tokens": 40} if hparams == "lr_minilm.yaml" else {}
        options = {
            "corpus": "table",
            "scheme": "official",
            "labels": f"[{', '.join(LABELS)}]",
            "c_values": list(C_VALUES),
            "manifest": manifest,
            "data_folder": tmp_path,
            "feature_folder": tmp_path / "features",
            "output_folder": output,
            **minilm,
            **overrides,
        }
        words = [f"--{key}={value}" for key, value in options.items()]
        argv = [str(ROOT / "hparams" / hparams), *words, "--device=cpu", "--noprogressbar"]
        code = run_recipe(answer_with_logistic, text_features, argv)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def split_of(name):
    return [item for item in talk() if item.fold == name]


def slowly(train, others, c, **options):
    """Answers, by scikit-learn alone and with a vocabulary of the training texts alone."""
    vectoriser = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True, token_pattern=r"\w+|[^\w\s]")
    features = vectoriser.fit_transform([item.text for item in train])
    model = LogisticRegression(C=c, max_iter=10_000, tol=1e-8, **options)
    model.fit(features, [LABELS.index(item.emotion) for item in train])
    return model.predict_proba(vectoriser.transform([item.text for item in others]))


def record_of(folder):
    return json.loads((folder / "results.json").read_text())


@pytest.mark.parametrize("hparams", ["lr_tfidf.yaml", "lr_minilm.yaml"])
def test_a_run_learns_the_words_and_leaves_everything_it_promises(fit, tmp_path, hparams):
    code, out, err = fit(tmp_path / "run", hparams)
    assert code == 0 and "UAR" in out and err.startswith("fold 1 (train 120, valid 60, test 60 utterances)")
    record = record_of(tmp_path / "run")
    assert record["accuracy"] > 0.6 > record["baseline"]["accuracy"]
    for name in ("predictions.csv", "results.json", "results.md", "figures/confusion.png"):
        assert (tmp_path / "run" / name).stat().st_size > 0
        assert (tmp_path / "run/fold_1" / name).stat().st_size > 0
    for name in ("hyperparams.yaml", "env.log", "fingerprint.json", "validation.json"):
        assert (tmp_path / "run/fold_1" / name).stat().st_size > 0
    stamp = record["stamp"]
    assert stamp["chosen_c"][0] in C_VALUES and stamp["checkpoint_chosen_on"] == "validation uar"
    assert stamp["classifier"].startswith("multinomial logistic regression on") and "regression's own" in out
    assert record["interval"]["method"].startswith("bootstrap over 15 dialogues")  # its speakers are in training too


@pytest.mark.parametrize("refit", [False, True])
def test_probabilities_are_those_of_a_vocabulary_of_the_training_texts_alone(fit, tmp_path, refit):
    assert fit(tmp_path / "run", refit=refit, class_weights="balanced", tolerance=1e-8)[0] == 0
    table = read_predictions(tmp_path / "run/predictions.csv")
    c = record_of(tmp_path / "run")["stamp"]["chosen_c"][0]
    train, valid, test = map(split_of, SIZES)
    for split, fitted_on, asked in (("valid", train, valid), ("test", train + valid * refit, test)):
        found = table.only(split)
        place = dict(zip(found.ids.tolist(), found.probabilities, strict=True))
        expected = slowly(fitted_on, asked, c, class_weight="balanced")
        np.testing.assert_allclose([place[item.id] for item in asked], expected, atol=1e-4)


def test_no_word_of_validation_or_test_is_in_the_vocabulary(fit, tmp_path, monkeypatch):
    from emorec_lobes.experiments import text_reference

    vocabularies = []

    class Watched(TfidfVectorizer):
        def fit(self, texts):
            super().fit(texts)
            vocabularies.append(set(self.vocabulary_))
            return self

    monkeypatch.setattr(text_reference, "TfidfVectorizer", Watched)
    assert fit(tmp_path / "run", min_df=1, refit=True)[0] == 0
    first, again = vocabularies
    own = [{f"only{split}" for split in SIZES} & words for words in (first, again)]
    assert own == [{"onlytrain"}, {"onlytrain", "onlyvalid"}]


@pytest.mark.parametrize("score", SCORES)
def test_c_is_the_one_with_the_best_score_of_that_name(fit, tmp_path, score):
    assert fit(tmp_path / "run", validation_score=score, tolerance=1e-8)[0] == 0
    train, valid, _ = map(split_of, SIZES)
    truth = [LABELS.index(item.emotion) for item in valid]
    expected = [SCORES[score](truth, slowly(train, valid, c).argmax(axis=1)) for c in C_VALUES]
    validation = json.loads((tmp_path / "run/fold_1/validation.json").read_text())
    assert [row[score] for row in validation["rows"]] == pytest.approx(expected)
    assert validation["chosen_c"] == C_VALUES[int(np.argmax(expected))]  # the first, so the smallest, of equals
    assert record_of(tmp_path / "run")["stamp"]["checkpoint_chosen_on"] == f"validation {score}"


@pytest.mark.parametrize("num_layers", [1, 2])
def test_mean_tokens_are_a_mean_by_hand_standardised_on_the_training_rows(fit, tmp_path, num_layers):
    options = {"num_layers": num_layers, "c_values": [0.5], "tolerance": 1e-8}
    assert fit(tmp_path / "run", "lr_minilm.yaml", **options)[0] == 0
    store = FeatureStore.read_only(next((tmp_path / "features").glob("tokens-*")))
    mean = {}
    for item in store.ids:
        tokens = store.read(item).double().numpy()
        mean[item] = (sum(tokens) / len(tokens)).ravel()
    train, _, test = map(split_of, SIZES)
    rows, others = (np.array([mean[item.id] for item in part]) for part in (train, test))
    centre, spread = rows.mean(axis=0), rows.std(axis=0)
    model = LogisticRegression(C=0.5, max_iter=10_000, tol=1e-8)
    model.fit((rows - centre) / spread, [LABELS.index(item.emotion) for item in train])
    found = read_predictions(tmp_path / "run/predictions.csv").only("test")
    assert found.ids.tolist() == [item.id for item in test]
    np.testing.assert_allclose(found.probabilities, model.predict_proba((others - centre) / spread), atol=1e-4)


def test_an_utterance_of_two_emotions_counts_a_half_for_each(fit, tmp_path):
    twofold = [replace(item, emotions=["angry", "sad"], emotion="angry") for item in split_of("train")[:40]]
    rest = [item for item in talk() if item.id not in {each.id for each in twofold}]
    options = {"c_values": [1.0], "tolerance": 1e-8}
    assert fit(tmp_path / "run", utterances=[*twofold, *rest], **options)[0] == 0
    train = [item for item in [*twofold, *rest] if item.fold == "train"]
    vectoriser = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True, token_pattern=r"\w+|[^\w\s]")
    vectoriser.fit([item.text for item in train])
    # Whole numbers of copies, and the penalty doubled, are the same problem.
    copies = [(item.text, each) for item in train for each in item.emotions or [item.emotion] * 2]
    model = LogisticRegression(C=0.5, max_iter=10_000, tol=1e-8)
    model.fit(vectoriser.transform([text for text, _ in copies]), [LABELS.index(each) for _, each in copies])
    found = read_predictions(tmp_path / "run/predictions.csv").only("test")
    expected = model.predict_proba(vectoriser.transform([item.text for item in split_of("test")]))
    np.testing.assert_allclose(found.probabilities, expected, atol=1e-4)


@pytest.mark.parametrize("hparams", ["lr_tfidf.yaml", "lr_minilm.yaml"])
def test_context_changes_what_is_read(fit, tmp_path, hparams):
    tables = []
    for turns in (0, 2):
        assert fit(tmp_path / f"run_{turns}", hparams, context_turns=turns)[0] == 0
        tables.append(read_predictions(tmp_path / f"run_{turns}/predictions.csv").probabilities)
    assert not np.allclose(*tables, atol=1e-3)


def test_finished_folds_are_not_fitted_again(fit, tmp_path, monkeypatch):
    from emorec_lobes.experiments import text_reference

    assert fit(tmp_path / "run")[0] == 0
    monkeypatch.setattr(text_reference, "fit_logistic", None)
    code, out, _ = fit(tmp_path / "run")
    assert code == 0 and "UAR" in out


def test_two_runs_give_the_same_bytes(fit, tmp_path):
    for name in ("a", "b"):
        assert fit(tmp_path / name)[0] == 0
    assert (tmp_path / "a/predictions.csv").read_bytes() == (tmp_path / "b/predictions.csv").read_bytes()


def across():
    """The first dialogue of the test is also one of training."""
    return [replace(item, dialog="t_train_0") if item.dialog == "t_test_0" else item for item in talk()]


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"validation_score": "f1"}, ["`validation_score` must be one of accuracy, uar", "'f1'"]),
        ({"c_values": "[]"}, ["`c_values` must be different numbers above 0"]),
        ({"class_weights": "[1]"}, ["`class_weights`", "3 positive numbers"]),
        ({"brackets": "dropp"}, ["`brackets` must be one of keep, drop, map"]),
        ({"ngram_range": "[2, 1]"}, ["`ngram_range` must be the fewest and the most words", "[2, 1]"]),
        ({"ngram_range": "[1]"}, ["`ngram_range`", "[1]"]),
        ({"token_pattern": "(a"}, ["`token_pattern` must be a regular expression", "(a"]),
        ({"token_pattern": "x(a)(b)"}, ["`token_pattern` must have one group at most, but has 2"]),
        ({"token_pattern": "xyz"}, ["`min_df` and `token_pattern` must leave a word", "--min_df"]),
        ({"min_df": 500}, ["`min_df` and `token_pattern` must leave a word", "--min_df"]),
        ({"min_df": 0}, ["`min_df` must be a whole number from 1 up"]),
        ({"max_iterations": 1}, ["`max_iterations` must let the regression with C = 0.01 converge"]),
        ({"context_turns": 1, "utterances": across()}, ["The dialog 't_train_0' must not be in both", "training"]),
        (
            {"utterances": [replace(item, text=" ") for item in talk()]},
            ["`text` of 't_train_000' must be a transcript"],
        ),
        ({"hparams": "lr_minilm.yaml", "encoder_dim": 12}, ["encoder", "num_layers", "encoder_dim", "16"]),
        ({"hparams": "lr_minilm.yaml", "encoder": "/nonexistent/model"}, ["/nonexistent/model"]),
        ({"hparams": "lr_minilm.yaml", "encoder": "tfidf"}, ["lr_minilm.yaml must have the key `ngram_range`"]),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(fit, tmp_path, changes, parts):
    code, out, err = fit(tmp_path / "run", **changes)
    lines = [line for line in err.splitlines() if not line.startswith("fold ")]
    assert code == 2 and out == "" and len(lines) == 1 and lines[0].startswith("train_lr.py: ")
    for part in parts:
        assert part in lines[0]
    assert not list(tmp_path.rglob("results.json"))
