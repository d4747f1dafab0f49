"""The table of a speaker recipe, made of nothing but its record."""

from collections.abc import Mapping
from typing import Any

from emorec_lobes.evaluation.report import piped, rounded

_SYSTEMS = {
    "trained": "embedding, cosine",
    "untrained": "the same network untrained",
    "mean filter bank": "mean filter bank, cosine",
}


def speaker_table(record: Mapping[str, Any]) -> str:
    """Identification, verification and the protocol as Markdown."""
    stamp = record["stamp"]
    blocks = [f"### Speakers of {stamp['corpus']}", piped(_identification_rows(record))]
    found = record["verification"]
    if found is not None:
        blocks += [
            piped(_verification_rows(found)),
            f"{found['num_trials']:,} trials ({stamp['trials']}), {found['num_targets']:,} of one speaker, "
            f"{found['num_speakers']} speakers. 95 % intervals: {found['method']}.",
        ]
    blocks.append("; ".join(f"{key.replace('_', ' ')} = {_plain(value)}" for key, value in stamp.items()))
    return "\n\n".join(blocks)


def _identification_rows(record: Mapping[str, Any]) -> list[list[str]]:
    rows = [["identification", "utterances", "accuracy", "chance"]]
    for name, part in record["identification"].items():
        rows.append([name, str(part["num_utterances"]), rounded(part["accuracy"]), f"{part['chance']:.4f}"])
    return rows


def _verification_rows(found: Mapping[str, Any]) -> list[list[str]]:
    rows = [["verification", "EER %", "95 % interval", "above the embedding, points"]]
    for name, system in found["systems"].items():
        above = system.get("above_first")
        cell = "" if above is None else f"{100 * above['eer']:.1f} ({_ends(above['interval'])})"
        rows.append([_SYSTEMS[name], f"{100 * system['eer']:.1f}", _ends(system["interval"]), cell])
    return rows


def _ends(band: Mapping[str, float] | None) -> str:
    return "-" if band is None else f"{100 * band['low']:.1f} to {100 * band['high']:.1f}"


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(value) or "none"
    return "none" if value is None else str(value)
