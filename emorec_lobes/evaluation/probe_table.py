"""The table of a probe record."""

from collections.abc import Mapping, Sequence
from typing import Any

from emorec_lobes.errors import DataError
from emorec_lobes.evaluation.report import corpus_title, piped, rounded

LIMITS = (
    "The network was trained on all utterances of the training speakers, held-out ones too: read rows against one "
    "another, not as what new utterances would give. A probe at chance shows that this probe found nothing. Intervals "
    "(exact binomial) take utterances for independent draws: they hold for these speakers and this split."
)
# What stands beside one another where several networks are compared: asked for, probe, of which utterances.
_COLUMNS = (
    ("speaker", "network", "held out"),
    ("speaker", "linear", "held out"),
    ("emotion", "linear", "held out"),
    ("emotion", "linear", "test"),
)
_HEADINGS = ("point", "asked for", "probe", "of", "utterances", "accuracy", "95 % interval", "1 / n", "majority")


def markdown_probes(record: Mapping[str, Any]) -> str:
    """A probe record as Markdown: a row a probe and side, chance beside it, and what it does not say."""
    rows = [list(_HEADINGS)]
    for row in record["probes"]:
        band = row["interval"]
        rows.append(
            [
                *(row[key] for key in ("point", "asked_for", "probe", "utterances")),
                str(row["num_utterances"]),
                rounded(row["accuracy"]),
                f"{rounded(band['low'])} to {rounded(band['high'])}",
                rounded(row["uniform"]),
                rounded(row["majority"]),
            ]
        )
    left_out = f" {record['left_out']} training utterances without a speaker's second one are left out."
    title = f"### Probes: fold {record['fold']} of {record['run']}, {corpus_title(record)}"
    about = (
        f"{len(record['speakers'])} training speakers; {record['vectors']}. The probes learn from "
        f"{record['num_training']} utterances, {record['held_out_share']:.0%} of each speaker's are held out."
    )
    return "\n\n".join([title, about + (left_out if record["left_out"] else ""), piped(rows, 4), LIMITS]) + "\n"


def probes_side_by_side(records: Sequence[Mapping[str, Any]]) -> str:
    """Probe records of several networks as one Markdown table: a row a network and point.

    Raises
    ------
    DataError
        If they are not of the same utterances.
    """
    shared = {(record["fold"], record["stamp"]["corpus"], record["num_training"], record["seed"]) for record in records}
    if len(shared) != 1:
        raise DataError("Probe records must be of one fold of one corpus and one seed, but differ. Probe them alike.")
    rows = [["network", "point", *(f"{asked_for}, {probe}, {side}" for asked_for, probe, side in _COLUMNS)]]
    for record in records:
        found = {(row["point"], row["asked_for"], row["probe"], row["utterances"]): row for row in record["probes"]}
        for point in dict.fromkeys(row["point"] for row in record["probes"]):
            cells = [found[(point, *column)] for column in _COLUMNS]
            rows.append([f"`{record['run']}`", point, *map(_accuracy, cells)])
    first = records[0]
    chance = {row["asked_for"]: row["uniform"] for row in first["probes"]}
    about = (
        f"{corpus_title(first)}, fold {first['fold']}, {len(first['speakers'])} training speakers. Accuracy of a "
        f"probe with its 95 % interval; chance is {rounded(chance['speaker'])} for the speaker, "
        f"{rounded(chance['emotion'])} for the emotion. {LIMITS}"
    )
    return "\n\n".join([piped(rows, 2), about]) + "\n"


def _accuracy(row: Mapping[str, Any]) -> str:
    band = row["interval"]
    return f"{rounded(row['accuracy'])} ({rounded(band['low'])} to {rounded(band['high'])})"
