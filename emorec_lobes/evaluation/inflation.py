"""What bad habits would have reported of the same runs, beside the honest score: inflation, and never a result."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from emorec_lobes.errors import DataError, ProtocolError
from emorec_lobes.evaluation.comparison import score_that_chose, signed
from emorec_lobes.evaluation.metrics import METRICS, scores
from emorec_lobes.evaluation.predictions import Predictions, read_predictions
from emorec_lobes.evaluation.report import HEADINGS, Record, aligned, corpus_title, piped, results_record, rounded
from emorec_lobes.evaluation.runs import difference_over_runs
from emorec_lobes.evaluation.systems import SPLIT_FOLDER
from emorec_lobes.files import read_json, write_atomically, write_json

HONEST, BEST_EPOCH, RANDOM_SPLIT, BOTH = "honest", "best-epoch", "random-split", "both"
KINDS = (BEST_EPOCH, RANDOM_SPLIT)
INFLATION = "inflation.json"
_WATCHED = "watched_test"
_CHOSEN = "checkpoint of each fold chosen on its own test"
_NAMES = {
    HONEST: "honest",
    BEST_EPOCH: "INFLATED: best epoch on test",
    RANDOM_SPLIT: "INFLATED: random split, shared speakers",
    BOTH: "INFLATED: random split, best epoch on test",
}
_KEPT = (*METRICS, "fold_mean", "confusion_by_speaker", "stamp")
_NO_RESULT = "What is marked INFLATED is no result: it shows what a bad habit adds to the honest row."


def watched_file(fold: Path, update: int) -> Path:
    """Where a fold keeps what the weights of a validation answered to its test."""
    return Path(fold) / _WATCHED / f"update_{update}.csv"


def is_watched(fold: Path) -> bool:
    """Whether a finished fold was trained with `watch_test`, from its first validation on."""
    return all(watched_file(fold, row["update"]).is_file() for row in _history(fold)["rows"])


def best_epoch(fold: Path, metric: str) -> tuple[Predictions, int]:
    """The test answers of the update that did best on the very test, the latest among equals, and that update.

    Raises
    ------
    DataError
        If a validation was not watched, or the files are not of the training whose results stand beside them.
    """
    history = _history(fold)
    if not is_watched(fold):
        raise DataError(f"{fold} must be trained with --watch_test True from the start, but is not. Delete it.")
    tables = {row["update"]: read_predictions(watched_file(fold, row["update"])) for row in history["rows"]}
    own, seen = read_predictions(fold / "predictions.csv").only("test"), tables.get(history["chosen_update"])
    if seen is None or not (np.array_equal(own.ids, seen.ids) and np.array_equal(own.predicted, seen.predicted)):
        raise DataError(f"{fold / _WATCHED} must be of the training that was scored, but is not. Delete {fold}.")
    scored = {update: scores(each.targets, each.predicted, each.labels)[metric] for update, each in tables.items()}
    best = max(scored, key=lambda update: (scored[update], update))
    return tables[best], best


def inflation_record(run: Path, kinds: Sequence[str]) -> dict[str, Any]:
    """The honest scores of a finished run, and those that each bad habit would have reported.

    Arguments
    ---------
    run : Path
        Its folder; the random split of "random-split" is a finished run in it.
    kinds : sequence of str
        Of `KINDS`. With both of them there is a row of both habits together, too.

    Returns
    -------
    dict
        `inflation`: habit -> scores, pooled and as the mean of folds, `confusion_by_speaker` and the stamp, which is
        `peeked` for all but "honest"; beside it what all of them share.

    Raises
    ------
    DataError
        As `best_epoch`.
    """
    honest = read_json(run / "results.json", "the recipe", needed=_KEPT)
    metric = score_that_chose([honest])
    rows = {HONEST: honest}
    if BEST_EPOCH in kinds:
        rows[BEST_EPOCH] = _with_best_epochs(run, honest, metric)
    if RANDOM_SPLIT in kinds:
        rows[RANDOM_SPLIT] = read_json(run / SPLIT_FOLDER / "results.json", "emorec cv", needed=_KEPT)
    if {BEST_EPOCH, RANDOM_SPLIT} <= set(kinds):
        rows[BOTH] = _with_best_epochs(run / SPLIT_FOLDER, rows[RANDOM_SPLIT], metric)
    shared = {key: honest[key] for key in ("labels", "num_utterances", "command", "fingerprint", "versions")}
    return {
        "inflation": {name: {key: row[key] for key in _KEPT} for name, row in rows.items()},
        "metric": metric,
    } | shared


def write_inflation(run: Path, kinds: Sequence[str]) -> dict[str, Any]:
    """Writes the record into the run's folder, inflation.json, and its table, inflation.md; gives the record."""
    record = inflation_record(run, kinds)
    write_atomically(run / "inflation.md", markdown_inflation([record]))
    write_json(run / INFLATION, record)
    return record


def terminal_inflation(records: Sequence[Record]) -> str:
    """Honest and inflated scores of several seeds side by side, as plain text."""
    return "\n\n".join([f"Inflation: {_tested(records)}", aligned(_rows(records)), _legend(records)]) + "\n"


def markdown_inflation(records: Sequence[Record]) -> str:
    """The same as Markdown."""
    return "\n\n".join([f"{_tested(records)}.", piped(_rows(records)), _legend(records)]) + "\n"


def _history(fold: Path) -> Mapping[str, Any]:
    return read_json(fold / "history.json", "the recipe", needed=("rows", "chosen_update"))


def _with_best_epochs(run: Path, record: Record, metric: str) -> dict[str, Any]:
    """The record that a run would have left if each fold's test had chosen its checkpoint."""
    found = [best_epoch(run / f"fold_{row['fold']}", metric) for row in record["folds"]]
    peeked = ", ".join(filter(None, [record["stamp"].get("peeked"), _CHOSEN]))
    stamp = dict(record["stamp"]) | {
        "protocol": "peeked",
        "peeked": peeked,
        "checkpoint_chosen_on": f"test {metric}",
        "chosen_update": [update for _, update in found],
    }
    return results_record(Predictions.concatenate([table for table, _ in found]), stamp, record["fingerprint"])


def _rows(records: Sequence[Record]) -> list[list[str]]:
    """Headings, then a row a habit: means over seeds, and how much more than the honest row."""
    metric, habits = _shared(records)
    name = HEADINGS[metric]
    head = ["reported", f"{name}, pooled", "± sd", f"{name}, mean of folds", "inflation", "95 % interval"]
    rows = [head]
    for habit in habits:
        runs = [record["inflation"][habit] for record in records]
        pooled = [run[metric] for run in runs]
        honest = [record["inflation"][HONEST][metric] for record in records]
        rows.append(
            [
                _NAMES[habit],
                rounded(float(np.mean(pooled))),
                rounded(float(np.std(pooled, ddof=1)) if len(pooled) > 1 else None),
                rounded(float(np.mean([run["fold_mean"][metric] for run in runs]))),
                "-" if habit == HONEST else signed(float(np.mean(pooled) - np.mean(honest))),
                "-" if habit == HONEST else _band(records, habit, metric),
            ]
        )
    return rows


def _band(records: Sequence[Record], habit: str, metric: str) -> str:
    """How sure a difference to the honest row is: the same seeds and speakers are drawn for both."""
    sides = [[record["inflation"][name]["confusion_by_speaker"] for record in records] for name in (habit, HONEST)]
    if len(sides[1][0]) < 2 or "" in sides[1][0]:
        return "-"
    band = difference_over_runs(*sides, metric=metric)
    return f"{signed(band['low'])} to {signed(band['high'])}"


def _shared(records: Sequence[Record]) -> tuple[str, list[str]]:
    """The score and the habits of all records.

    Raises
    ------
    ProtocolError
        If records differ in them, or are of several tests or systems: no mean is of anything then.
    """
    keys = [
        (
            each["metric"],
            list(each["inflation"]),
            each["num_utterances"],
            each["command"]["fingerprint"],
            each["labels"],
        )
        for each in records
    ]
    if any(key != keys[0] for key in keys):
        raise ProtocolError("Inflation must be of one system and its seeds, but the records differ. Measure all alike.")
    return keys[0][0], keys[0][1]


def _tested(records: Sequence[Record]) -> str:
    first = records[0]
    honest = first["inflation"][HONEST]
    numbers = [str(record["inflation"][HONEST]["stamp"]["seed"]) for record in records]
    seeds = f"seed{'s' if len(numbers) > 1 else ''} {', '.join(numbers)}"
    return (
        f"{corpus_title(honest)}, {first['command']['hparams']}, protocol {honest['stamp']['protocol']}, "
        f"{first['num_utterances']} test utterances, {seeds}"
    )


def _legend(records: Sequence[Record]) -> str:
    words = [_NO_RESULT, "Inflation is in the pooled score, the mean over seeds; ± sd is over seeds (n - 1)."]
    if len(records) == 1:
        words.append("A single seed says nothing about others.")
    return " ".join([*words, "Intervals: paired bootstrap over speakers and seeds, Student's t."])
