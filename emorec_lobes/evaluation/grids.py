"""The tables of a whole report, as texts that a page and a Markdown file show alike."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from emorec_lobes.evaluation.calibration import log_loss, reliability
from emorec_lobes.evaluation.comparison import Table, table_cells
from emorec_lobes.evaluation.evidence import Evidence
from emorec_lobes.evaluation.metrics import METRICS, count_confusions, scores
from emorec_lobes.evaluation.predictions import Predictions
from emorec_lobes.evaluation.report import HEADINGS, rounded
from emorec_lobes.evaluation.slices import FEW, Cut


@dataclass(frozen=True)
class Grid:
    """A table: the first columns are texts, the others numbers."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    num_texts: int = 1
    # A cell that is a share of 1 -> that share, to be drawn: (row, column), both from 0.
    shares: Mapping[tuple[int, int], float] = field(default_factory=dict)
    is_matrix: bool = False  # shares as shades of whole cells, not as bars


def comparison_grid(table: Table) -> Grid:
    """The systems side by side."""
    head, *rows = table_cells(table)
    return Grid("Systems side by side", head, rows, num_texts=3)


def seed_grid(evidence: Sequence[Evidence]) -> Grid:
    """Each seed of each system."""
    rows = [
        [each.system.name, str(seed), *(rounded(record[metric]) for metric in METRICS)]
        for each in evidence
        for seed, record in each.system.runs.items()
    ]
    return Grid("Single seeds", ["system", "seed", *(HEADINGS[name] for name in METRICS)], rows, num_texts=2)


def recall_grid(evidence: Sequence[Evidence]) -> Grid:
    """Recall of each class, a column a system."""
    tested = next(iter(evidence[0].tested.values()))
    columns = [recalls(each) for each in evidence]
    rows, shares = [], {}
    for row, label in enumerate(tested.labels):
        shares |= _shares(row, [column[label] for column in columns], first=2)
        rows.append([label, str(int((tested.targets == row).sum())), *(rounded(column[label]) for column in columns)])
    return Grid("Recall of each class, mean over seeds", ["class", "n", *_names(evidence)], rows, shares=shares)


def recalls(evidence: Evidence) -> dict[str, float | None]:
    """Recall of each class, mean over seeds; None of a class without an utterance."""
    found = [record["per_class_recall"] for record in evidence.system.runs.values()]
    return {
        label: None if value is None else _mean([each[label] for each in found]) for label, value in found[0].items()
    }


def cut_grid(cut: Cut, evidence: Sequence[Evidence], metric: str) -> Grid:
    """A score of each part of a test, a column a system."""
    rows, shares = [], {}
    for place, (name, members) in enumerate(cut.parts.items()):
        values = [part_score(each, members, metric) for each in evidence]
        targets = next(iter(evidence[0].tested.values())).targets[members]
        size = f"{len(targets)} (few)" if len(targets) < FEW else str(len(targets))
        shares |= _shares(place, values, first=3)
        rows.append([name, size, str(len(np.unique(targets))), *map(rounded, values)])
    head = [cut.title.lower(), "n", "classes", *_names(evidence)]
    return Grid(f"{cut.title}: {HEADINGS[metric]}, mean over seeds", head, rows, shares=shares)


def part_score(evidence: Evidence, members: np.ndarray, metric: str) -> float:
    """A score of some of the utterances, mean over seeds; classes that none of them has do not count."""
    return _mean([
        scores(tested.targets[members], tested.predicted[members], tested.labels)[metric]
        for tested in evidence.tested.values()
    ])  # fmt: skip


def confusion_grid(evidence: Evidence) -> Grid:
    """How often each class is answered as each: share of the true class and count, over all seeds together."""
    tested = list(evidence.tested.values())
    labels = tested[0].labels
    counts = sum(count_confusions(each.targets, each.predicted, len(labels))[0] for each in tested)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    rows = [
        [label, *(f"{part:.0%} ({count})" for part, count in zip(parts, numbers, strict=True))]
        for label, parts, numbers in zip(labels, share.tolist(), counts.tolist(), strict=True)
    ]
    shares = {(row, column + 1): float(share[row, column]) for row, column in np.ndindex(*share.shape)}
    caption = f"Confusion matrix, {_seeds(evidence)}: share of the true class, and count"
    return Grid(caption, ["true \\ answered", *labels], rows, shares=shares, is_matrix=True)


def calibration_grid(evidence: Sequence[Evidence]) -> Grid:
    """How far probabilities are from what they say, mean over seeds."""
    measures: dict[str, Callable[[Predictions], float]] = {
        "ECE, equal width": lambda table: ece(table),
        "ECE, equal counts": lambda table: ece(table, adaptive=True),
        "mean confidence": lambda table: float(table.probabilities.max(axis=1).mean()),
        "accuracy": lambda table: float((table.predicted == table.targets).mean()),
        "log loss": lambda table: log_loss(table.probabilities, table.targets),
    }
    rows = [
        [each.system.name, *(rounded(_mean(list(map(measure, each.tested.values())))) for measure in measures.values())]
        for each in evidence
    ]
    return Grid("Calibration on the test, mean over seeds, 15 bins", ["system", *measures], rows)


def ece(table: Predictions, adaptive: bool = False) -> float:
    """Expected calibration error of answers."""
    return reliability(table.probabilities, table.targets, adaptive=adaptive).ece


def versions_grid(evidence: Sequence[Evidence]) -> Grid:
    """What each system ran on; seeds that differ say so."""
    found = [[record["versions"] for record in each.system.runs.values()] for each in evidence]
    libraries = sorted({name for runs in found for versions in runs for name in versions})
    rows = [[name, *(_joined(versions.get(name, "-") for versions in runs) for runs in found)] for name in libraries]
    return Grid("Versions", ["library", *_names(evidence)], rows, num_texts=1 + len(evidence))


def _joined(words: Any) -> str:
    return " / ".join(dict.fromkeys(map(str, words)))


def _names(evidence: Sequence[Evidence]) -> list[str]:
    return [each.system.name for each in evidence]


def _seeds(evidence: Evidence) -> str:
    return f"{len(evidence.tested)} seeds together" if len(evidence.tested) > 1 else "1 seed"


def _shares(row: int, values: Sequence[float | None], first: int) -> dict[tuple[int, int], float]:
    return {(row, first + place): value for place, value in enumerate(values) if value is not None}


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))
