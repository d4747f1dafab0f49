"""Tables of systems side by side, made of nothing but their records."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from emorec_lobes.errors import ConfigError, ProtocolError, not_one_of
from emorec_lobes.evaluation.metrics import METRICS
from emorec_lobes.evaluation.report import HEADINGS, Record, corpus_title, inert, peeked_mark, piped, rounded
from emorec_lobes.evaluation.runs import difference_over_runs, interval_over_runs
from emorec_lobes.evaluation.systems import BASE_FOLDER, System, base_of, command_line, group_records, read_records
from emorec_lobes.evaluation.units import unit_name

NO_RESULTS = "No results yet."
Band = Mapping[str, Any]


@dataclass(frozen=True)
class Row:
    """A system with its scores; a band is None where no interval can be drawn, or no difference is asked for."""

    system: System
    score: float  # the one that the table is about
    deviation: float | None  # over seeds, n - 1 form
    band: Band | None
    difference: float | None
    difference_band: Band | None


@dataclass(frozen=True)
class Table:
    """Systems that were tested alike: the one the others are compared with first, then by falling score.

    Those that peeked at the test stand last and are not compared.
    """

    rows: tuple[Row, ...]
    base: System | None
    metric: str  # the score that intervals and differences are of
    sources: tuple[Path, ...]  # the files it was made of

    @property
    def test(self) -> Record:
        """A record, for what all share: corpus, labels, folds."""
        return self.rows[0].system.any_record


def compare(places: Sequence[Path], base: Path | None = None, metric: str | None = None) -> Table:
    """Reads records and puts their systems side by side.

    Arguments
    ---------
    places : sequence of Path
        As `systems.read_records` takes them.
    base : Path, optional
        Where the runs of the system lie that the others are compared with. Kept records say it by themselves, by the
        folder `base`.
    metric : str, optional
        One of `metrics.METRICS`: the score to sort by, with intervals and differences. Without it, the one by which
        validation chose in all runs alike, else the UAR.

    Raises
    ------
    ConfigError, DataError, ProtocolError
        As `systems.read_records`, `group_records` and `base_of`.
    """
    if metric is not None and metric not in METRICS:
        raise ConfigError(not_one_of("score", metric, METRICS))
    records = read_records([*places, *([base] if base else [])])
    chosen = {path: record for path, record in records.items() if path.parent.name == BASE_FOLDER}
    if base:
        chosen = read_records([base])
    systems = group_records(records)
    compared_with = base_of(systems, chosen)
    if compared_with and _peeked(compared_with):
        raise ProtocolError(
            f"The base must be an honest system, but {compared_with.name} is {peeked_mark(_stamp(compared_with))}. "
            "Name another --base."
        )
    metric = metric or score_that_chose(records.values())
    rows = [_row(system, compared_with, metric) for system in systems]
    rows.sort(key=lambda row: (row.system is not compared_with, _peeked(row.system), -row.score, row.system.name))
    return Table(tuple(rows), compared_with, metric, tuple(records))


def _stamp(system: System) -> Mapping[str, Any]:
    return system.any_record["stamp"]


def _peeked(system: System) -> bool:
    return bool(peeked_mark(_stamp(system)))


def score_that_chose(records: Iterable[Record]) -> str:
    """The score by which validation chose in all runs alike, else the UAR."""
    chosen_on = {str(record["stamp"].get("checkpoint_chosen_on")) for record in records}
    return next((metric for metric in METRICS if chosen_on == {f"validation {metric}"}), "uar")


def _row(system: System, base: System | None, metric: str) -> Row:
    scores, confusions = system.scores(metric), system.confusions
    is_compared = base is not None and system is not base and not _peeked(system)
    # Speakers that are unknown, or a single one, cannot be resampled.
    resampled = len(confusions[0]) > 1 and "" not in confusions[0]
    options = {"metric": metric, "unit": unit_name(system.any_record)}
    difference_band = None
    if is_compared and resampled:
        difference_band = difference_over_runs(confusions, base.confusions, **options)
    return Row(
        system=system,
        score=float(np.mean(scores)),
        deviation=float(np.std(scores, ddof=1)) if len(scores) > 1 else None,
        band=interval_over_runs(confusions, **options) if resampled else None,
        difference=float(np.mean(scores) - np.mean(base.scores(metric))) if is_compared else None,
        difference_band=difference_band,
    )


def protocol_in_short(stamp: Mapping[str, Any]) -> str:
    """How a result was won, in a few words; what is not named was not done.

    Example
    -------
    >>> protocol_in_short({"protocol": "strict", "refit_on_train_and_valid": True, "normalise": "speaker",
    ...                    "speaker_statistics_over": "all utterances of a speaker"})
    'strict + refit, speaker-normalised, statistics over test speakers'
    >>> protocol_in_short({"protocol": "strict", "checkpoint_chosen_on": "validation macro_f1",
    ...                    "speaker_statistics_over": "nothing"})
    'strict, chosen by macro F1'
    >>> protocol_in_short({"protocol": "strict", "validated_on": "the other speaker of the tested session",
    ...                    "speaker_statistics_over": "nothing"})
    'strict, validated on the other speaker of the tested session'
    """
    over = stamp.get("speaker_statistics_over", "not stated")
    score = str(stamp.get("checkpoint_chosen_on")).removeprefix("validation ")
    words = [
        f"{stamp['protocol']}{' + refit' if stamp.get('refit_on_train_and_valid') else ''}",
        f"chosen by {HEADINGS[score]}" if score in HEADINGS and score != "uar" else "",
        f"validated on {stamp['validated_on']}" if "validated_on" in stamp else "",
        f"weights: {stamp['weights_chosen_on']}" if "weights_chosen_on" in stamp else "",
        peeked_mark(stamp),
        "speaker-normalised" if stamp.get("normalise") == "speaker" else "",
        {"nothing": "", "not stated": "speaker statistics not stated"}.get(over, "statistics over test speakers"),
    ]
    return ", ".join(filter(None, words))


def markdown_comparison(table: Table | None) -> str:
    """The table as Markdown: what was tested, a row a system, how to read it, and the commands, folded.

    None, a table without records, is the line "No results yet.".
    """
    if table is None:
        return f"{NO_RESULTS}\n"
    head, *rows = table_cells(table)
    rows = [["`" + name.replace("`", "'") + "`", *cells] for name, *cells in rows]
    tested, legend = inert(what_was_tested(table.test)), legend_of(table)
    blocks = [tested, piped([head, *rows], num_texts=3), legend, _commands(table)]
    return "\n\n".join(blocks) + "\n"


def what_was_tested(record: Record) -> str:
    """What was tested: corpus, counts, classes."""
    speakers = [name for name in record["confusion_by_speaker"] if name]
    known = f"{len(speakers)} speakers" if "" not in record["confusion_by_speaker"] else "speakers unknown"
    num_folds, scheme = len(record["folds"]), record["stamp"].get("scheme")
    parts = [f"{record['num_utterances']} test utterances", known, f"{num_folds} fold{'s' if num_folds > 1 else ''}"]
    parts[2:] = ["official split"] if scheme == "official" else parts[2:]
    return f"{corpus_title(record)}: {', '.join(parts)}; {', '.join(record['labels'])}."


def table_cells(table: Table) -> list[list[str]]:
    """The comparison as texts: headings, then a row a system; the first three columns are no numbers."""
    others = [metric for metric in METRICS if metric != table.metric]
    head = ["system", "seeds", "protocol", HEADINGS[table.metric], "± sd", "95 % interval"]
    head += [HEADINGS[metric] for metric in others]
    if table.base:
        head += ["against the first row"]
    return [head, *(_row_cells(row, others, bool(table.base)) for row in table.rows)]


def _row_cells(row: Row, others: Sequence[str], has_base: bool) -> list[str]:
    system = row.system
    cells = [
        system.name,
        ", ".join(map(str, system.runs)),
        protocol_in_short(system.any_record["stamp"]),
        rounded(row.score),
        rounded(row.deviation),
        _span(row.band),
        *(rounded(float(np.mean(system.scores(metric)))) for metric in others),
    ]
    if has_base:
        band = f" ({_span(row.difference_band, signed)})" if row.difference_band else ""
        cells += ["-" if row.difference is None else signed(row.difference) + band]
    return cells


def _span(band: Band | None, form: Callable[[float], str] = rounded) -> str:
    return "-" if band is None else f"{form(band['low'])} to {form(band['high'])}"


def signed(value: float) -> str:
    """With its sign, and no sign where it rounds to nothing."""
    text = f"{value:+.3f}"
    return "0.000" if float(text) == 0 else text.replace("-", "−")


def legend_of(table: Table) -> str:
    """How to read the table, in the words of the methods that were used."""
    words = [
        "Scores are pooled over the test utterances of all folds, then averaged over seeds; "
        "± sd is the deviation over seeds (n - 1)."
    ]
    methods = [row.band["method"] for row in table.rows if row.band]
    methods += [row.difference_band["method"] for row in table.rows if row.difference_band]
    if methods:
        words.append(f"Intervals: {'; '.join(dict.fromkeys(methods))}.")
    else:
        words.append("No interval: it needs two speakers or more, all known.")
    if any(_peeked(row.system) for row in table.rows):
        words.append("What is marked ORACLE or INFLATED is no result: it stands last and is compared with nothing.")
    return " ".join(words)


def _commands(table: Table) -> str:
    lines = "\n".join(command_line(row.system) for row in table.rows)
    fence = "```"
    while fence in lines:  # which would end the block
        fence += "`"
    return f"<details><summary>Commands</summary>\n\n{fence}sh\n{lines}\n{fence}\n\n</details>"
