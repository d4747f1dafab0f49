"""Intervals over seeds and speakers, against slow loops, cases worked by hand and simulated coverage."""

import statistics

import numpy as np
import pytest
from scipy import special, stats

from emorec_lobes.errors import ProtocolError
from emorec_lobes.evaluation.metrics import from_confusion, scores
from emorec_lobes.evaluation.runs import difference_over_runs, interval_over_runs
from emorec_lobes.evaluation.statistics import interval


def runs_of(num_seeds, num_speakers, generator, speaker_sd=1.0, seed_sd=0.5, num_utterances=40):
    """Each seed's counts by speaker, and the mean accuracy over all speakers and seeds that there could be.

    Of two classes; the log odds of being understood are a speaker's plus a seed's plus those of both together.
    """
    speakers = generator.normal(1.0, speaker_sd, num_speakers)
    seeds = generator.normal(0.0, seed_sd, num_seeds)
    both = generator.normal(0.0, 0.3, (num_seeds, num_speakers))
    hits = generator.binomial(num_utterances, 1 / (1 + np.exp(-(speakers + seeds[:, None] + both))))
    total = np.sqrt(speaker_sd**2 + seed_sd**2 + 0.3**2)
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    truth = np.sum(weights / (1 + np.exp(-(1.0 + total * nodes)))) / weights.sum()
    runs = [{f"s{n}": [[hit, num_utterances - hit], [0, 0]] for n, hit in enumerate(row)} for row in hits]
    return runs, truth


def slow_draws(runs, metric, times):
    """Resample by resample, seed by seed, speaker by speaker: the mean over seeds."""
    means = []
    for drawn in times:
        scored = []
        for run in runs:
            answers = []
            for number, name in enumerate(sorted(run)):
                for (target, answer), count in np.ndenumerate(np.array(run[name])):
                    answers += [(target, answer)] * int(count * drawn[number])
            scored.append(scores(*np.transpose(answers), ("angry", "sad"))[metric])
        means.append(np.mean(scored))
    return np.array(means)


def freedom(*parts):
    """Welch and Satterthwaite, of (variance, degrees of freedom)."""
    return sum(variance for variance, _ in parts) ** 2 / sum(variance**2 / number for variance, number in parts)


def seeds_part(runs, metric):
    """The variance of the seeds' mean."""
    pooled = [from_confusion(np.sum(list(run.values()), axis=0))[metric] for run in runs]
    return statistics.variance(map(float, pooled)) / len(runs), len(runs) - 1


def reach(*parts):
    """How far Student's interval of a sum reaches, of its parts' (variance, degrees of freedom)."""
    return stats.t.ppf(0.975, freedom(*parts)) * np.sqrt(sum(variance for variance, _ in parts))


def draws(generator, num_units, num_resamples):
    return generator.multinomial(num_units, [1 / num_units] * num_units, size=num_resamples)


def two_class_run(seed, num_speakers=5):
    generator = np.random.default_rng(seed)
    hits = generator.integers(3, 7, (num_speakers, 2))
    return {f"s{n}": [[int(a), int(6 - a)], [int(6 - b), int(b)]] for n, (a, b) in enumerate(hits)}


@pytest.mark.parametrize("metric", ["uar", "weighted_f1"])
def test_seeds_and_speakers_are_resampled_as_a_slow_loop_over_answers_does(metric):
    runs = [two_class_run(seed) for seed in range(3)]
    band = interval_over_runs(runs, metric, num_resamples=150, seed=4)
    means = slow_draws(runs, metric, draws(np.random.default_rng(4), 5, 150))
    across = reach((means.var(ddof=1) * 5 / 4, 4), seeds_part(runs, metric)) / (band["mean"] * (1 - band["mean"]))
    expected = special.expit(special.logit(band["mean"]) + np.array([-across, across]))
    assert [band["low"], band["high"]] == pytest.approx(expected)


def test_a_difference_is_resampled_as_two_slow_loops_over_the_same_speakers_do():
    runs, base = [two_class_run(seed) for seed in range(3)], [two_class_run(seed) for seed in (7, 8)]
    band = difference_over_runs(runs, base, num_resamples=150, seed=4)
    times = draws(np.random.default_rng(4), 5, 150)
    drawn = slow_draws(runs, "uar", times) - slow_draws(base, "uar", times)
    across = reach((drawn.var(ddof=1) * 5 / 4, 4), seeds_part(runs, "uar"), seeds_part(base, "uar"))
    expected = band["difference"] + np.array([-across, across])
    assert expected[0] > -1 and expected[1] < 1, "else an end would be cut, and not compared"
    assert [band["low"], band["high"]] == pytest.approx(expected)


def test_mean_and_deviation_over_seeds_are_those_of_the_pooled_scores():
    runs = [two_class_run(seed) for seed in range(3)]
    pooled = []
    for run in runs:
        total = np.sum(list(run.values()), axis=0)
        pooled.append(np.mean(total.diagonal() / total.sum(axis=1)))
    band = interval_over_runs(runs)
    assert band["mean"] == pytest.approx(statistics.mean(pooled))
    assert band["deviation"] == pytest.approx(statistics.stdev(pooled))
    other = [two_class_run(9)]
    difference = difference_over_runs(runs, other)["difference"]
    assert difference == pytest.approx(band["mean"] - interval_over_runs(other)["mean"])


@pytest.mark.parametrize("num_seeds", [1, 3])
def test_seeds_that_answer_alike_leave_the_interval_over_speakers(num_seeds):
    run = two_class_run(0)
    columns = [
        (speaker, target, answer)
        for speaker, counts in run.items()
        for (target, answer), count in np.ndenumerate(np.array(counts))
        for _ in range(count)
    ]
    speakers, targets, answers = zip(*columns, strict=True)
    single = interval(targets, answers, ("angry", "sad"), speakers, seed=3)
    band = interval_over_runs([run] * num_seeds, seed=3)
    assert [band["low"], band["high"]] == pytest.approx([single["low"], single["high"]])


def test_speakers_that_are_alike_leave_the_seeds_spread_alone():
    """Worked by hand: seeds of 0.75, 0.7 and 0.8 have a standard error of 0.05 / sqrt(3), and t is 4.303."""
    runs = [{name: [[hits, 20 - hits], [20 - hits, hits]] for name in "xy"} for hits in (15, 14, 16)]
    band, log_odds = interval_over_runs(runs), 4.302653 * 0.05 / np.sqrt(3) / (0.75 * 0.25)
    ends = [1 / (1 + np.exp(-np.log(3) + sign * log_odds)) for sign in (1, -1)]
    assert [band["mean"], band["low"], band["high"]] == pytest.approx([0.75, *ends])


def test_what_is_hard_for_both_systems_cancels_in_their_difference():
    hard, easy = [[5, 5], [5, 5]], [[10, 0], [0, 10]]
    one = [{"x": hard, "y": easy, "z": easy}]
    assert difference_over_runs(one, one)["low"] == difference_over_runs(one, one)["high"] == 0.0
    band = interval_over_runs(one)
    assert band["low"] < band["mean"] < band["high"]


def test_the_better_system_is_better_by_what_the_other_is_worse():
    one, other = [two_class_run(0)], [two_class_run(1)]
    there, back = difference_over_runs(one, other), difference_over_runs(other, one)
    assert there["difference"] == -back["difference"]
    assert [there["low"], there["high"]] == pytest.approx([-back["high"], -back["low"]])


def test_an_interval_over_runs_stays_within_what_a_score_can_be():
    near, perfect = [[19, 1], [0, 20]], [[20, 0], [0, 20]]
    band = interval_over_runs([{"x": near, "y": perfect}, {"x": perfect, "y": perfect}] * 2)
    assert 0 <= band["low"] <= band["mean"] <= band["high"] <= 1


def test_the_order_of_the_speakers_does_not_matter():
    run = two_class_run(0)
    assert interval_over_runs([dict(reversed(run.items()))]) == interval_over_runs([run])


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ({"x": [[1, 0], [0, 1]], "z": [[1, 0], [0, 1]]}, "same speakers, but not all have 'y'"),
        ({"x": [[1, 0], [0, 1]], "y": [[1, 1], [0, 1]]}, "same utterances, but those of 'y' differ"),
    ],
)
def test_runs_that_were_tested_on_something_else_are_refused(other, reason):
    run = {"x": [[1, 0], [0, 1]], "y": [[1, 0], [0, 1]]}
    for refused in (lambda: interval_over_runs([run, other]), lambda: difference_over_runs([run], [other])):
        with pytest.raises(ProtocolError, match=reason):
            refused()


@pytest.mark.parametrize("run", [{"x": [[1, 0], [0, 1]]}, {"x": [[1, 0], [0, 1]], "": [[1, 0], [0, 1]]}])
def test_speakers_that_are_unknown_or_alone_have_no_interval_over_speakers(run):
    with pytest.raises(ProtocolError, match="at least two, all known"):
        interval_over_runs([run])


@pytest.mark.slow
@pytest.mark.parametrize(("speaker_sd", "seed_sd"), [(1.0, 0.0), (1.0, 0.2), (0.6, 0.6), (0.2, 1.0)])
def test_the_interval_over_runs_holds_its_coverage_with_ten_speakers_and_three_seeds(speaker_sd, seed_sd):
    generator = np.random.default_rng(1)
    held = 0
    for seed in range(1000):
        runs, truth = runs_of(3, 10, generator, speaker_sd, seed_sd)
        band = interval_over_runs(runs, "accuracy", num_resamples=600, seed=seed)
        held += band["low"] <= truth <= band["high"]
    print(f"\nspeakers {speaker_sd}, seeds {seed_sd}: {held / 1000:.3f} of the 95 % intervals hold the truth")
    assert held / 1000 >= 0.9


@pytest.mark.slow
@pytest.mark.parametrize("seed_sd", [0.1, 0.6])
def test_the_difference_of_two_equal_systems_is_rarely_found(seed_sd):
    generator = np.random.default_rng(2)
    held = 0
    for seed in range(1000):
        both, _ = runs_of(6, 10, generator, 1.0, seed_sd)
        band = difference_over_runs(both[:3], both[3:], "accuracy", num_resamples=600, seed=seed)
        held += band["low"] <= 0 <= band["high"]
    print(f"\nseeds {seed_sd}: {held / 1000:.3f} of the 95 % intervals hold 0")
    assert held / 1000 >= 0.9
