"""Class weights are scikit-learn's where they are balanced, and refused where they cannot weigh the classes."""

import re

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from emorec_lobes.dataio.class_weights import check_class_weights, class_weights
from emorec_lobes.errors import ConfigError

LABELS = ("angry", "happy", "sad")


@pytest.mark.parametrize("counts", [(5, 5, 5), (1, 2, 30), (7, 100, 13)])
def test_balanced_weights_are_those_of_scikit_learn(counts):
    emotions = np.random.default_rng(0).permutation(np.repeat(LABELS, counts))
    expected = compute_class_weight("balanced", classes=np.array(LABELS), y=emotions)
    assert class_weights("balanced", LABELS, emotions.tolist()) == pytest.approx(expected)


def test_balanced_classes_weigh_the_same_in_sum():
    emotions = ["angry"] * 3 + ["happy"] * 12 + ["sad"] * 85
    weights = class_weights("balanced", LABELS, emotions)
    sums = [weight * emotions.count(label) for weight, label in zip(weights, LABELS, strict=True)]
    assert sums == pytest.approx([100 / 3] * 3)


def test_given_weights_stay_and_null_means_none():
    assert class_weights([1, 2.5, 3], LABELS, ["sad"]) == [1.0, 2.5, 3.0]
    assert class_weights(None, LABELS, ["sad"]) is None


@pytest.mark.parametrize(
    "wanted",
    [
        [1, 2],
        [1, 2, 3, 4],
        [1, 2, 0],
        [1, 2, -1],
        [1, 2, float("nan")],
        [1, 2, float("inf")],
        [1, 2, "3"],
        [1, 2, True],
        "heavy",
        1.0,
        {"angry": 1},
    ],
)
def test_all_else_is_refused_with_the_labels(wanted):
    expected = "`class_weights` must be null, balanced or 3 positive numbers (one for each of angry, happy, sad)"
    with pytest.raises(ConfigError, match=f"{re.escape(expected)}.*Change it.$") as caught:
        check_class_weights(wanted, LABELS)
    assert "\n" not in str(caught.value)


def test_a_class_that_is_not_there_cannot_be_balanced():
    with pytest.raises(ConfigError, match="no training utterance of happy"):
        class_weights("balanced", LABELS, ["angry", "sad"])
