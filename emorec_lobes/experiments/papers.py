"""The files in papers/: a paper's tables, and the runs, probes and fusions that make its own rows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from emorec_lobes.errors import ConfigError, not_one_of
from emorec_lobes.evaluation.paper_tables import Column, PaperRow, PaperTable
from emorec_lobes.experiments.shipped import shipped_folder

PAPERS = ("makiuchi2021", "xi2022")
_REHEARSAL = "rehearsal"


@dataclass(frozen=True)
class PaperRun:
    """A call of a recipe."""

    recipe: str
    hparams: str
    overrides: Mapping[str, Any] = field(default_factory=dict)
    pretrained: str | None = None  # the pre-training that it starts from


@dataclass(frozen=True)
class PaperFusion:
    """Predictions of runs, added up with given weights."""

    of: tuple[str, ...]
    weights: tuple[float, ...]


@dataclass(frozen=True)
class Paper:
    """A paper: what makes the rows of its tables, by name, and the tables."""

    name: str
    title: str
    decimals: int
    pretrainings: Mapping[str, PaperRun]
    runs: Mapping[str, PaperRun]
    probes: Mapping[str, str]  # -> the run whose network is probed
    fusions: Mapping[str, PaperFusion]
    tables: tuple[PaperTable, ...]


@dataclass(frozen=True)
class Rehearsal:
    """What a rehearsal changes."""

    num_turns: int  # of a dialog of the synthetic corpus
    speaker_turns: int  # the same, of the voices that speakers are learnt from
    overrides: Mapping[str, Mapping[str, Any]]  # hyperparameter file -> its overrides
    encoders: Mapping[str, Mapping[str, Any]]  # hub id -> the configuration of its miniature


def read_paper(name: str) -> Paper:
    """A paper by its name.

    Raises
    ------
    ConfigError
        If there is no such paper.

    Example
    -------
    >>> [row.paper for row in read_paper("makiuchi2021").tables[2].rows]
    [('70.1',), ('50.4',)]
    """
    if name not in PAPERS:
        raise ConfigError(not_one_of("paper", name, PAPERS))
    held = _read(name)
    return Paper(
        name=name,
        title=held["title"],
        decimals=held["decimals"],
        pretrainings={key: PaperRun(**each) for key, each in held.get("pretrainings", {}).items()},
        runs={key: PaperRun(**each) for key, each in held["runs"].items()},
        probes=held.get("probes", {}),
        fusions={
            key: PaperFusion(tuple(each["of"]), tuple(each["weights"])) for key, each in held.get("fusions", {}).items()
        },
        tables=tuple(_table(each, held["metrics"]) for each in held["tables"]),
    )


def read_rehearsal() -> Rehearsal:
    """What `--corpus synthetic` changes.

    Example
    -------
    >>> read_rehearsal().overrides["ser_large"]["bottleneck_dim"]
    16
    """
    return Rehearsal(**_read(_REHEARSAL))


def _read(name: str) -> dict[str, Any]:
    path: Path = shipped_folder("papers") / f"{name}.yaml"
    return YAML(typ="safe").load(path.read_text(encoding="utf-8"))


def _table(held: Mapping[str, Any], metrics: Mapping[str, str]) -> PaperTable:
    columns = tuple(
        Column(
            each["name"],
            metrics[each["name"]],
            str(each["fold"]) if "fold" in each else None,
            each.get("deviation", False),
        )
        for each in held["columns"]
    )
    rows = tuple(
        PaperRow(row["name"], tuple(cell.strip() for cell in row["paper"].split("|")), row.get("run"))
        for row in held["rows"]
    )
    return PaperTable(held["name"], held["caption"], columns, rows, held.get("note"))
