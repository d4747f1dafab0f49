"""One command under several seeds, fold by fold: a table made of nothing but the records on the disk."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from emorec_lobes.evaluation.comparison import compare, score_that_chose
from emorec_lobes.evaluation.report import HEADINGS, Record, aligned, corpus_title, rounded
from emorec_lobes.files import read_json

RESULTS = "results.json"


def seed_table(folders: Mapping[int, Path], folds: Sequence[str]) -> str:
    """The table of a cross-validation under several seeds, as plain text.

    A row a seed: the score on each fold, their mean and deviation, and the score of all folds' answers pooled. The last
    two rows are the mean and the deviation over seeds of what stands above them. Both deviations are of the n - 1 form.
    What is not finished is "-", and is left out of means.

    Arguments
    ---------
    folders : mapping
        Seed -> its run folder.
    folds : sequence of str
        The folds to show; there is a pooled score only where all of the run's folds are shown.

    Returns
    -------
    str
        Ends with how sure the pooled score is: `runs.interval_over_runs`.
    """
    singles = {seed: {fold: _record(folder / f"fold_{fold}") for fold in folds} for seed, folder in folders.items()}
    found = [record for row in singles.values() for record in row.values() if record is not None]
    if not found:
        return "No fold is finished.\n"
    metric = score_that_chose(found)
    pooled = {seed: _pooled(folders[seed], row) for seed, row in singles.items()}
    rows = [
        [*scores, _mean(scores), _deviation(scores), None if pooled[seed] is None else pooled[seed][metric]]
        for seed, row in singles.items()
        for scores in [[None if record is None else record[metric] for record in row.values()]]
    ]
    head = ["seed", *(f"fold {fold}" for fold in folds), "mean", "± sd", "pooled"]
    lines = [head, *([str(seed), *map(rounded, row)] for seed, row in zip(singles, rows, strict=True))]
    if len(rows) > 1:
        columns = list(zip(*rows, strict=True))
        lines += [[name, *(rounded(of(column)) for column in columns)] for name, of in _OVER_SEEDS.items()]
    title = f"Results: {corpus_title(found[0])}, {HEADINGS[metric]}"
    places = [folders[seed] for seed, record in pooled.items() if record is not None]
    return "\n\n".join([title, aligned(lines), _sureness(places, metric)]) + "\n"


def pools(record: Record, singles: Sequence[Record]) -> bool:
    """Whether a record is that of these folds together."""
    return record["folds"] == [row for single in singles for row in single["folds"]]


def _record(folder: Path) -> dict[str, Any] | None:
    path = folder / RESULTS
    return dict(read_json(path, "the recipe", needed=("folds", "stamp", *HEADINGS))) if path.exists() else None


def _pooled(folder: Path, singles: Mapping[str, Record | None]) -> dict[str, Any] | None:
    record = _record(folder)
    if record is None or None in singles.values() or not pools(record, list(singles.values())):
        return None
    return record


def _sureness(places: Sequence[Path], metric: str) -> str:
    """The pooled score over seeds, with its interval."""
    if not places:
        return "No pooled score: no seed has all folds."
    row = compare(places, metric=metric).rows[0]
    score = f"Pooled {HEADINGS[metric]}, mean over seeds {', '.join(map(str, row.system.runs))}: {rounded(row.score)}"
    if row.band is None:
        return f"{score}. No interval: it needs two speakers or more, all known."
    level, low, high = (row.band[key] for key in ("level", "low", "high"))
    return f"{score}, {100 * level:.0f} % interval {rounded(low)} to {rounded(high)} ({row.band['method']})."


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _deviation(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.std(known, ddof=1)) if len(known) > 1 else None


_OVER_SEEDS = {"mean": _mean, "± sd": _deviation}
