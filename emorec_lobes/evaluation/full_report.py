"""A whole report of finished runs: results.md, results.tex, results.csv, and one page that needs nothing else."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from emorec_lobes.errors import ConfigError
from emorec_lobes.evaluation import html
from emorec_lobes.evaluation.comparison import Table, legend_of, what_was_tested
from emorec_lobes.evaluation.documents import as_csv, as_markdown, as_tex
from emorec_lobes.evaluation.evidence import Evidence
from emorec_lobes.evaluation.figures_report import agreement_svg, curves_svg, pooled_reliability, reliability_svg
from emorec_lobes.evaluation.grids import (
    Grid,
    calibration_grid,
    comparison_grid,
    confusion_grid,
    cut_grid,
    recall_grid,
    seed_grid,
    versions_grid,
)
from emorec_lobes.evaluation.protocol_words import in_words, remaining_entries
from emorec_lobes.evaluation.rater_grids import Rated, rater_grids, read_rated
from emorec_lobes.evaluation.raters_report import CAVEATS, NO_CEILING, who_rated
from emorec_lobes.evaluation.report import HEADINGS, corpus_title
from emorec_lobes.evaluation.slices import FEW, NUM_BINS, Cut, Facts, cuts
from emorec_lobes.evaluation.systems import command_line
from emorec_lobes.files import write_together

_LACKING = {
    "Speaker": "no speaker is known",
    "Session": "the manifest names no sessions",
    "Kind of speech": "the manifest does not say what is improvised and what is scripted",
    "Duration": "there is no manifest with durations",
    "Level": "needs the audio: name its folder with --data-folder",
}


def check_report_place(folder: Path) -> None:
    """Refuses a run's own folder, whose results.md would be lost, with a `ConfigError`."""
    if (Path(folder) / "results.json").exists():
        raise ConfigError(f"{folder} must be new or hold a report, but holds a run. Choose another folder.")


def write_report(table: Table, evidence: Sequence[Evidence], facts: Mapping[str, Facts], folder: Path) -> None:
    """Writes the four files, all or none; the same runs always give the same bytes.

    Arguments
    ---------
    table : Table
    evidence : sequence of Evidence
        Of its systems, in its order.
    facts : mapping
        Utterance -> what is known of it; what nobody knows is named as not available.
    folder : Path
        Made if missing.

    Raises
    ------
    ConfigError
        If the folder is a run's own.
    """
    check_report_place(folder)
    tested = next(iter(evidence[0].tested.values()))
    held = cuts(tested, facts)
    notes = [f"{cut.title}: {_LACKING[cut.title]}." for cut in held if not cut.parts]
    sliced = [cut_grid(cut, evidence, table.metric) for cut in held if cut.parts]
    rated = read_rated(evidence)
    rated_grids = rater_grids(rated) if rated else []
    if rated and rated.found["one_rater"] is None:
        notes.append(NO_CEILING)
    grids = [seed_grid(evidence), recall_grid(evidence), *map(confusion_grid_named, evidence), *sliced]
    contents = {
        "results.md": as_markdown(table, evidence, [*grids, calibration_grid(evidence), *rated_grids], notes),
        "results.tex": as_tex(table, evidence),
        "results.csv": as_csv(table, evidence),
        "index.html": as_html(table, evidence, held),
    }
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_together({folder / name: content for name, content in contents.items()})


def confusion_grid_named(evidence: Evidence) -> Grid:
    """The confusion matrix under its system's name, for where no heading says it."""
    grid = confusion_grid(evidence)
    return Grid(f"{evidence.system.name}: {grid.caption}", grid.head, grid.rows)


def as_html(table: Table, evidence: Sequence[Evidence], held: Sequence[Cut]) -> str:
    """The page: what all systems share first, side by side, then a part for each system."""
    title = f"Results: {corpus_title(table.test)}"
    rated = read_rated(evidence)
    sections = {
        "comparison": ("Comparison", _comparison(table, evidence)),
        "classes": ("Classes", [html.table(recall_grid(evidence))]),
        **{f"slice-{number}": (f"By {cut.title.lower()}", _slice(cut, evidence, table.metric))
           for number, cut in enumerate(held, start=1)},
        "calibration": ("Calibration", [html.table(calibration_grid(evidence)), html.paragraph(_CALIBRATION, "note")]),
        **({"raters": ("Raters", _raters(rated))} if rated else {}),
        **{f"system-{number}": (each.system.name, _system(each, table.metric))
           for number, each in enumerate(evidence, start=1)},
        "versions": ("Versions", [html.table(versions_grid(evidence))]),
    }  # fmt: skip
    body = [html.heading(1, title), html.paragraph(what_was_tested(table.test))]
    body.append(html.contents([(anchor, name) for anchor, (name, _) in sections.items()]))
    for anchor, (name, parts) in sections.items():
        body += ["<section>", html.heading(2, name, anchor), *parts, "</section>"]
    return html.page(title, body)


_CALIBRATION = (
    "ECE, the expected calibration error: the mean gap between how sure an answer is and how often such answers are "
    "right. Each system's own part shows the gap by confidence."
)


def _comparison(table: Table, evidence: Sequence[Evidence]) -> list[str]:
    return [
        html.table(comparison_grid(table)),
        html.paragraph(legend_of(table), "note"),
        html.table(seed_grid(evidence)),
    ]


def _slice(cut: Cut, evidence: Sequence[Evidence], metric: str) -> list[str]:
    if not cut.parts:
        return [html.paragraph(f"Not available: {_LACKING[cut.title]}.")]
    note = f"n: utterances, the same for every seed; of fewer than {FEW} a score says little."
    if metric in ("uar", "macro_f1"):
        note += " A class that a part does not have does not count in it, so parts with other classes do not compare."
    if cut.title in ("Duration", "Level"):
        note += f" Cut into {NUM_BINS} parts of like size."
    if cut.title == "Level":
        note += " Level: root mean square of the samples, in decibels of full scale."
    return [html.table(cut_grid(cut, evidence, metric)), html.paragraph(note, "note")]


def _raters(rated: Rated) -> list[str]:
    parts = [html.paragraph(who_rated(rated.found)), *map(html.table, rater_grids(rated))]
    if rated.found["one_rater"] is None:
        return [*parts, html.paragraph(NO_CEILING)]
    told = "; ".join(
        f"{name} " + ", ".join(f"{row['level']} {value:.2f}" for row, value in zip(rated.levels, values, strict=True))
        for name, values in rated.accuracies.items()
    )
    alt = f"Accuracy over the agreement of the raters, beside one rater and the human ceiling. {told}."
    caption = "Grey line and band: the human ceiling with its interval; squares: one rater at each level of agreement."
    return [*parts, html.paragraph(CAVEATS, "note"), html.figure(agreement_svg(rated), alt, caption)]


def _system(evidence: Evidence, metric: str) -> list[str]:
    stamp = evidence.system.any_record["stamp"]
    return [
        html.heading(3, "Confusion"),
        html.table(confusion_grid(evidence)),
        html.heading(3, "Reliability"),
        _reliability(evidence),
        html.heading(3, "Learning curves"),
        _curves(evidence, metric),
        html.heading(3, "Protocol"),
        html.listing(in_words(stamp)),
        html.definitions(remaining_entries({seed: run["stamp"] for seed, run in evidence.system.runs.items()})),
        html.heading(3, "Command"),
        html.code(command_line(evidence.system)),
    ]


def _reliability(evidence: Evidence) -> str:
    found = pooled_reliability(evidence)
    pairs = zip(found.confidence, found.accuracy, strict=True)
    points = "; ".join(f"{confidence:.2f}: {accuracy:.2f}" for confidence, accuracy in pairs)
    alt = f"Reliability diagram of {evidence.system.name}. Mean confidence of a bin: accuracy in it. {points}."
    return html.figure(
        reliability_svg(found), alt, "On the grey line confidence is accuracy; below it, answers are too sure."
    )


def _curves(evidence: Evidence, metric: str) -> str:
    if not evidence.curves:
        return html.paragraph("Not available: no run of it has a history.json.")
    name = HEADINGS[metric]
    told = "; ".join(
        f"seed {curve.seed}, fold {curve.fold}: loss {curve.rows[0]['train']['loss']:.3f} to "
        f"{curve.rows[-1]['train']['loss']:.3f}, chosen update {curve.chosen_update}"
        for curve in evidence.curves
    )
    alt = f"Training loss and validation {name} of {evidence.system.name} over updates. First to last: {told}."
    caption = (
        f"A line a fold, a colour a seed; a dot is the chosen update. Left: training loss; right: validation {name}."
    )
    return html.figure(curves_svg(evidence, metric), alt, caption)
