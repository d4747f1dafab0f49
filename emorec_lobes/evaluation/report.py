"""results.json from predictions, and the tables that are made of nothing but it."""

import platform
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from typing import Any

import numpy as np

from emorec_lobes.evaluation.metrics import HEADINGS, METRICS, count_confusions, majority_baseline, rounded, scores
from emorec_lobes.evaluation.predictions import Predictions
from emorec_lobes.evaluation.rater_scores import rater_scores
from emorec_lobes.evaluation.raters import Ratings
from emorec_lobes.evaluation.raters_report import rater_blocks
from emorec_lobes.evaluation.statistics import interval
from emorec_lobes.evaluation.units import SPEAKERS, UTTERANCES, Units, answers_by_unit

LIBRARIES = ("emorec", "numpy", "scikit-learn", "scipy", "speechbrain", "torch", "torchaudio", "transformers")

Record = Mapping[str, Any]


def results_record(
    predictions: Predictions,
    stamp: Mapping[str, Any],
    fingerprint: Mapping[str, Any],
    command: Mapping[str, Any] | None = None,
    seed: int = 0,
    units: Units | None = None,
    one_input: Mapping[str, Predictions] | None = None,
    ratings: Ratings | None = None,
) -> dict[str, Any]:
    """The content of results.json: what was scored, how, and by what.

    The headline scores are those of all folds' test utterances pooled; the folds' own rows, their mean and their
    deviation (n - 1 form, None for a single fold) stand in `folds`, `fold_mean` and `fold_deviation`. The speakers'
    confusion counts in `confusion_by_speaker` are all that any of these scores needs, and, where no other `units` are
    drawn, any interval.

    Arguments
    ---------
    predictions : Predictions
        Only its `test` rows are scored.
    stamp : mapping
        The protocol: what was held out and what chose the checkpoint; `corpus` names the corpus.
    fingerprint : mapping
        Of the configuration and of the data.
    command : mapping, optional
        What the run was asked for: `recipe`, `hparams`, `overrides`, `fingerprint`.
    seed : int
        Of the interval's resampling.
    units : Units, optional
        What intervals draw in place of speakers.
    one_input : mapping, optional
        Of a model of several inputs: the name of each -> what it answered by that one alone. Scored in
        `with_one_input`.
    ratings : mapping, optional
        What each rater heard, by id; where a tested utterance has any, `raters` says what follows from it.

    Returns
    -------
    dict
        Ready for JSON: no NaN, no NumPy types, the same for the same predictions.

    Raises
    ------
    ProtocolError
        If there is no `test` row.

    Example
    -------
    >>> answers = Predictions(["a", "b"], ["1", "2"], ["test"] * 2, ["x", "y"], [0, 1],
    ...                       ("angry", "sad"), [[0.9, 0.1], [0.8, 0.2]])
    >>> record = results_record(answers, {"corpus": "emodb"}, {"data": "0f3a"})
    >>> record["accuracy"], [row["accuracy"] for row in record["folds"]], record["baseline"]["uar"]
    (0.5, [1.0, 0.0], 0.5)
    """
    tested = predictions.only("test")
    targets, answers, labels = tested.targets, tested.predicted, tested.labels
    # Of unknown speakers `interval` draws utterances by itself.
    by_speaker = units is None or units.name == UTTERANCES
    drawn = tested.speakers if by_speaker else [units.of[item] for item in tested.ids]
    unit = SPEAKERS if by_speaker else units.name
    rated = rater_scores(tested, ratings, drawn, unit, seed) if ratings else None
    folds = [_fold_row(tested, fold) for fold in sorted(set(tested.folds.tolist()), key=_natural)]
    return {
        "labels": list(labels),
        **scores(targets, answers, labels),
        "confusion_by_speaker": _confusion_by_speaker(tested),
        **({} if units is None else {"units": answers_by_unit(tested, units)}),
        "interval": interval(targets, answers, labels, drawn, seed=seed, unit=unit),
        "baseline": majority_baseline(targets, labels),
        "folds": folds,
        "fold_mean": {name: float(np.mean([row[name] for row in folds])) for name in METRICS},
        "fold_deviation": {name: _deviation([row[name] for row in folds]) for name in METRICS},
        **(
            {"with_one_input": {name: _brief(table.only("test")) for name, table in one_input.items()}}
            if one_input
            else {}
        ),
        **({"raters": rated} if rated else {}),
        "stamp": dict(stamp),
        "command": None if command is None else dict(command),
        "fingerprint": dict(fingerprint),
        "versions": versions(),
    }


def versions(libraries: Sequence[str] = LIBRARIES) -> dict[str, str]:
    """Versions of Python and of those of the libraries that are installed, without importing any."""
    found = {"python": platform.python_version()}
    for library in libraries:
        try:
            found[library] = metadata.version(library)
        except metadata.PackageNotFoundError:
            continue
    return found


def corpus_title(record: Record) -> str:
    """How a result's corpus is called wherever its scores are shown.

    Example
    -------
    >>> corpus_title({"stamp": {"corpus": "synthetic"}})
    'synthetic corpus'
    """
    corpus = record["stamp"].get("corpus", "unnamed corpus")
    title = "synthetic corpus" if corpus == "synthetic" else corpus
    return ", ".join(filter(None, [title, peeked_mark(record["stamp"])]))


def peeked_mark(stamp: Mapping[str, Any]) -> str:
    """What is written wherever a score is shown that the test helped to win; nothing for an honest one.

    Example
    -------
    >>> peeked_mark({"peeked": True}), peeked_mark({"peeked": "speakers shared"}), peeked_mark({})
    ('ORACLE (chosen on the test)', 'INFLATED (speakers shared)', '')
    """
    peeked = stamp.get("peeked")
    if not peeked:
        return ""
    return "ORACLE (chosen on the test)" if peeked is True else f"INFLATED ({peeked})"


def terminal_table(record: Record) -> str:
    """The result as aligned plain text: folds, pooled scores, confusion matrix, protocol."""
    return _compose(record, f"Results: {corpus_title(record)}", aligned)


def markdown_table(record: Record) -> str:
    """The result as Markdown, for results.md: the same numbers as `terminal_table`."""
    return _compose(record, f"### Results: {corpus_title(record)}", piped)


def _compose(record: Record, title: str, render: Callable[[Sequence[Sequence[str]]], str]) -> str:
    blocks = [title, render(_score_rows(record)), _interval_line(record), render(_confusion_rows(record))]
    if record["absent"]:
        blocks.append(f"Without a test utterance, so not in UAR and macro F1: {', '.join(record['absent'])}.")
    if "raters" in record:
        blocks += rater_blocks(record["raters"], render)
    blocks.append(_stamp_line(record["stamp"]))
    return "\n\n".join(blocks) + "\n"


def _score_rows(record: Record) -> list[list[str]]:
    rows = [["fold", "utterances", *HEADINGS.values()]]
    rows += [_row(fold["fold"], fold["num_utterances"], fold) for fold in record["folds"]]
    if len(record["folds"]) > 1:
        rows.append(_row("mean", "", record["fold_mean"]))
        rows.append(_row("± sd (n-1)", "", record["fold_deviation"]))
        rows.append(_row("pooled", record["num_utterances"], record))
    rows += [
        _row(f"{name} alone", row["num_utterances"], row) for name, row in record.get("with_one_input", {}).items()
    ]
    baseline = record["baseline"]
    rows.append(_row(f"always {baseline['label']}", baseline["num_utterances"], baseline))
    return rows


def _confusion_rows(record: Record) -> list[list[str]]:
    labels, recall = record["labels"], record["per_class_recall"]
    rows = [["true \\ answered", *labels, "recall"]]
    for label, counts in zip(labels, record["confusion"], strict=True):
        rows.append([label, *map(str, counts), rounded(recall[label])])
    return rows


def _interval_line(record: Record) -> str:
    band = record["interval"]
    return (
        f"{HEADINGS[band['metric']]} {rounded(record[band['metric']])}, "
        f"{band['level']:.0%} interval {rounded(band['low'])} to {rounded(band['high'])} ({band['method']})"
    )


def _stamp_line(stamp: Mapping[str, Any]) -> str:
    return "Protocol stamp: " + "; ".join(f"{key} = {value}" for key, value in stamp_entries(stamp))


def stamp_entries(stamp: Mapping[str, Any]) -> list[tuple[str, str]]:
    """A stamp's keys and values as texts of one line."""
    return [(key.replace("_", " "), _plain(value)) for key, value in stamp.items()]


def _plain(value: object) -> str:
    if isinstance(value, list | tuple):
        return " / ".join(map(_plain, value)) or "none"
    words = {True: "yes", False: "no", None: "none"}
    return words[value] if isinstance(value, bool) or value is None else " ".join(str(value).split())


def _row(name: str, num_utterances: int | str, values: Mapping[str, float | None]) -> list[str]:
    return [name, str(num_utterances), *(rounded(values[metric]) for metric in METRICS)]


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """First column to the left, numbers to the right, a rule under the headings."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for name, *cells in rows:
        numbers = (cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True))
        lines.append("  ".join([name.ljust(widths[0]), *numbers]).rstrip())
    lines.insert(1, "-" * (sum(widths) + 2 * len(widths[1:])))
    return "\n".join(lines)


def piped(rows: Sequence[Sequence[str]], num_texts: int = 1) -> str:
    """Rows as a Markdown table, headings first; the first columns are texts, the others numbers, set to the right."""
    head, *body = [[cell.replace("\\", "\\\\").replace("|", "\\|") for cell in row] for row in rows]
    rule = ["---"] * num_texts + ["--:"] * (len(head) - num_texts)
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, rule, *body])


def inert(text: str) -> str:
    """Text of a run as Markdown that shows it, and neither links, nor draws, nor is HTML.

    Example
    -------
    >>> inert("<b>![x](y)")
    '&lt;b&gt;!&#91;x&#93;(y)'
    """
    signs = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "[": "&#91;", "]": "&#93;", "`": "&#96;"}
    return " ".join("".join(signs.get(sign, sign) for sign in text).split())


def _brief(tested: Predictions) -> dict[str, Any]:
    result = scores(tested.targets, tested.predicted, tested.labels)
    return {name: result[name] for name in ("num_utterances", *METRICS)}


def _fold_row(tested: Predictions, fold: str) -> dict[str, Any]:
    rows = tested.folds == fold
    result = scores(tested.targets[rows], tested.predicted[rows], tested.labels)
    speakers = np.unique(tested.speakers[rows]).tolist()
    return {"fold": fold, "speakers": speakers, **{name: result[name] for name in ("num_utterances", *METRICS)}}


def _confusion_by_speaker(tested: Predictions) -> dict[str, list[list[int]]]:
    """Speakers sorted; "" stands for all that are unknown."""
    names, groups = np.unique(tested.speakers, return_inverse=True)
    counts = count_confusions(tested.targets, tested.predicted, len(tested.labels), groups)
    return {str(name): count.tolist() for name, count in zip(names, counts, strict=True)}


def _deviation(values: Sequence[float]) -> float | None:
    return float(np.std(values, ddof=1)) if len(values) > 1 else None


def _natural(fold: str) -> tuple[bool, int, str]:
    """Folds named by numbers in their order, then the others by name."""
    return (not fold.isdecimal(), int(fold) if fold.isdecimal() else 0, fold)
