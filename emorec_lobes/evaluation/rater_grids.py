"""Systems beside the raters of their test, as tables; made of the records' sections `raters`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from emorec_lobes.evaluation.evidence import Evidence
from emorec_lobes.evaluation.grids import Grid
from emorec_lobes.evaluation.rater_scores import RATED_METRICS
from emorec_lobes.evaluation.raters_report import ceiling_head, ceiling_rows, level_name
from emorec_lobes.evaluation.report import rounded
from emorec_lobes.evaluation.slices import FEW


@dataclass(frozen=True)
class Rated:
    """What records of one test say of its raters; each system's numbers are means over its seeds."""

    found: Mapping[str, Any]  # of one record: what does not depend on the system is the same in all
    systems: Mapping[str, Sequence[Mapping[str, Any]]]  # name -> the sections `raters` of its seeds

    @property
    def levels(self) -> Sequence[Mapping[str, Any]]:
        """The levels of agreement that there are."""
        return self.found["by_agreement"]

    @property
    def accuracies(self) -> dict[str, list[float]]:
        """Each system's accuracy by level."""
        return {name: _means_by_level(seeds) for name, seeds in self.systems.items()}


def read_rated(evidence: Sequence[Evidence]) -> Rated | None:
    """The systems whose records, of all seeds, have a section `raters`; None where none has."""
    sections = {each.system.name: [run.get("raters") for run in each.system.runs.values()] for each in evidence}
    systems = {name: seeds for name, seeds in sections.items() if all(seeds)}
    return Rated(next(iter(systems.values()))[0], systems) if systems else None


def rater_grids(rated: Rated) -> list[Grid]:
    """The ceiling, the levels of agreement and the distances from the raters' votes, as far as there are such."""
    grids = []
    if rated.found["one_rater"] is not None:
        grids += [_ceiling_grid(rated), _levels_grid(rated)]
    return [*grids, *([_soft_grid(rated)] if rated.found["soft"] else [])]


def _ceiling_grid(rated: Rated) -> Grid:
    systems = {name: _mean_over_seeds([seed["one_rater"]["system"] for seed in seeds])
               for name, seeds in rated.systems.items()}  # fmt: skip
    rows = ceiling_rows(rated.found, systems)
    return Grid("Human ceiling, on the utterances of two raters or more", ceiling_head(), rows)


def _mean_over_seeds(scored: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    means = {name: _mean([each[name] for each in scored]) for name in RATED_METRICS}
    # The interval of one seed is none of their mean.
    bands = scored[0]["intervals"] if len(scored) == 1 else {}
    return {"num_utterances": scored[0]["num_utterances"], **means, "intervals": bands}


def _levels_grid(rated: Rated) -> Grid:
    columns = list(rated.accuracies.values())
    rows, shares = [], {}
    for place, level in enumerate(rated.levels):
        values = [level["one_rater"], *(column[place] for column in columns)]
        shares |= {(place, 2 + number): value for number, value in enumerate(values) if value is not None}
        size = f"{level['num_utterances']}{' (few)' if level['num_utterances'] < FEW else ''}"
        rows.append([level_name(level), size, *map(rounded, values)])
    head = ["agreement of the raters", "n", "one rater", *rated.systems]
    return Grid("Accuracy by agreement of the raters, mean over seeds", head, rows, shares=shares)


def _means_by_level(seeds: Sequence[Mapping[str, Any]]) -> list[float]:
    levels = zip(*(seed["by_agreement"] for seed in seeds), strict=True)
    return [_mean([row["accuracy"] for row in rows]) for rows in levels]


def _soft_grid(rated: Rated) -> Grid:
    rows = []
    for name, seeds in rated.systems.items():
        soft = [seed["soft"] for seed in seeds]
        means = [_mean([each[key] for each in soft]) for key in ("cross_entropy", "entropy", "jensen_shannon")]
        rows.append([name, str(soft[0]["num_utterances"]), *map(rounded, means)])
    head = ["system", "n", "cross-entropy, nats", "the least there can be", "Jensen-Shannon distance, base 2"]
    return Grid("Distance from the raters' votes, mean over seeds", head, rows)


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))
