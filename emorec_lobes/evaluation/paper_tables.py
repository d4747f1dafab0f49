"""The tables of a paper: what is printed there, and beneath each row of its own what our runs of it gave."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from emorec_lobes.evaluation.report import HEADINGS, aligned, piped, rounded

MISSING = "-"
PAPER, QUOTED = "paper", "quoted there"
_NUM_TEXTS = 2  # the row's name, and where its numbers come from


@dataclass(frozen=True)
class Column:
    """A column of scores: of one fold, their mean, or mean and deviation."""

    name: str  # what the paper calls the score
    score: str  # what it is, a key of `HEADINGS`
    fold: str | None = None
    deviation: bool = False

    @property
    def heading(self) -> str:
        """Both names of the score, where the column's own name does not say that it is of a fold."""
        if self.fold is not None:
            return f"fold {self.fold}"
        return f"{self.name} = {HEADINGS[self.score]}{', mean ± sd' if self.deviation else ''}"


@dataclass(frozen=True)
class PaperRow:
    """A row as it is printed."""

    name: str
    paper: tuple[str, ...]  # cell by cell
    run: str | None  # what makes it here; None of another work, which the paper quotes


@dataclass(frozen=True)
class PaperTable:
    """A table of a paper."""

    name: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[PaperRow, ...]
    note: str | None = None


@dataclass(frozen=True)
class Made:
    """What a run gave under one seed."""

    folds: Mapping[str, Mapping[str, float]]  # fold -> score -> value
    whole: Mapping[str, Any] | None  # scores of all folds' answers pooled; None while a fold is missing


@dataclass(frozen=True)
class Ours:
    """All that was run."""

    word: str  # what our rows are called
    warning: str  # what has to be known of them; empty if nothing
    num_seeds: int
    made: Mapping[str, Sequence[Made]]  # run -> what each seed gave that gave anything


def paper_text(title: str, tables: Sequence[PaperTable], ours: Ours, decimals: int, plain: bool = False) -> str:
    """A paper's tables, each row of its own with ours beneath it, then ours pooled.

    Our cells are means over folds, as the paper's are, and first over seeds; ± is the deviation over folds (n - 1). A
    fold's cell has the seeds that have finished it, a mean those that have finished all folds.

    Arguments
    ---------
    title : str
        The paper's.
    tables : sequence of PaperTable
    ours : Ours
    decimals : int
        Of the percentages, as the paper has them.
    plain : bool
        Aligned text in place of Markdown.

    Returns
    -------
    str
    """
    render: Callable[..., str] = _aligned if plain else piped
    mark = "" if plain else "### "
    blocks = [f"{'' if plain else '## '}{title}", _legend(ours)]
    for table in tables:
        blocks.append(f"{mark}{table.name}: {table.caption}")
        blocks.append(render(_rows(table, ours, decimals), _NUM_TEXTS))
        names = {f"{column.name} is {HEADINGS[column.score]}" for column in table.columns}
        blocks.append(f"In percent; the paper's {', its '.join(sorted(names))}. {table.note or ''}".rstrip())
    if any(seed.whole for seeds in ours.made.values() for seed in seeds):
        blocks += [f"{mark}Our runs, all folds' answers pooled ({ours.word})", render(_pooled_rows(ours), 1)]
    return "\n\n".join(blocks) + "\n"


def _rows(table: PaperTable, ours: Ours, decimals: int) -> list[list[str]]:
    rows = [["row", "from", *(column.heading for column in table.columns)]]
    for row in table.rows:
        rows.append([row.name, QUOTED if row.run is None else PAPER, *row.paper])
        if row.run is not None:
            seeds = ours.made.get(row.run, ())
            rows.append([row.name, _source(ours, seeds), *(_cell(column, seeds, decimals) for column in table.columns)])
    return rows


def _source(ours: Ours, seeds: Sequence[Made]) -> str:
    """Our word, with how many seeds there are where these are not one."""
    num_whole = sum(seed.whole is not None for seed in seeds)
    return ours.word if ours.num_seeds == 1 else f"{ours.word}, {num_whole} of {ours.num_seeds} seeds"


def _cell(column: Column, seeds: Sequence[Made], decimals: int) -> str:
    if column.fold is not None:
        found = [seed.folds[column.fold][column.score] for seed in seeds if column.fold in seed.folds]
        return f"{100 * np.mean(found):.{decimals}f}" if found else MISSING
    whole = [[values[column.score] for values in seed.folds.values()] for seed in seeds if seed.whole is not None]
    if not whole:
        return MISSING
    folds = 100 * np.mean(whole, axis=0)
    mean = f"{folds.mean():.{decimals}f}"
    return f"{mean} ± {folds.std(ddof=1):.{decimals}f}" if column.deviation and len(folds) > 1 else mean


def _pooled_rows(ours: Ours) -> list[list[str]]:
    rows = [["run", "seeds", *HEADINGS.values()]]
    for name, seeds in ours.made.items():
        whole = [seed.whole for seed in seeds if seed.whole]
        if whole:
            means = (rounded(float(np.mean([each[score] for each in whole]))) for score in HEADINGS)
            rows.append([name, str(len(whole)), *means])
    return rows


def _legend(ours: Ours) -> str:
    return (
        f'"{PAPER}" is what the paper prints of its own systems, "{QUOTED}" what it prints of other works, which may '
        f'name their scores the other way round or test on other utterances. "{ours.word}" is what these runs gave: '
        f"means over folds and over {ours.num_seeds} {'seed' if ours.num_seeds == 1 else 'seeds'}, ± the deviation "
        f'over folds (n - 1); "{MISSING}" is not there. {ours.warning}'
    ).rstrip()


def _aligned(rows: Sequence[Sequence[str]], num_texts: int) -> str:
    """`aligned` with several columns of text, which goes to the left."""
    widths = [max(len(row[place]) for row in rows) for place in range(num_texts)]
    texts = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)) for row in rows]
    return aligned([[text, *row[num_texts:]] for text, row in zip(texts, rows, strict=True)])
