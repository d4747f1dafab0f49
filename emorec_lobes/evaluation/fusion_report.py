"""What a fusion leaves: predictions.csv, results.json, results.md and figures, each saying what chose the weights."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from emorec_lobes.errors import ConfigError
from emorec_lobes.evaluation.calibration import Reliability, reliability
from emorec_lobes.evaluation.figures import confusion_figure
from emorec_lobes.evaluation.figures_fusion import reliability_figure, share_figure
from emorec_lobes.evaluation.fusion import METHODS, Fused
from emorec_lobes.evaluation.fusion_inputs import Aligned, Source
from emorec_lobes.evaluation.fusion_weights import uar_over_share
from emorec_lobes.evaluation.metrics import scores
from emorec_lobes.evaluation.predictions import as_csv
from emorec_lobes.evaluation.report import Record, corpus_title, markdown_table, piped, results_record, rounded
from emorec_lobes.evaluation.runs import difference_over_runs
from emorec_lobes.files import as_json, read_json, write_together

_NUM_LISTED = 20
_FUSED = "(fused)"  # beside the names of the inputs
_SPLITS = {"valid": "validation", "test": "test"}


def check_place(folder: Path) -> None:
    """Refuses a folder that holds results of anything but a fusion, with a `ConfigError`."""
    record = Path(folder) / "results.json"
    is_fusion = record.is_file() and "fusion" in read_json(record, "emorec fuse")
    held = [name for name in ("results.json", "predictions.csv") if (Path(folder) / name).exists()]
    if held and not is_fusion:
        raise ConfigError(f"{folder} must be new or hold a fusion, but holds another {held[0]}. Choose another folder.")


def fusion_record(inputs: Aligned, fused: Fused, sources: Sequence[Source], method: str) -> dict[str, Any]:
    """The content of results.json: that of any result, and `fusion`, with what the stamp says in a few words in full.

    Arguments
    ---------
    inputs : Aligned
    fused : Fused
        What `fusion.fuse` made of them.
    sources : sequence of Source
        Where they come from.
    method : str
        How they were fused.

    Returns
    -------
    dict
    """
    digest = hashlib.sha256("".join(source.sha256 for source in sources).encode()).hexdigest()[:12]
    config = json.dumps([method, [asdict(fold) for fold in fused.folds]])
    fingerprint = {"config": hashlib.sha256(config.encode()).hexdigest()[:12], "data": digest}
    record = results_record(fused.predictions, _stamp(inputs, fused, sources, method), fingerprint)
    return record | {
        "fusion": {
            "method": method,
            "inputs": [asdict(source) | {"path": str(source.path), "stamp": dict(source.stamp)} for source in sources],
            "folds": [asdict(fold) for fold in fused.folds],
            "fallbacks": inputs.fallbacks,
            "calibration": {name: _errors(tables) for name, tables in _systems(inputs, fused).items()},
            "validation": _on_validation(inputs, fused),
            "beside": [_beside(inputs, fused, place) for place in range(len(sources))],
        }
    }


def _stamp(inputs: Aligned, fused: Fused, sources: Sequence[Source], method: str) -> dict[str, Any]:
    peeked = [source.name for source in sources if source.stamp.get("peeked")]
    has_peeked = method == "oracle" or bool(peeked)
    lacking = [row["split"] for row in inputs.fallbacks]
    rows = inputs.splits.tolist()
    return {
        "corpus": _stated(sources, "corpus") or _corpus_of(inputs.ids),
        "protocol": "peeked" if has_peeked else _stated(sources, "protocol") or "not stated",
        "num_folds": len(fused.folds),
        "method": method,
        "weights_chosen_on": METHODS[method],
        "peeked": has_peeked,
        **({"inputs_that_peeked": peeked} if peeked else {}),
        "calibration": "temperatures, on valid rows of each fold" if fused.folds[0].temperatures else "none",
        "weights": [f"fold {fold.fold}: {_spoken(fold.weights)}" for fold in fused.folds],
        "fallbacks": [f"{lacking.count(split)} of {rows.count(split)} {split} rows" for split in sorted(set(rows))],
        "inputs": [f"{source.name} (sha256 {source.sha256})" for source in sources],
    }


def _stated(sources: Sequence[Source], key: str) -> str | None:
    """What the runs say, all of them that say anything."""
    return ", ".join(sorted({str(source.stamp[key]) for source in sources if source.stamp.get(key)})) or None


def _corpus_of(ids: np.ndarray) -> str:
    """The prefix that ids of one corpus share."""
    prefixes = {each.partition("_")[0] for each in ids.tolist()}
    return prefixes.pop() if len(prefixes) == 1 else "unnamed corpus"


def _spoken(values: Sequence[float]) -> str:
    return " ".join(f"{value:.3f}" for value in values)


def _on_validation(inputs: Aligned, fused: Fused) -> dict[str, dict[str, float]]:
    """Each input and the fusion on the valid rows of all folds: what to choose inputs by; nothing without such rows."""
    systems = zip((*inputs.names, _FUSED), (*inputs.probabilities, fused.predictions.probabilities), strict=True)
    found = {}
    for name, probabilities in systems:
        rows = (inputs.splits == "valid") & ~np.isnan(probabilities[:, 0])
        if rows.any():
            whole = scores(inputs.targets[rows], probabilities[rows].argmax(axis=1), inputs.labels)
            found[name] = {key: whole[key] for key in ("num_utterances", "uar")}
    return found


def _beside(inputs: Aligned, fused: Fused, place: int) -> dict[str, Any]:
    """An input alone, and the fusion on the test rows that it has."""
    rows = inputs.present[place] & (inputs.splits == "test")
    alone = results_record(inputs.table(inputs.probabilities[place], rows), {}, {})
    together = results_record(inputs.table(fused.predictions.probabilities, rows), {}, {})
    speakers = alone["confusion_by_speaker"]
    resampled = len(speakers) > 1 and "" not in speakers
    sides = [[record["confusion_by_speaker"]] for record in (together, alone)]
    return {
        "input": inputs.names[place],
        **{name: alone[name] for name in ("num_utterances", "uar", "accuracy", "weighted_f1")},
        "fused_uar": together["uar"],
        "difference": together["uar"] - alone["uar"],
        "interval": difference_over_runs(*sides) if resampled else None,
    }


def _systems(inputs: Aligned, fused: Fused) -> dict[str, dict[str, tuple[np.ndarray, np.ndarray]]]:
    """System -> what its probabilities are -> those of its test rows, and the targets."""
    tested = inputs.splits == "test"
    systems = {}
    for place, name in enumerate(inputs.names):
        rows = tested & inputs.present[place]
        tables = {"as given": inputs.probabilities[place]}
        tables |= {"calibrated": fused.inputs[place]} if fused.folds[0].temperatures else {}
        systems[name] = {what: (table[rows], inputs.targets[rows]) for what, table in tables.items()}
    together = fused.predictions.probabilities[tested], inputs.targets[tested]
    return systems | {_FUSED: {"as given": together}}


def _bins(tables: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> dict[str, Reliability]:
    return {what: reliability(*table, adaptive=True) for what, table in tables.items()}


def _errors(tables: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> dict[str, dict[str, float]]:
    """Calibration errors by what the probabilities are, of bins of equal width and of equal counts."""
    return {
        what: {"ece": reliability(*table).ece, "adaptive_ece": reliability(*table, adaptive=True).ece}
        for what, table in tables.items()
    }


def markdown_fusion(record: Record) -> str:
    """The result as Markdown, for results.md and the terminal: as any result's, then what fusion adds."""
    fusion, blocks = record["fusion"], [markdown_table(record).rstrip()]
    if record["stamp"]["peeked"]:
        blocks.append("**Oracle: something here was chosen on the test rows. It is an upper bound, not a result.**")
    head = ["input", "utterances", "UAR", "accuracy", "weighted F1", "fused UAR on these", "fused less input"]
    blocks.append(piped([head, *map(_beside_cells, fusion["beside"])]))
    if fusion["validation"]:
        blocks.append(piped(_validation_rows(fusion)))
    blocks.append(piped(_fold_rows(fusion)))
    blocks.append(piped(_error_rows(fusion), num_texts=2))
    return "\n\n".join([*blocks, *_fallback_lines(record)]) + "\n"


def _beside_cells(row: Mapping[str, Any]) -> list[str]:
    band, difference = row["interval"], f"{row['difference']:+.3f}"
    difference += f" ({band['low']:+.3f} to {band['high']:+.3f})" if band else ""
    scores = [rounded(row[name]) for name in ("uar", "accuracy", "weighted_f1", "fused_uar")]
    return [row["input"], str(row["num_utterances"]), *scores, difference]


def _validation_rows(fusion: Mapping[str, Any]) -> list[list[str]]:
    heard = ", which chose the weights" if fusion["method"] in ("stacking", "grid", "product") else ""
    rows = [[name, str(each["num_utterances"]), rounded(each["uar"])] for name, each in fusion["validation"].items()]
    return [[f"on valid rows{heard}", "utterances", "UAR"], *rows]


def _fold_rows(fusion: Mapping[str, Any]) -> list[list[str]]:
    names = [source["name"] for source in fusion["inputs"]]
    what = "exponent" if fusion["method"] in ("stacking", "product") else "weight"
    columns = {"weights": what, "temperatures": "temperature"}
    shown = {key: word for key, word in columns.items() if fusion["folds"][0][key]}
    head = ["fold", "valid rows", *(f"{word} of {name}" for word in shown.values() for name in names)]
    rows = [
        [fold["fold"], str(fold["num_valid"]), *(rounded(value) for key in shown for value in fold[key])]
        for fold in fusion["folds"]
    ]
    return [head, *rows]


def _error_rows(fusion: Mapping[str, Any]) -> list[list[str]]:
    rows = [
        [name, what, rounded(errors["ece"]), rounded(errors["adaptive_ece"])]
        for name, each in fusion["calibration"].items()
        for what, errors in each.items()
    ]
    return [["calibration on the test", "probabilities", "ECE, equal width", "ECE, equal counts"], *rows]


def _fallback_lines(record: Record) -> list[str]:
    held = record["fusion"]["fallbacks"]
    if not held:
        return ["Every input has every row."]
    shown = [f"- {row['id']}, fold {row['fold']} ({row['split']}): {', '.join(row['missing'])}" for row in held]
    rest = [f"- {len(held) - _NUM_LISTED} more: see results.json"] if len(held) > _NUM_LISTED else []
    count = " and ".join(record["stamp"]["fallbacks"])
    return [
        f"An input lacks {count}, which fall back to the others. What lacks them:",
        "\n".join([*shown[:_NUM_LISTED], *rest]),
    ]


def write_fusion(folder: Path, record: Record, inputs: Aligned, fused: Fused) -> None:
    """Writes the figures, then predictions.csv, results.md and results.json together."""
    folder, method = Path(folder), record["fusion"]["method"]
    title, figures = f"{corpus_title(record)}: {method}", folder / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    confusion_figure(record, figures / "confusion.png")
    share_figure(_curves(inputs, fused), figures / "uar_over_weight.png", title, _shares(inputs.names, record))
    bins = {name: _bins(tables) for name, tables in _systems(inputs, fused).items()}
    reliability_figure(bins, figures / "reliability.png", f"{title}, test rows")
    write_together(
        {
            folder / "predictions.csv": as_csv(fused.predictions),
            folder / "results.md": markdown_fusion(record),
            folder / "results.json": as_json(record),
        }
    )


def _curves(inputs: Aligned, fused: Fused) -> dict[str, dict[str, tuple[np.ndarray, np.ndarray]]]:
    """Over rows that all inputs have; of two inputs the second one's curve is the first one's mirrored."""
    names = inputs.names[:1] if len(inputs.names) == 2 else inputs.names
    complete = inputs.present.all(axis=0)
    parts = {word: complete & (inputs.splits == split) for split, word in _SPLITS.items()}
    return {
        name: {
            word: uar_over_share(fused.inputs[:, rows], inputs.targets[rows], place)
            for word, rows in parts.items()
            if rows.any()
        }
        for place, name in enumerate(names)
    }


def _shares(names: Sequence[str], record: Record) -> dict[str, list[float]]:
    """What each input had of the weights in each fold; exponents are no shares."""
    if record["fusion"]["method"] in ("stacking", "product"):
        return {}
    weights = np.array([fold["weights"] for fold in record["fusion"]["folds"]])
    shares = weights / weights.sum(axis=1, keepdims=True)
    return {name: shares[:, place].tolist() for place, name in enumerate(names)}
