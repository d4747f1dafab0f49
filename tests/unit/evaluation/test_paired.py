"""Differences of two systems, against SciPy, slow loops and cases worked by hand."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from emorec_lobes.errors import ConfigError
from emorec_lobes.evaluation.metrics import METRICS, scores
from emorec_lobes.evaluation.paired import compare_pair, mcnemar
from emorec_lobes.evaluation.paired_report import markdown_pair, verdict
from emorec_lobes.evaluation.pairing import Pair

LABELS = ("angry", "neutral", "happy", "sad")


@pytest.fixture
def make_pair():
    """`make_pair(num_utterances, num_speakers, seeds, skills)`: systems that are right as often as their skill says."""

    def make(num_utterances=300, num_speakers=10, seeds=(1, 1), skills=(0.7, 0.8), seed=0):
        generator = np.random.default_rng(seed)
        targets = generator.integers(0, 4, num_utterances)
        speakers = generator.integers(0, num_speakers, num_utterances)
        hard = generator.normal(size=num_utterances) + generator.normal(size=num_speakers)[speakers]

        def answers(skill):
            right = hard + generator.normal(size=num_utterances) < stats.norm.ppf(skill) * np.sqrt(3)
            return np.where(right, targets, (targets + generator.integers(1, 4, num_utterances)) % 4)

        sides = tuple(
            np.array([answers(skill) for _ in range(number)]) for skill, number in zip(skills, seeds, strict=True)
        )
        ids, names = np.arange(num_utterances).astype(str), np.array([f"s{speaker}" for speaker in speakers])
        return Pair(ids, names, targets, LABELS, sides, ((Path("a"),), (Path("b"),)), (0, 0))

    return make


def reach(num_units, error):
    """Half an interval: Student's t, and the n / (n - 1) that resamples lack."""
    return stats.t.ppf(0.975, num_units - 1) * error * np.sqrt(num_units / (num_units - 1))


def slow_errors(matched, metric, draw, num_resamples):
    """Standard errors of A's score and of the difference, resample by resample."""
    drawn = []
    for _ in range(num_resamples):
        rows = draw()
        a, b = (scores(matched.targets[rows], side[0][rows], LABELS)[metric] for side in matched.answers)
        drawn.append((a, b - a))
    return np.std(drawn, axis=0, ddof=1)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("unit", ["speakers", "utterances"])
def test_intervals_are_those_of_a_slow_loop_over_drawn_answers(make_pair, metric, unit):
    matched = make_pair(num_utterances=120, num_speakers=6)
    generator = np.random.default_rng(5)
    names = np.unique(matched.speakers)
    rows_of = {name: np.flatnonzero(matched.speakers == name) for name in names}
    if unit == "speakers":
        errors = slow_errors(
            matched, metric, lambda: np.concatenate([rows_of[name] for name in generator.choice(names, 6)]), 800
        )
    else:
        errors = slow_errors(matched, metric, lambda: generator.integers(0, 120, 120), 800)
    scored = compare_pair(matched, num_resamples=4000)["scores"][metric]
    number = 6 if unit == "speakers" else 120
    band, a = scored[f"over_{unit}"]["difference"], scored["a"]
    half = (band["high"] - band["low"]) / 2
    assert half == pytest.approx(reach(number, errors[1]), rel=0.1)
    assert band["low"] + half == pytest.approx(scored["difference"])
    odds = math.log(a / (1 - a)) + reach(number, errors[0]) / (a * (1 - a)) * np.array([-1, 1])
    own = scored[f"over_{unit}"]["a"]
    assert [own["low"], own["high"]] == pytest.approx(1 / (1 + np.exp(-odds)), abs=0.02)


def test_a_paired_difference_over_utterances_has_the_standard_error_of_scipys_paired_bootstrap(make_pair):
    matched = make_pair()
    right = [(side[0] == matched.targets).astype(float) for side in matched.answers]
    expected = stats.bootstrap(
        (right[0], right[1]),
        lambda a, b, axis: b.mean(axis) - a.mean(axis),
        paired=True,
        n_resamples=9999,
        method="percentile",
        rng=np.random.default_rng(3),
    )
    scored = compare_pair(matched, num_resamples=9999)["scores"]["accuracy"]
    band = scored["over_utterances"]["difference"]
    ends = expected.confidence_interval
    assert (band["high"] - band["low"]) / 2 == pytest.approx(reach(300, expected.standard_error), rel=0.03)
    assert [band["low"], band["high"]] == pytest.approx([ends.low, ends.high], abs=0.006)


def test_an_interval_over_equal_speakers_is_students_own_of_their_mean_difference():
    """Ten speakers of ten utterances: the accuracy's difference is a mean of ten, which SciPy has an interval of."""
    generator = np.random.default_rng(1)
    targets = np.zeros(100, dtype=int)
    sides = tuple((generator.random((1, 100)) > 0.3).astype(int) for _ in range(2))
    speakers = np.repeat([f"s{number}" for number in range(10)], 10)
    matched = Pair(np.arange(100).astype(str), speakers, targets, ("angry", "sad"), sides, ((), ()), (0, 0))
    right = [(side[0] == 0).reshape(10, 10).mean(axis=1) for side in sides]
    differences = right[1] - right[0]
    expected = stats.t.interval(0.95, 9, differences.mean(), stats.sem(differences))
    band = compare_pair(matched, "accuracy", num_resamples=40_000)["scores"]["accuracy"]["over_speakers"]["difference"]
    assert [band["low"], band["high"]] == pytest.approx(expected, abs=0.004)


def test_seeds_that_differ_make_the_comparison_less_sure(make_pair):
    matched = make_pair(seeds=(3, 2))
    record = compare_pair(matched)
    own = [[scores(matched.targets, answers, LABELS)["uar"] for answers in side] for side in matched.answers]
    assert record["scores"]["uar"]["difference"] == pytest.approx(np.mean(own[1]) - np.mean(own[0]))
    assert record["mcnemar"] is None and record["num_seeds"] == {"a": 3, "b": 2}
    assert "3 of A, 2 of B" in markdown_pair(record | {"files": {"a": ["a"], "b": ["b"]}})


@pytest.mark.parametrize(("only_a", "only_b"), [(3, 11), (0, 6), (9, 9), (1, 0)])
def test_mcnemar_counts_discordant_utterances_and_is_scipys_binomial_test(only_a, only_b):
    right_a = np.array([1] * 20 + [1] * only_a + [0] * only_b + [0] * 4)
    right_b = np.array([1] * 20 + [0] * only_a + [1] * only_b + [0] * 4)
    targets = np.ones(len(right_a), dtype=int)
    ids = np.arange(len(targets)).astype(str)
    found = mcnemar(Pair(ids, ids, targets, ("angry", "sad"), (right_a[None], right_b[None]), ((), ()), (0, 0)))
    assert list(found.values())[:4] == [20, only_a, only_b, 4]
    assert found["p"] == pytest.approx(stats.binomtest(only_b, only_a + only_b, 0.5).pvalue)
    tail = sum(math.comb(only_a + only_b, k) for k in range(min(only_a, only_b) + 1)) / 2 ** (only_a + only_b)
    assert found["p"] == pytest.approx(min(1, 2 * tail))


def test_equal_answers_leave_nothing_to_tell_apart(make_pair):
    matched = make_pair()
    same = Pair(**{**vars(matched), "answers": (matched.answers[0], matched.answers[0])})
    record = compare_pair(same)
    assert record["mcnemar"]["p"] == 1.0
    assert record["scores"]["uar"]["over_speakers"]["difference"] == {"low": 0.0, "high": 0.0}
    assert "score alike" in verdict(record)


def test_answers_that_are_all_right_leave_no_doubt_about_the_score(make_pair):
    matched = make_pair()
    perfect = Pair(**{**vars(matched), "answers": (matched.answers[0], matched.targets[None])})
    assert compare_pair(perfect)["scores"]["uar"]["over_speakers"]["b"] == {"low": 1.0, "high": 1.0}


def test_the_other_way_round_everything_is_mirrored(make_pair):
    matched = make_pair()
    turned = Pair(**{**vars(matched), "answers": matched.answers[::-1]})
    there, back = (compare_pair(each)["scores"]["uar"] for each in (matched, turned))
    assert there["difference"] == -back["difference"]
    assert there["over_speakers"]["difference"]["low"] == -back["over_speakers"]["difference"]["high"]
    says = [verdict(compare_pair(each)) for each in (matched, turned)]
    assert says[0].replace("B is ahead of A", "A is ahead of B") == says[1] != says[0]


@pytest.mark.parametrize("speakers", [["x"], ["x", ""]])
def test_speakers_that_are_unknown_or_alone_leave_the_interval_over_utterances(make_pair, speakers):
    matched = make_pair(num_utterances=60)
    named = Pair(**{**vars(matched), "speakers": np.resize(speakers, 60)})
    record = compare_pair(named)
    assert record["scores"]["uar"]["over_speakers"] is None
    assert "over 60 utterances" in verdict(record)


def test_the_record_is_json_and_a_seed_fixes_it(make_pair):
    matched = make_pair(num_utterances=80)
    records = [compare_pair(matched, num_resamples=100, seed=seed) for seed in (3, 3, 4)]
    assert json.loads(json.dumps(records[0], allow_nan=False)) == records[1] != records[2]


def test_an_option_out_of_range_is_refused(make_pair):
    with pytest.raises(ConfigError, match="uarr"):
        compare_pair(make_pair(), "uarr")
