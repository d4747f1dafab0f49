"""Agreement, ceilings and distances of raters against published examples, slow loops and SciPy."""

from collections import Counter
from itertools import permutations

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from emorec_lobes.errors import DataError
from emorec_lobes.evaluation.predictions import Predictions
from emorec_lobes.evaluation.rater_scores import rater_scores
from emorec_lobes.evaluation.raters import (
    against_others,
    jensen_shannon,
    krippendorff_alpha,
    level_of,
    majority,
    soft_labels,
    votes_of,
)
from emorec_lobes.evaluation.statistics import interval, interval_of_counts
from emorec_lobes.labels import CANONICAL, FOUR_CLASSES

# Krippendorff 2011, example C: four observers, twelve units, "." where one did not look.
OBSERVERS = ("123321412...", "1233224125.3", ".3332342251.", "12332441251.")


def random_ratings(num_utterances=60, seed=0, num_raters=(1, 2, 3, 4), also=0.2):
    """Raters who mostly hear one of five emotions, and sometimes name a second one."""
    generator = np.random.default_rng(seed)
    found = {}
    for number in range(num_utterances):
        meant = generator.integers(5)
        found[f"u{number}"] = {
            f"E{rater}": list(
                dict.fromkeys(
                    CANONICAL[meant if generator.random() < 0.6 else generator.integers(5)]
                    for _ in range(1 + (generator.random() < also))
                )
            )
            for rater in range(generator.choice(num_raters))
        }
    return found


def answers_to(ratings, seed=1, num_speakers=6):
    generator = np.random.default_rng(seed)
    weights = generator.random((len(ratings), 4)) ** 3
    return Predictions(
        ids=list(ratings),
        folds=["1"] * len(ratings),
        splits=["test"] * len(ratings),
        speakers=[f"s{number % num_speakers}" for number in range(len(ratings))],
        targets=generator.integers(0, 4, len(ratings)),
        labels=FOUR_CLASSES,
        probabilities=weights / weights.sum(axis=1, keepdims=True),
    )


# Agreement


def test_alpha_is_that_of_krippendorffs_published_example():
    ratings = {
        f"u{unit}": {str(row): [CANONICAL[int(value)]] for row, value in enumerate(values) if value != "."}
        for unit, values in enumerate(zip(*OBSERVERS, strict=True))
    }
    assert krippendorff_alpha(votes_of(ratings).values()) == pytest.approx(0.743, abs=5e-4)


def alpha_by_pairs(votes):
    """Disagreement of pairs of one utterance by that of pairs of all, counted pair by pair."""
    votes = [each for each in votes if len(each) > 1]
    rows = [row for each in votes for row in each]
    observed = sum(
        (1 - first @ second) / (len(each) - 1) for each in votes for first, second in permutations(each, 2)
    ) / len(rows)
    total = sum(rows)
    chance = sum(total[a] * total[b] for a, b in permutations(range(len(total)), 2)) / len(rows) / (len(rows) - 1)
    return 1 - observed / chance


def test_alpha_is_one_minus_observed_by_expected_disagreement():
    votes = votes_of(random_ratings(also=0)).values()
    assert krippendorff_alpha(votes) == pytest.approx(alpha_by_pairs(votes))


def test_raters_who_guess_have_an_alpha_of_about_nothing():
    generator = np.random.default_rng(3)
    assert krippendorff_alpha([np.eye(4)[generator.integers(0, 4, 3)] for _ in range(3000)]) == pytest.approx(
        0, abs=0.02
    )


@pytest.mark.parametrize("votes", [[], [np.eye(3)[[0]]], [np.eye(3)[[1, 1]]] * 4])
def test_without_two_raters_or_two_emotions_there_is_no_alpha(votes):
    assert krippendorff_alpha(votes) is None


@pytest.mark.parametrize(
    ("heard", "level"),
    [("aaa", "full"), ("a", "full"), ("aab", "majority"), ("aabc", "plurality"), ("aabb", "tied"), ("abc", "tied")],
)
def test_levels_of_agreement_go_by_the_share_of_the_most_frequent_emotion(heard, level):
    assert level_of(np.eye(3)[["abc".index(letter) for letter in heard]]) == level


# The ceiling


def ceiling_by_loop(ratings, labels):
    """Confusion of every rater with the majority of the others, (K + 1, K + 1), each naming one emotion."""
    counts = np.zeros((len(labels) + 1, len(labels) + 1))
    for heard in ratings.values():
        names = [named[0] for named in heard.values()]
        for place, answer in enumerate(names) if len(names) > 1 else ():
            others = Counter(names[:place] + names[place + 1 :])
            most = [name for name, count in others.items() if count == max(others.values())]
            for target in set(most) & set(labels):
                column = labels.index(answer) if answer in labels else len(labels)
                counts[labels.index(target), column] += 1 / len(most) / len(names)
    return counts


def test_the_ceiling_is_each_rater_against_the_majority_of_the_others_with_ties_split():
    ratings = random_ratings(also=0)
    by_loop = ceiling_by_loop(ratings, FOUR_CLASSES)
    found = rater_scores(answers_to(ratings), ratings, answers_to(ratings).speakers)["one_rater"]["others"]
    assert found["accuracy"] == pytest.approx(np.trace(by_loop) / by_loop.sum())
    recalls = [by_loop[label, label] / by_loop[label].sum() for label in range(4)]
    assert found["uar"] == pytest.approx(np.mean(recalls))
    assert found["intervals"]["uar"]["low"] < found["uar"] < found["intervals"]["uar"]["high"]
    assert found["intervals"]["uar"]["method"] == "bootstrap over 6 speakers, Student's t"


def test_two_against_one_by_hand():
    """angry, angry, sad: an angry one meets a tie of both, half right; the sad one meets angry, and is wrong."""
    counts = against_others(np.eye(len(CANONICAL))[[0, 0, 3]], ["angry", "sad"])
    np.testing.assert_allclose(counts, np.array([[1, 1, 0], [1, 0, 0], [0, 0, 0]]) / 3)


def test_the_majority_of_all_is_shared_by_those_who_tie():
    np.testing.assert_allclose(majority(np.eye(4)[[0, 1, 0, 1, 2]]), [0.5, 0.5, 0, 0])


def test_outside_of_the_classes_an_answer_is_wrong_and_a_majority_is_not_asked_for():
    eye = np.eye(len(CANONICAL))
    frustrated = CANONICAL.index("frustrated")
    assert against_others(eye[[frustrated, frustrated]], FOUR_CLASSES).sum() == 0
    counts = against_others(eye[[0, frustrated]], FOUR_CLASSES)
    assert counts[0, 4] == 0.5 and counts.sum() == 0.5


def test_against_the_label_a_rater_scores_the_share_that_heard_it_and_the_system_its_accuracy():
    ratings = random_ratings(num_raters=(3,), also=0)
    answers = answers_to(ratings)
    found = rater_scores(answers, ratings, answers.speakers)["one_rater"]
    labels = [FOUR_CLASSES[target] for target in answers.targets]
    shares = [
        sum(named == [label] for named in ratings[item].values()) / 3
        for item, label in zip(answers.ids, labels, strict=True)
    ]
    assert found["published"]["accuracy"] == pytest.approx(np.mean(shares))
    assert found["system"]["accuracy"] == pytest.approx((answers.predicted == answers.targets).mean())


def test_perfect_raters_have_a_ceiling_of_one():
    ratings = {f"u{number}": {key: [FOUR_CLASSES[number % 4]] for key in "xyz"} for number in range(12)}
    found = rater_scores(answers_to(ratings), ratings, answers_to(ratings).speakers)
    assert found["one_rater"]["others"]["accuracy"] == found["one_rater"]["others"]["uar"] == found["alpha"] == 1
    assert [row["level"] for row in found["by_agreement"]] == ["full"]


def test_an_interval_of_whole_counts_is_about_that_of_answers():
    generator = np.random.default_rng(0)
    targets, answers = generator.integers(0, 4, (2, 300))
    speakers = [f"s{number % 10}" for number in range(300)]
    counts = np.zeros((300, 4, 4))
    counts[np.arange(300), targets, answers] = 1
    found = interval_of_counts(counts, speakers)
    expected = interval(targets, answers, FOUR_CLASSES, speakers)
    assert found["method"] == expected["method"]
    assert [found["low"], found["high"]] == pytest.approx([expected["low"], expected["high"]], abs=0.005)


# Distances


def test_distances_and_cross_entropy_are_scipys_and_numpys():
    ratings = random_ratings()
    answers = answers_to(ratings)
    soft = soft_labels(ratings, FOUR_CLASSES)
    rows = [row for row, item in enumerate(answers.ids) if item in soft]
    wanted, answered = np.array([soft[answers.ids[row]] for row in rows]), answers.probabilities[rows]
    distances = [jensenshannon(first, second, base=2) for first, second in zip(wanted, answered, strict=True)]
    np.testing.assert_allclose(jensen_shannon(wanted, answered), distances, atol=1e-6)
    found = rater_scores(answers, ratings, answers.speakers)["soft"]
    assert found["num_utterances"] == len(rows) < len(ratings)
    assert found["jensen_shannon"] == pytest.approx(np.mean(distances), abs=1e-6)
    assert found["cross_entropy"] == pytest.approx(-(wanted * np.log(answered)).sum(axis=1).mean(), abs=1e-6)
    assert found["entropy"] < found["cross_entropy"]


def test_who_answers_the_raters_votes_themselves_is_at_no_distance():
    ratings = random_ratings()
    soft = soft_labels(ratings, FOUR_CLASSES)
    answers = answers_to(soft)
    exact = Predictions(answers.ids, answers.folds, answers.splits, answers.speakers, answers.targets, FOUR_CLASSES,
                        np.array(list(soft.values())))  # fmt: skip
    found = rater_scores(exact, ratings, exact.speakers)["soft"]
    assert found["jensen_shannon"] == pytest.approx(0, abs=1e-4)
    assert found["cross_entropy"] == pytest.approx(found["entropy"], abs=1e-6)


# What is missing or wrong


def test_with_one_rater_each_there_is_no_ceiling_and_the_votes_still_count():
    ratings = random_ratings(num_raters=(1,))
    found = rater_scores(answers_to(ratings), ratings, answers_to(ratings).speakers)
    assert found["one_rater"] is None and found["alpha"] is None and found["by_agreement"] == []
    assert found["soft"]["num_utterances"] > 0


def test_who_names_nothing_is_not_asked_and_without_any_rating_there_is_nothing():
    assert votes_of({"u1": {"E1": [], "E2": ["sad"]}})["u1"].shape == (1, len(CANONICAL))
    answers = answers_to({"u1": {}, "u2": {}})
    assert rater_scores(answers, {"u1": {"E1": []}, "other": {"E1": ["sad"]}}, answers.speakers) is None


def test_a_rating_that_is_no_emotion_names_the_utterance():
    with pytest.raises(DataError, match=r"`ratings` must be one of angry.*but is 'Anger'.*See 'u7'"):
        votes_of({"u7": {"E1": ["Anger"]}})
