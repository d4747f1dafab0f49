"""A comparison of two systems as a reader wants it: a sentence, a small table, and what lies behind them."""

from collections.abc import Mapping
from typing import Any

from emorec_lobes.evaluation.comparison import signed
from emorec_lobes.evaluation.metrics import METRICS
from emorec_lobes.evaluation.report import HEADINGS, piped, rounded

Record = Mapping[str, Any]


def verdict(record: Record) -> str:
    """Who is ahead, by how much, and whether that is beyond doubt.

    Example
    -------
    >>> band = {"difference": {"low": -0.004, "high": 0.049}}
    >>> verdict({"metric": "uar", "level": 0.95, "num_speakers": 10, "num_utterances": 400,
    ...          "scores": {"uar": {"difference": 0.021, "over_speakers": band, "over_utterances": band}}})
    'B is ahead of A by 2.1 points UAR (95 % interval -0.4 to 4.9 over 10 speakers): not beyond doubt.'
    """
    scored = record["scores"][record["metric"]]
    by_speaker = scored["over_speakers"] is not None
    band = scored["over_speakers" if by_speaker else "over_utterances"]["difference"]
    units = f"{record['num_speakers']} speakers" if by_speaker else f"{record['num_utterances']} utterances"
    points, low, high = (100 * number for number in (scored["difference"], band["low"], band["high"]))
    ahead, behind = ("B", "A") if points >= 0 else ("A", "B")
    if points < 0:
        points, low, high = -points, -high, -low
    span = f"({100 * record['level']:g} % interval {_points(low)} to {_points(high)} over {units})"
    if points == 0:
        return f"B and A score alike in {HEADINGS[record['metric']]} {span}."
    sure = "beyond doubt at that level" if low > 0 else "not beyond doubt"
    return f"{ahead} is ahead of {behind} by {_points(points)} points {HEADINGS[record['metric']]} {span}: {sure}."


def markdown_pair(record: Record) -> str:
    """The whole comparison as Markdown."""
    which = [f"- {side.upper()}: {', '.join(record['files'][side])}" for side in ("a", "b")]
    blocks = [verdict(record), *_peeked(record), "\n".join(which), piped(_cells(record), num_texts=1)]
    blocks.append(" ".join(_words(record)))
    return "\n\n".join(blocks) + "\n"


def _peeked(record: Record) -> list[str]:
    """What is said of a side that is no result."""
    return [
        f"{side.upper()} is {', '.join(found)}: no result, and no fair comparison."
        for side, found in record.get("peeked", {}).items()
        if found
    ]


def _cells(record: Record) -> list[list[str]]:
    level = f"{100 * record['level']:g} %"
    head = ["score", "A", "B", "B − A", f"{level} over speakers", f"{level} over utterances"]
    rows = []
    for metric in METRICS:
        scored = record["scores"][metric]
        row = [HEADINGS[metric], rounded(scored["a"]), rounded(scored["b"]), signed(scored["difference"])]
        for over in ("over_speakers", "over_utterances"):
            band = scored[over] and scored[over]["difference"]
            row += [f"{signed(band['low'])} to {signed(band['high'])}" if band else "-"]
        rows.append(row)
    return [head, *rows]


def _words(record: Record) -> list[str]:
    number = record["num_utterances"]
    words = [f"{number} utterances; {', '.join(record['labels'])}."]
    for side, lost in record["left_out"].items():
        words += [f"{lost} ids of {side.upper()} are left out, which another file lacks."] if lost else []
    if record["num_speakers"] is None:
        words.append("Speakers are not all known, so that nothing can be said about other speakers.")
    elif record["num_speakers"] < 2:
        words.append("There is one speaker, so that nothing can be said about others.")
    words.append(
        "An interval over speakers is about other speakers like these; one over utterances only about "
        "more utterances as if each were independent, and mostly too narrow for anything else."
    )
    return [*words, *_tests(record), f"Intervals: {record['method']}, {record['num_resamples']} resamples."]


def _tests(record: Record) -> list[str]:
    test = record["mcnemar"]
    if test is None:
        seeds = record["num_seeds"]
        return [
            f"Scores are means over seeds ({seeds['a']} of A, {seeds['b']} of B), which the intervals draw upon too; "
            "McNemar's test compares single runs, and is left out."
        ]
    return [
        f"A alone is right {test['only_a_right']} times, B alone {test['only_b_right']} times: McNemar's exact test of "
        f"the accuracy, which takes utterances as independent, has p = {test['p']:.2g}."
    ]


def _points(value: float) -> str:
    text = f"{value:.1f}"
    return "0.0" if text == "-0.0" else text
