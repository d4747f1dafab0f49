"""Probes: classifiers that are fitted to a frozen network's vectors, to see what these tell, speaker and emotion.

Source: Makiuchi 2021, section 6.2: 80 % of each speaker's utterances train the probe, the others test it, all of
speakers the network was trained on. Of an utterance in several segments, the probabilities are averaged.

What it does not say: the network was trained on the probed utterances, on the held-out ones too, so that both scores
are above what fresh utterances of these speakers would give, the emotion's above all. A probe at chance shows that
this probe found nothing, not that nothing is there. Intervals take the scored utterances for independent draws: they
hold for these speakers, this split and this network.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.stats import binomtest
from torch import nn
from torch.nn.functional import cross_entropy

from emorec_lobes.errors import DataError
from emorec_lobes.evaluation.projection import standardiser
from emorec_lobes.experiments.logistic import Examples, fit_logistic, logistic_probabilities

HELD_OUT_SHARE = 0.2
LEVEL = 0.95
METHOD = "exact binomial over utterances"  # a bootstrap of none but right answers would be sure of itself

# (width of the vectors, number of classes) -> a network.
MakeNetwork = Callable[[int, int], nn.Module]
# Rows (R, D) -> class probabilities (R, K).
Answers = Callable[[np.ndarray], np.ndarray]
# (rows, their classes, number of classes) -> a fitted probe.
Fit = Callable[[np.ndarray, np.ndarray, int], Answers]


@dataclass(frozen=True)
class Rows:
    """A network's vectors of utterances at one point, an utterance in one row or in several, one for each segment."""

    vectors: np.ndarray  # (R, D)
    counts: np.ndarray  # (N,), rows of each utterance

    @property
    def owners(self) -> np.ndarray:
        """Number of the utterance that each row belongs to, (R,)."""
        return np.repeat(np.arange(len(self.counts)), self.counts)

    def of(self, utterances: np.ndarray) -> "Rows":
        """The rows of some utterances, given by their numbers in rising order."""
        return Rows(self.vectors[np.isin(self.owners, utterances)], self.counts[utterances])

    def means(self, rows: np.ndarray | None = None) -> np.ndarray:
        """Mean of each utterance's vectors, (N, D), or of what else has a row for each of them."""
        values = self.vectors if rows is None else rows
        sums = np.zeros((len(self.counts), values.shape[1]))
        np.add.at(sums, self.owners, values)
        return sums / self.counts[:, None]


@dataclass(frozen=True)
class Side:
    """Utterances a probe is scored on."""

    name: str
    rows: Rows
    targets: np.ndarray  # (N,)


@dataclass(frozen=True)
class Training:
    """How the network probe is trained.

    Makiuchi 2021 does not say. The authors' code has Adam and 10 epochs, as here, but one segment an update, at a rate
    of 0.0001; batches are faster, and few utterances get more epochs.
    """

    epochs: int = 10
    least_updates: int = 200
    batch_size: int = 64
    lr: float = 1e-3


def split_per_speaker(
    speakers: Sequence[str | None], generator: np.random.Generator, share: float = HELD_OUT_SHARE
) -> tuple[np.ndarray, np.ndarray]:
    """Holds out the same share of each speaker's utterances, at least one.

    Who is unknown, or has a single utterance, is on neither side.

    Returns
    -------
    training, held out : np.ndarray
        Positions in `speakers`, rising.

    Raises
    ------
    DataError
        If fewer than two speakers have two utterances.

    Example
    -------
    >>> training, held_out = split_per_speaker(["x"] * 5 + ["y"] * 10, np.random.default_rng(0))
    >>> len(training), len(held_out)
    (12, 3)
    """
    names = np.array(["" if name is None else name for name in speakers])
    training, held_out = [], []
    for name in np.unique(names[names != ""]):
        positions = generator.permutation(np.flatnonzero(names == name))
        if len(positions) < 2:
            continue
        num_held_out = max(1, round(share * len(positions)))
        held_out.append(positions[:num_held_out])
        training.append(positions[num_held_out:])
    if len(training) < 2:
        raise DataError(
            f"A speaker probe must have 2 or more speakers with 2 or more utterances, but has {len(training)} "
            "instead. Probe a run on a corpus whose speakers are known."
        )
    return np.sort(np.concatenate(training)), np.sort(np.concatenate(held_out))


def fit_linear(rows: np.ndarray, targets: np.ndarray, num_classes: int) -> Answers:
    """Fits multinomial logistic regression, C = 1, to standardised vectors; a `Fit`."""
    scaled = standardiser(rows)
    examples = Examples(scaled(rows), targets, np.ones(len(rows)))
    model = fit_logistic(examples, c=1.0, tolerance=1e-3, max_iterations=20_000)
    return lambda others: logistic_probabilities(model, scaled(others), num_classes)


def network_fit(
    make_network: MakeNetwork,
    seed: int,
    training: Training = Training(),
    device: str = "cpu",
) -> Fit:
    """A `Fit` that trains a network on standardised vectors by Adam, for a fixed number of updates."""

    def fit(rows: np.ndarray, targets: np.ndarray, num_classes: int) -> Answers:
        scaled = standardiser(rows)
        inputs = torch.from_numpy(scaled(rows)).float().to(device)
        classes = torch.from_numpy(targets).long().to(device)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            network = make_network(rows.shape[1], num_classes).to(device)
        optimizer = torch.optim.Adam(network.parameters(), lr=training.lr)
        for batch in _batches(len(rows), training, torch.Generator().manual_seed(seed)):
            optimizer.zero_grad()
            cross_entropy(network(inputs[batch]), classes[batch]).backward()
            optimizer.step()

        @torch.inference_mode()
        def answers(others: np.ndarray) -> np.ndarray:
            scores = network(torch.from_numpy(scaled(others)).float().to(device))
            return scores.softmax(dim=-1).double().cpu().numpy()

        return answers

    return fit


def probe(fit: Fit, trained_on: Side, sides: Sequence[Side], classes: Sequence[str]) -> list[dict[str, Any]]:
    """Fits a probe on one side, and scores it on others.

    Arguments
    ---------
    fit : callable
        `fit_linear`, or what `network_fit` gives.
    trained_on : Side
    sides : sequence of Side
    classes : sequence of str
        What `targets` are indices into.

    Returns
    -------
    list of dict
        For each side `utterances` (its name), `num_utterances`, `num_classes`, `accuracy`, `interval`, and what chance
        would reach: `uniform`, 1 / K, and `majority`, the share on this side of the class that is most frequent in
        the probe's training.
    """
    owned = trained_on.targets[trained_on.rows.owners]
    answers = fit(trained_on.rows.vectors, owned, len(classes))
    majority = np.bincount(trained_on.targets, minlength=len(classes)).argmax()
    records = []
    for side in sides:
        answered = side.rows.means(answers(side.rows.vectors)).argmax(axis=1)
        right = answered == side.targets
        band = binomtest(int(right.sum()), len(right)).proportion_ci(LEVEL, method="exact")
        records.append(
            {
                "utterances": side.name,
                "num_utterances": len(answered),
                "num_classes": len(classes),
                "accuracy": float(right.mean()),
                "interval": {"low": float(band.low), "high": float(band.high), "level": LEVEL, "method": METHOD},
                "uniform": 1 / len(classes),
                "majority": float(np.mean(side.targets == majority)),
            }
        )
    return records


def _batches(num_rows: int, training: Training, generator: torch.Generator) -> Iterator[torch.Tensor]:
    """Shuffled batches, epoch after epoch."""
    updates_an_epoch = -(-num_rows // training.batch_size)
    for _ in range(max(training.epochs, -(-training.least_updates // updates_an_epoch))):
        yield from torch.randperm(num_rows, generator=generator).split(training.batch_size)
