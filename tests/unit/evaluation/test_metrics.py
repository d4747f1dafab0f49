import json
import warnings

import numpy as np
import pytest
from sklearn import metrics as reference

from emorec_lobes.errors import DataError
from emorec_lobes.evaluation.metrics import METRICS, count_confusions, from_confusion, majority_baseline, scores

LABELS = ("angry", "neutral", "sad")

# Worked by hand: rows angry, neutral, sad.
#   2 1 1     recall 2/4, 3/3, 1/3
#   0 3 0     precision 2/3, 3/5, 1/2
#   1 1 1     F1 4/7, 6/8, 2/5
TARGETS = [0, 0, 0, 0, 1, 1, 1, 2, 2, 2]
ANSWERS = [0, 0, 1, 2, 1, 1, 1, 0, 1, 2]


def random_answers(seed, num_utterances=200, num_classes=5):
    generator = np.random.default_rng(seed)
    targets = generator.integers(0, num_classes, num_utterances)
    answers = np.where(generator.random(num_utterances) < 0.5, targets, generator.integers(0, 5, num_utterances))
    return targets, answers, ("angry", "neutral", "happy", "sad", "excited")[:num_classes]


def slow_scores(targets, answers, num_classes):
    """Loops and sets only, in the words of the definitions."""
    pairs = list(zip(targets, answers, strict=True))
    recalls, f1s, weighted = [], [], 0.0
    for label in range(num_classes):
        of_class = [answer for target, answer in pairs if target == label]
        as_class = [target for target, answer in pairs if answer == label]
        if not of_class:
            continue
        recall = of_class.count(label) / len(of_class)
        precision = as_class.count(label) / len(as_class) if as_class else 0.0
        f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
        recalls.append(recall)
        f1s.append(f1)
        weighted += f1 * len(of_class) / len(pairs)
    return {
        "accuracy": sum(target == answer for target, answer in pairs) / len(pairs),
        "uar": sum(recalls) / len(recalls),
        "weighted_f1": weighted,
        "macro_f1": sum(f1s) / len(f1s),
    }


def test_the_case_worked_by_hand():
    result = scores(TARGETS, ANSWERS, LABELS)
    assert result["num_utterances"] == 10
    assert result["confusion"] == [[2, 1, 1], [0, 3, 0], [1, 1, 1]]
    assert result["per_class_recall"] == pytest.approx({"angry": 1 / 2, "neutral": 1, "sad": 1 / 3})
    assert result["per_class_f1"] == pytest.approx({"angry": 4 / 7, "neutral": 6 / 8, "sad": 2 / 5})
    assert result["accuracy"] == pytest.approx(6 / 10)
    assert result["uar"] == pytest.approx((1 / 2 + 1 + 1 / 3) / 3)
    assert result["macro_f1"] == pytest.approx((4 / 7 + 6 / 8 + 2 / 5) / 3)
    assert result["weighted_f1"] == pytest.approx(0.4 * 4 / 7 + 0.3 * 6 / 8 + 0.3 * 2 / 5)
    assert result["absent"] == []


@pytest.mark.parametrize("seed", range(5))
def test_every_score_equals_a_slow_loop(seed):
    targets, answers, labels = random_answers(seed)
    result = scores(targets, answers, labels)
    expected = slow_scores(targets.tolist(), answers.tolist(), len(labels))
    assert {name: result[name] for name in METRICS} == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_every_score_equals_scikit_learn(seed):
    targets, answers, labels = random_answers(seed)
    result = scores(targets, answers, labels)
    assert result["accuracy"] == pytest.approx(reference.accuracy_score(targets, answers))
    assert result["uar"] == pytest.approx(reference.balanced_accuracy_score(targets, answers))
    assert result["weighted_f1"] == pytest.approx(reference.f1_score(targets, answers, average="weighted"))
    assert result["macro_f1"] == pytest.approx(reference.f1_score(targets, answers, average="macro"))
    assert result["confusion"] == reference.confusion_matrix(targets, answers).tolist()
    recall = reference.recall_score(targets, answers, average=None)
    assert list(result["per_class_recall"].values()) == pytest.approx(recall.tolist())


def test_a_class_without_utterances_is_named_and_left_out_of_the_means():
    result = scores([0, 0, 2, 2], [0, 1, 2, 2], LABELS)
    assert result["absent"] == ["neutral"]
    assert result["per_class_recall"] == {"angry": 0.5, "neutral": None, "sad": 1.0}
    assert result["uar"] == pytest.approx(0.75)
    assert result["macro_f1"] == pytest.approx((2 / 3 + 1) / 2)
    assert {name: result[name] for name in METRICS} == pytest.approx(slow_scores([0, 0, 2, 2], [0, 1, 2, 2], 3))
    json.dumps(result, allow_nan=False)


def test_nothing_warns_when_a_class_is_absent_or_never_answered():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert scores([0, 0], [1, 1], LABELS)["uar"] == 0


def test_uar_does_not_change_when_one_class_is_repeated_but_accuracy_does():
    once = scores(TARGETS, ANSWERS, LABELS)
    thrice = scores(TARGETS + [2] * 6, ANSWERS + [0, 1, 2] * 2, LABELS)
    assert thrice["uar"] == pytest.approx(once["uar"])
    assert thrice["accuracy"] < once["accuracy"]


def test_perfect_answers_score_one_everywhere():
    result = scores(TARGETS, TARGETS, LABELS)
    assert [result[name] for name in METRICS] == [1, 1, 1, 1]


def test_a_stack_of_matrices_scores_as_its_members():
    stack = np.random.default_rng(0).integers(0, 9, size=(3, 7, 4, 4))
    stack[0, 0, 2] = 0  # one matrix without its third class
    together = from_confusion(stack)
    for place in np.ndindex(3, 7):
        alone = from_confusion(stack[place])
        for name in METRICS:
            assert together[name][place] == pytest.approx(alone[name])


def test_groups_split_the_counts_without_losing_any():
    targets, answers, labels = random_answers(0)
    groups = np.arange(len(targets)) % 3
    split = count_confusions(targets, answers, len(labels), groups)
    for group in range(3):
        rows = groups == group
        np.testing.assert_array_equal(split[group], reference.confusion_matrix(targets[rows], answers[rows]))
    np.testing.assert_array_equal(split.sum(axis=0), count_confusions(targets, answers, len(labels))[0])


def test_always_the_most_frequent_class_has_its_share_as_accuracy_and_chance_as_uar():
    baseline = majority_baseline(TARGETS, LABELS)
    assert baseline["label"] == "angry"
    assert baseline["accuracy"] == pytest.approx(0.4)
    assert baseline["uar"] == pytest.approx(1 / 3)
    assert majority_baseline([1, 1, 2, 2], LABELS)["label"] == "neutral"


@pytest.mark.parametrize(
    ("targets", "answers"), [([], []), ([0], [0, 1]), ([0, 3], [0, 0]), ([0, 1], [0, -1]), ([0.0], [0.0])]
)
def test_what_cannot_be_scored_is_refused_in_one_line(targets, answers):
    with pytest.raises(DataError) as caught:
        scores(targets, answers, LABELS)
    assert "\n" not in str(caught.value)
