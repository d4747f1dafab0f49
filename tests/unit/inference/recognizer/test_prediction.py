"""From probabilities to an answer."""

import numpy as np
import pytest

from emorec_lobes.errors import ConfigError
from emorec_lobes.inference.prediction import Question

LABELS = ("angry", "neutral", "happy", "sad")
PROBABILITIES = np.array([0.4, 0.3, 0.2, 0.1])


def test_fewer_labels_share_the_probability_among_them():
    answer = Question(LABELS, labels=["sad", "neutral"]).answer(PROBABILITIES)
    assert answer.probabilities == pytest.approx({"sad": 0.25, "neutral": 0.75})
    assert list(answer.probabilities) == ["sad", "neutral"] and answer.label == "neutral"
    assert answer.margin == pytest.approx(0.5)


def test_one_label_is_certain():
    answer = Question(LABELS, labels=["sad"]).answer(PROBABILITIES)
    assert answer.label == "sad" and answer.margin == 1 and answer.confidence == 1


def test_labels_without_any_probability_are_alike():
    answer = Question(LABELS, labels=["happy", "sad"]).answer(np.array([1.0, 0, 0, 0]))
    assert answer.probabilities == {"happy": 0.5, "sad": 0.5} and answer.margin == 0


def test_confidence_is_calibrated_and_probabilities_are_not():
    answer = Question(LABELS, temperature=2.0).answer(PROBABILITIES)
    by_hand = np.sqrt(PROBABILITIES) / np.sqrt(PROBABILITIES).sum()
    assert answer.confidence == pytest.approx(by_hand[0]) and answer.probabilities["angry"] == pytest.approx(0.4)


@pytest.mark.parametrize(("threshold", "label"), [(0.39, "angry"), (0.41, None), (0, "angry"), (1, None)])
def test_below_the_threshold_there_is_no_label(threshold, label):
    assert Question(LABELS, threshold=threshold).answer(PROBABILITIES).label == label


@pytest.mark.parametrize(
    "wrong", [{"labels": ["angry", "bored"]}, {"labels": []}, {"labels": ["sad", "sad"]}, {"threshold": 1.5}]
)
def test_a_wrong_question_is_refused(wrong):
    with pytest.raises(ConfigError, match=f"`{next(iter(wrong))}` must"):
        Question(LABELS, **wrong)
