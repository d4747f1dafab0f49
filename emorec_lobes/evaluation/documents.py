"""A report as Markdown, as a LaTeX table and as CSV."""

import csv
import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from emorec_lobes.evaluation.comparison import Row, Table, legend_of, markdown_comparison, protocol_in_short
from emorec_lobes.evaluation.evidence import Evidence
from emorec_lobes.evaluation.grids import Grid, comparison_grid, ece, recall_grid, recalls
from emorec_lobes.evaluation.metrics import METRICS
from emorec_lobes.evaluation.protocol_words import in_words
from emorec_lobes.evaluation.report import inert, piped

_TEX = {
    "\\": r"\textbackslash{}",
    **{sign: f"\\{sign}" for sign in "{}$&#_%"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "±": r"$\pm$",
    "−": "$-$",
    "-": "{-}",  # two of them would become a dash
    '"': r"\textquotedbl{}",
    "`": r"\textasciigrave{}",
    "'": r"\textquotesingle{}",
}


def as_markdown(table: Table, evidence: Sequence[Evidence], grids: Sequence[Grid], notes: Sequence[str]) -> str:
    """results.md: the comparison, then each of `grids` under its caption, then what is not there, and the protocols."""
    blocks = [f"# Results\n\n{markdown_comparison(table).rstrip()}"]
    for grid in grids:
        cells = [[inert(cell) for cell in row] for row in (grid.head, *grid.rows)]
        blocks += [f"## {inert(grid.caption)}", piped(cells, grid.num_texts)]
    if notes:
        blocks += ["## Not available", "\n".join(f"- {inert(note)}" for note in notes)]
    blocks.append("## Protocol")
    for each in evidence:
        sentences = " ".join(in_words(each.system.any_record["stamp"]))
        blocks.append(f"**{inert(each.system.name)}.** {inert(sentences)}")
    return "\n\n".join(blocks) + "\n"


def as_tex(table: Table, evidence: Sequence[Evidence]) -> str:
    """results.tex: the comparison and the recall of each class, for a document with the package booktabs."""
    blocks = ["% Needs \\usepackage{booktabs} and \\usepackage{textcomp}; generated, do not edit."]
    blocks += [_tabular(comparison_grid(table)), f"% {tex(legend_of(table))}", _tabular(recall_grid(evidence))]
    return "\n\n".join(blocks) + "\n"


def tex(text: str) -> str:
    """Text of a run as LaTeX that prints it and does nothing.

    Example
    -------
    >>> tex("ser_small --lr 50%")
    'ser\\\\_small {-}{-}lr 50\\\\%'
    """
    return " ".join("".join(_TEX.get(sign, sign) for sign in text).split())


def _tabular(grid: Grid) -> str:
    columns = "l" * grid.num_texts + "r" * (len(grid.head) - grid.num_texts)
    head, *rows = [" & ".join(map(tex, row)) + r" \\" for row in (grid.head, *grid.rows)]
    lines = [f"% {tex(grid.caption)}", rf"\begin{{tabular}}{{{columns}}}", r"\toprule", head, r"\midrule", *rows]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"])


def as_csv(table: Table, evidence: Sequence[Evidence]) -> str:
    """results.csv: a row a system, `seed` being "mean", with its seeds below it; numbers in full.

    `deviation`, `low` to `high` and `difference` are of the score that `score` names.
    """
    labels = table.test["labels"]
    head = ["system", "seed", "num_utterances", *METRICS, "ece", *(f"recall_{label}" for label in labels)]
    head += ["score", "deviation", "low", "high", "difference", "difference_low", "difference_high"]
    stream = io.StringIO()
    writer = csv.DictWriter(stream, [*head, "corpus", "protocol"], restval="", lineterminator="\n")
    writer.writeheader()
    for row, each in zip(table.rows, evidence, strict=True):
        for line in (_mean_line(table, row, each), *_seed_lines(each)):
            stamp = row.system.any_record["stamp"]
            line |= {"system": row.system.name, "corpus": stamp["corpus"], "protocol": protocol_in_short(stamp)}
            writer.writerow({key: _cell(value) for key, value in line.items()})
    return stream.getvalue()


def _mean_line(table: Table, row: Row, evidence: Evidence) -> dict[str, Any]:
    band, difference = row.band or {}, row.difference_band or {}
    return {
        "seed": "mean",
        "num_utterances": row.system.any_record["num_utterances"],
        **{metric: float(np.mean(row.system.scores(metric))) for metric in METRICS},
        "ece": float(np.mean([ece(tested) for tested in evidence.tested.values()])),
        **{f"recall_{label}": value for label, value in recalls(evidence).items()},
        "score": table.metric,
        "deviation": row.deviation,
        "low": band.get("low"),
        "high": band.get("high"),
        "difference": row.difference,
        "difference_low": difference.get("low"),
        "difference_high": difference.get("high"),
    }


def _seed_lines(evidence: Evidence) -> list[dict[str, Any]]:
    return [
        {
            "seed": seed,
            "num_utterances": record["num_utterances"],
            **{metric: record[metric] for metric in METRICS},
            "ece": ece(evidence.tested[seed]),
            **{f"recall_{label}": value for label, value in record["per_class_recall"].items()},
        }
        for seed, record in evidence.system.runs.items()
    ]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    # A spreadsheet would run text that begins like a formula.
    return f"'{value}" if isinstance(value, str) and value[:1] in tuple("=+-@\t\r") else str(value)
