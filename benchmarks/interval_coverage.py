"""How often 95 % intervals hold the truth with ten speakers, simulated.

    python benchmarks/interval_coverage.py [--score NAME] [--simulations N] [--resamples N] [--seed N]

Ten speakers with EmoDB's numbers of utterances are drawn from a population whose scores are known; two systems answer
them. Every row is a population, every column a way to an interval. README.md beside this file says how to read it.
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import norm, t

from emorec_lobes.errors import ConfigError, exit_code_of
from emorec_lobes.evaluation.metrics import METRICS, count_confusions, from_confusion
from emorec_lobes.evaluation.paired import compare_pair
from emorec_lobes.evaluation.pairing import Pair
from emorec_lobes.evaluation.statistics import draw_times
from emorec_lobes.labels import FOUR_CLASSES

# Utterances of each of EmoDB's speakers that are angry, neutral, happy and sad.
ANGRY, NEUTRAL = [14, 12, 13, 10, 11, 12, 12, 16, 13, 14], [11, 10, 9, 4, 9, 4, 9, 7, 11, 5]
HAPPY, SAD = [7, 11, 4, 4, 8, 2, 10, 8, 6, 11], [7, 9, 4, 3, 7, 4, 5, 10, 4, 9]
COUNTS = np.column_stack([ANGRY, NEUTRAL, HAPPY, SAD])
NUM_SPEAKERS, NUM_CLASSES = COUNTS.shape
SPEAKERS = np.repeat([f"s{number}" for number in range(NUM_SPEAKERS)], COUNTS.sum(axis=1))
PLACES = np.repeat(np.arange(NUM_SPEAKERS), COUNTS.sum(axis=1))
TARGETS = np.concatenate([np.repeat(np.arange(NUM_CLASSES), row) for row in COUNTS])
WAYS = ("percentiles", "expanded percentiles", "over utterances", "Student's t")
OVER = ("over_utterances", "over_speakers")  # where the last two stand in a comparison
LEVEL = 0.95
# What lies outside of either end: of percentiles as they are, and of those taken as much further out as Student's t is
# from the normal distribution (Hesterberg, What Teachers Should Know About the Bootstrap, 2015).
REACH = t.ppf((1 - LEVEL) / 2, NUM_SPEAKERS - 1) * np.sqrt(NUM_SPEAKERS / (NUM_SPEAKERS - 1))
TAILS = ((1 - LEVEL) / 2, float(norm.cdf(REACH)))


@dataclass(frozen=True)
class Population:
    """All speakers, seeds and utterances that there could be; numbers are in probits.

    An utterance is answered rightly if the sum of its class's mean and of independent normal parts is above 0: of the
    speaker and class, the same for both systems; of speaker, class and system; of the seed; and of the utterance, half
    of whose variance of 1 both systems share. So a recall is Phi(mean / sqrt(1 + the other variances)), exactly.
    """

    name: str
    means: tuple[float, ...]  # of the classes
    speaker_sds: tuple[float, ...]
    own_sd: float  # of speaker, class and system
    gain: float  # of the second system
    num_seeds: int = 1
    seed_sd: float = 0.0

    def truth(self) -> list[dict[str, float]]:
        """The scores of both systems on all there is."""
        variance = 1 + np.square(self.speaker_sds) + self.own_sd**2 + self.seed_sd**2
        scored = []
        for gain in (0.0, self.gain):
            recall = norm.cdf((np.array(self.means) + gain) / np.sqrt(variance))
            shares = np.repeat((1 - recall)[:, None] / (NUM_CLASSES - 1), NUM_CLASSES, axis=1)
            np.fill_diagonal(shares, recall)
            scored.append(from_confusion(COUNTS.sum(axis=0)[:, None] * shares))
        return scored

    def draw(self, generator: np.random.Generator) -> Pair:
        """Ten speakers' utterances, and what both systems answer."""
        by_speaker = generator.normal(size=(NUM_SPEAKERS, 1)) * np.sqrt(0.3)
        by_class = generator.normal(size=(NUM_SPEAKERS, NUM_CLASSES)) * np.sqrt(0.7)
        skill = np.array(self.means) + np.array(self.speaker_sds) * (by_speaker + by_class)
        shared = generator.normal(size=TARGETS.size)
        answers = [self._answers(skill + gain, shared, generator) for gain in (0.0, self.gain)]
        files = ((Path("a"),), (Path("b"),))
        return Pair(np.arange(TARGETS.size).astype(str), SPEAKERS, TARGETS, FOUR_CLASSES, tuple(answers), files, (0, 0))

    def _answers(self, skill: np.ndarray, shared: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        own = skill + self.own_sd * generator.normal(size=skill.shape)
        seeds = self.seed_sd * generator.normal(size=(self.num_seeds, 1))
        noise = generator.normal(size=(self.num_seeds, TARGETS.size))
        is_right = own[PLACES, TARGETS] + seeds + np.sqrt(0.5) * (shared + noise) > 0
        wrong = (TARGETS + generator.integers(1, NUM_CLASSES, is_right.shape)) % NUM_CLASSES
        return np.where(is_right, TARGETS, wrong)


# The first two have about the means and deviations that fit the committed records of EmoDB best (maximum likelihood,
# class by class): those of `ser_resemblyzer`, as it is and with `normalise: speaker`.
EMODB = (2.1, 3.3, 0.7, 2.1)
POPULATIONS = (
    Population("as EmoDB", EMODB, (1.4, 1.9, 0.65, 0.9), 0.5, -0.5),
    Population("as EmoDB, normalised", (2.1, 3.3, 0.85, 2.3), (0.75, 1.5, 0.3, 0.5), 0.4, 0.0),
    Population("speakers much alike", EMODB, (0.3,) * 4, 0.15, 0.0),
    Population("hard", (0.8, 0.5, 0.2, 0.6), (0.5,) * 4, 0.3, 0.3),
    Population("hard, speakers differ", (0.8, 0.5, 0.2, 0.6), (1.0,) * 4, 0.6, 0.4),
    Population("as EmoDB, 3 seeds", EMODB, (1.4, 1.9, 0.65, 0.9), 0.5, -0.5, num_seeds=3, seed_sd=0.2),
)

Bands = dict[str, tuple[float, float]]


def bands(pair: Pair, metric: str, num_resamples: int, seed: int) -> tuple[Bands, Bands]:
    """Way -> interval, of the first system and of the difference (second less first)."""
    scored = compare_pair(pair, metric, LEVEL, num_resamples, seed)["scores"][metric]
    first, second = (_drawn(side, metric, num_resamples, seed) for side in pair.answers)
    found = []
    for drawn, key in ((first, "a"), (second - first, "difference")):
        ends = [np.quantile(drawn, [tail, 1 - tail]) for tail in TAILS]
        found.append(dict(zip(WAYS, [*map(tuple, ends), *(_ends(scored[over][key]) for over in OVER)], strict=True)))
    return found[0], found[1]


def _drawn(side: np.ndarray, metric: str, num_resamples: int, seed: int) -> np.ndarray:
    """The mean score over seeds when speakers are drawn: (S, N) -> (R,)."""
    times = draw_times(NUM_SPEAKERS, num_resamples, np.random.default_rng(seed)).astype(np.float64)
    counts = [count_confusions(TARGETS, answers, NUM_CLASSES, PLACES).astype(np.float64) for answers in side]
    return np.mean([from_confusion(np.tensordot(times, each, 1))[metric] for each in counts], axis=0)


def _ends(band: dict[str, float]) -> tuple[float, float]:
    return band["low"], band["high"]


def measure(population: Population, metric: str, num_simulations: int, num_resamples: int, seed: int) -> list[dict]:
    """The share of simulations whose interval holds the truth: way -> share, of one score and of the difference."""
    generator = np.random.default_rng(seed)
    first, second = (float(scored[metric]) for scored in population.truth())
    held = [dict.fromkeys(WAYS, 0), dict.fromkeys(WAYS, 0)]
    for number in range(num_simulations):
        found = bands(population.draw(generator), metric, num_resamples, number)
        for counts, each, truth in zip(held, found, (first, second - first), strict=True):
            for way, (low, high) in each.items():
                counts[way] += low <= truth <= high
    return [{way: count / num_simulations for way, count in counts.items()} for counts in held]


def rows(metric: str, num_simulations: int, num_resamples: int, seed: int) -> Iterator[str]:
    """The table, a line at a time."""
    yield f"| population | interval of | {' | '.join(WAYS)} |"
    yield f"|---|---|{'--:|' * len(WAYS)}"
    for population in POPULATIONS:
        shares = measure(population, metric, num_simulations, num_resamples, seed)
        for what, share in zip(("score", "difference"), shares, strict=True):
            yield f"| {population.name} | {what} | {' | '.join(f'{share[way]:.3f}' for way in WAYS)} |"


def run() -> int:
    """Simulates and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--score", choices=METRICS, default="uar")
    parser.add_argument("--simulations", type=int, default=300, help="of each row (default: 300)")
    parser.add_argument("--resamples", type=int, default=600, help="of each interval (default: 600)")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if args.simulations < 1:
        raise ConfigError(f"`--simulations` must be at least 1, but is {args.simulations} instead. Use 300.")
    for row in rows(args.score, args.simulations, args.resamples, args.seed):
        print(row, flush=True)
    error = np.sqrt(LEVEL * (1 - LEVEL) / args.simulations)
    print(f"\nNominal {LEVEL}; a share's standard error is {error:.3f} ({args.simulations} simulations).")
    return 0


if __name__ == "__main__":
    sys.exit(exit_code_of("interval_coverage", run))
