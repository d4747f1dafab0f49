import tracemalloc

import numpy as np
import pytest
from scipy import special, stats

from emorec_lobes.errors import ConfigError, DataError
from emorec_lobes.evaluation.metrics import METRICS, scores
from emorec_lobes.evaluation.statistics import interval, student_band


def columns(predictions):
    return predictions.targets, predictions.predicted, predictions.labels


def ends(band):
    return [band["low"], band["high"]]


def by_log_odds(score, resampled, num_units):
    """Student's interval of the log odds, whose standard error is the score's over p (1 - p), turned back."""
    error = np.std(resampled, ddof=1) * np.sqrt(num_units / (num_units - 1)) / (score * (1 - score))
    return special.expit(special.logit(score) + error * np.array(stats.t.interval(0.95, num_units - 1)))


def speakers_of_unequal_skill(num_speakers, num_utterances, generator):
    """Two classes; each speaker is understood with a probability of their own."""
    skill = np.repeat(generator.beta(8, 3, num_speakers), num_utterances)
    speakers = np.repeat(np.arange(num_speakers), num_utterances).astype(str)
    targets = generator.integers(0, 2, skill.size)
    return targets, np.where(generator.random(skill.size) < skill, targets, 1 - targets), speakers


def test_speakers_are_resampled_as_a_slow_loop_over_utterances_does(answers):
    table = answers(300)
    targets, predicted, labels = columns(table)
    band = interval(targets, predicted, labels, table.speakers, num_resamples=20_000)
    generator = np.random.default_rng(99)
    names = np.unique(table.speakers)
    resampled = []
    for _ in range(1500):
        rows = np.concatenate([np.flatnonzero(table.speakers == name) for name in generator.choice(names, len(names))])
        resampled.append(scores(targets[rows], predicted[rows], labels)["uar"])
    assert ends(band) == pytest.approx(by_log_odds(scores(targets, predicted, labels)["uar"], resampled, 10), abs=0.004)


def test_utterances_are_resampled_as_scipy_does(answers):
    table = answers(300)
    hits = (table.targets == table.predicted).astype(float)
    band = interval(*columns(table), metric="accuracy", num_resamples=20_000)
    error = stats.bootstrap((hits,), np.mean, rng=np.random.default_rng(1)).standard_error
    assert error == pytest.approx(np.sqrt(hits.mean() * (1 - hits.mean()) / 300), rel=0.02)
    assert ends(band) == pytest.approx(
        by_log_odds(hits.mean(), hits.mean() + error * np.array([-1, 1]) / 2**0.5, 300), abs=0.001
    )


def test_the_interval_holds_its_coverage_with_ten_speakers():
    generator = np.random.default_rng(0)
    truth = 8 / 11  # the mean of Beta(8, 3)
    held = 0
    for seed in range(800):
        targets, predicted, speakers = speakers_of_unequal_skill(10, 40, generator)
        band = interval(targets, predicted, ("angry", "sad"), speakers, "accuracy", num_resamples=600, seed=seed)
        held += band["low"] <= truth <= band["high"]
    assert 0.93 <= held / 800 <= 0.97  # plain percentiles hold about 0.90


def test_speakers_who_differ_make_the_interval_wider_than_utterances_alone_would():
    targets, predicted, speakers = speakers_of_unequal_skill(20, 200, np.random.default_rng(3))
    by_speaker = interval(targets, predicted, ("angry", "sad"), speakers)
    by_utterance = interval(targets, predicted, ("angry", "sad"))
    assert by_speaker["high"] - by_speaker["low"] > 2 * (by_utterance["high"] - by_utterance["low"])


@pytest.mark.parametrize("metric", METRICS)
def test_the_score_lies_inside_its_interval(answers, metric):
    table = answers(200)
    band = interval(*columns(table), table.speakers, metric)
    assert band["metric"] == metric
    assert band["low"] < scores(*columns(table))[metric] < band["high"]


def test_a_seed_fixes_the_interval_whatever_the_order_of_the_rows(answers):
    table = answers(200)
    targets, predicted, labels = columns(table)
    order = np.random.default_rng(5).permutation(len(table))
    first = interval(targets, predicted, labels, table.speakers, seed=7)
    assert interval(targets[order], predicted[order], labels, table.speakers[order], seed=7) == first
    assert interval(targets, predicted, labels, table.speakers, seed=8) != first | {"seed": 8}


def test_a_higher_level_is_wider(answers):
    table = answers(200)
    half, most = (interval(*columns(table), table.speakers, level=level) for level in (0.5, 0.99))
    assert most["low"] < half["low"] < half["high"] < most["high"]


def test_the_method_says_what_was_resampled_and_why(answers):
    table = answers(50, num_speakers=4)
    some_unknown = [None, *table.speakers[1:]]
    assert "4 speakers" in interval(*columns(table), table.speakers)["method"]
    assert "50 utterances (speakers unknown)" in interval(*columns(table), some_unknown)["method"]
    assert "50 utterances (speakers unknown)" in interval(*columns(table))["method"]
    assert "50 utterances (one speaker)" in interval(*columns(table), ["x"] * 50)["method"]


def test_answers_that_are_all_right_leave_no_doubt():
    band = interval([0, 1, 0, 1], [0, 1, 0, 1], ("angry", "sad"), ["x", "x", "y", "y"])
    assert (band["low"], band["high"]) == (1.0, 1.0)


def test_a_class_that_only_one_speaker_has_does_not_break_the_resamples():
    band = interval([0, 0, 1, 1], [0, 0, 1, 0], ("angry", "sad"), ["x", "x", "y", "y"])
    assert 0 <= band["low"] <= band["high"] <= 1


def test_of_one_utterance_nothing_is_known():
    assert ends(interval([0], [0], ("angry", "sad"), ["x"])) == [0.0, 1.0]


def test_twice_the_speakers_take_no_more_than_twice_the_memory(answers):
    def peak(num_speakers):
        table = answers(num_speakers, num_speakers=num_speakers)
        tracemalloc.start()
        interval(*columns(table), table.ids)
        return tracemalloc.get_traced_memory()[1], tracemalloc.stop()

    assert peak(5000)[0] < 2.2 * peak(2500)[0]


@pytest.mark.parametrize("options", [{"metric": "war"}, {"level": 95}, {"level": 0}, {"num_resamples": 1}])
def test_an_option_out_of_range_is_refused_in_one_line(options):
    with pytest.raises(ConfigError) as caught:
        interval([0, 1], [0, 1], ("angry", "sad"), **options)
    assert "\n" not in str(caught.value)


def test_speakers_must_be_one_for_each_utterance():
    with pytest.raises(DataError, match="one length"):
        interval([0, 1, 1], [0, 1, 1], ("angry", "sad"), ["x", "y"])


def test_seeds_widen_the_interval_as_welchs_does():
    """With speakers that do not vary only seeds are left: Welch's interval of two means, by SciPy."""
    seeds = np.array([0.70, 0.75, 0.72]), np.array([0.80, 0.90, 0.83, 0.86])
    expected = stats.ttest_ind(seeds[1], seeds[0], equal_var=False).confidence_interval()
    value = seeds[1].mean() - seeds[0].mean()
    band = student_band(value, np.full(50, value), num_units=10, seeds=seeds)
    assert [band["low"], band["high"]] == pytest.approx([expected.low, expected.high])


def test_a_band_never_leaves_what_a_score_can_be():
    wide = np.array([0.0, 1.0] * 50)
    for options in ({"log_odds": True}, {}):
        band = student_band(0.9, wide, num_units=2, **options)
        assert (0 if options else -1) <= band["low"] <= 0.9 <= band["high"] <= 1
