"""The table of a probe record."""

from collections.abc import Mapping
from typing import Any

from emorec_lobes.evaluation.report import corpus_title, piped, rounded

LIMITS = (
    "The network was trained on all utterances of the training speakers, held-out ones too: read rows against one "
    "another, not as what new utterances would give. A probe at chance shows that this probe found nothing. Intervals "
    "(exact binomial) take utterances for independent draws: they hold for these speakers and this split."
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
