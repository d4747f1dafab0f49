"""What the raters of a test say, in words and rows, for whatever shows it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from emorec_lobes.evaluation.metrics import HEADINGS, rounded
from emorec_lobes.evaluation.rater_scores import RATED_METRICS
from emorec_lobes.evaluation.raters import LEVELS

NO_CEILING = "No human ceiling: no utterance was rated by two or more."
ONE_RATER = {"others": "one rater, against the others' majority", "published": "one rater, against the label"}
CAVEATS = (
    "One more person would score between the first two rows: in the first, the human ceiling here, the majority is of "
    "one rater fewer than the label's, a tie being split evenly; in the second, a rater's own vote is part of the "
    "label. An emotion outside of the classes is wrong as an answer, and is not asked for."
)


def rater_blocks(found: Mapping[str, Any], render: Callable[[Sequence[Sequence[str]]], str]) -> list[str]:
    """The paragraphs and tables of a record's section `raters`."""
    blocks = [who_rated(found)]
    if found["one_rater"] is None:
        blocks.append(NO_CEILING)
    else:
        system = {"this system, against the label": found["one_rater"]["system"]}
        blocks += [render([ceiling_head(), *ceiling_rows(found, system)]), CAVEATS]
        blocks.append(render([_LEVELS_HEAD, *map(_level_row, found["by_agreement"])]))
    return [*blocks, *([soft_sentence(found["soft"])] if found["soft"] else [])]


def who_rated(found: Mapping[str, Any]) -> str:
    """How many ratings there are, and how far they agree.

    Example
    -------
    >>> who_rated({"num_utterances": 9, "ratings_per_utterance": 3.0, "outside": 0.125, "alpha": None})
    'Raters: 9 test utterances, 3.0 ratings each, of which 12.5 % name none of the classes.'
    """
    alpha = "" if found["alpha"] is None else f" Agreement: Krippendorff's alpha {rounded(found['alpha'])}."
    return (
        f"Raters: {found['num_utterances']} test utterances, {found['ratings_per_utterance']:.1f} ratings each, "
        f"of which {100 * found['outside']:.1f} % name none of the classes.{alpha}"
    )


def soft_sentence(soft: Mapping[str, Any]) -> str:
    """How far a system's probabilities are from the raters' votes."""
    return (
        f"Against the raters' votes as a distribution over the classes ({soft['num_utterances']} utterances): "
        f"cross-entropy {rounded(soft['cross_entropy'])} nats, {rounded(soft['entropy'])} being the least there can "
        f"be; Jensen-Shannon distance {rounded(soft['jensen_shannon'])} (base 2)."
    )


def ceiling_head() -> list[str]:
    """The headings above `ceiling_rows`."""
    return [
        "who answers",
        "utterances",
        *(text for name in RATED_METRICS for text in (HEADINGS[name], "95 % interval")),
    ]


def ceiling_rows(found: Mapping[str, Any], systems: Mapping[str, Mapping[str, Any] | None]) -> list[list[str]]:
    """One rater's scores, and those of systems on the same utterances."""
    scored = {ONE_RATER[name]: found["one_rater"][name] for name in ONE_RATER} | dict(systems)
    return [_ceiling_row(name, each) for name, each in scored.items() if each is not None]


def _ceiling_row(name: str, scored: Mapping[str, Any]) -> list[str]:
    bands = scored["intervals"]
    cells = [(rounded(scored[each]), _span(bands.get(each))) for each in RATED_METRICS]
    return [name, str(scored["num_utterances"]), *(cell for pair in cells for cell in pair)]


def _span(band: Mapping[str, float] | None) -> str:
    return "-" if band is None else f"{rounded(band['low'])} to {rounded(band['high'])}"


_LEVELS_HEAD = ["agreement of the raters", "utterances", "accuracy", "UAR", "accuracy of one rater"]


def _level_row(row: Mapping[str, Any]) -> list[str]:
    values = (*(row[name] for name in RATED_METRICS), row["one_rater"])
    return [level_name(row), str(row["num_utterances"]), *map(rounded, values)]


def level_name(row: Mapping[str, Any]) -> str:
    """A level of agreement with what it means."""
    return f"{row['level']}: {LEVELS[row['level']]}"
