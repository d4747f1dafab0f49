"""Figures of a report's page as SVG pictures, on no ground of their own: a page may invert them."""

import numpy as np

from emorec_lobes.evaluation.calibration import Reliability, reliability
from emorec_lobes.evaluation.canvas import STYLES, blank_figure, lighten, svg_of
from emorec_lobes.evaluation.evidence import Evidence
from emorec_lobes.evaluation.rater_grids import Rated
from emorec_lobes.evaluation.report import HEADINGS


def pooled_reliability(evidence: Evidence) -> Reliability:
    """The answers of all seeds in bins of equal counts."""
    tables = list(evidence.tested.values())
    probabilities = np.concatenate([table.probabilities for table in tables])
    return reliability(probabilities, np.concatenate([table.targets for table in tables]), adaptive=True)


def reliability_svg(found: Reliability) -> bytes:
    """How often answers of like confidence are right; calibrated ones lie on the diagonal."""
    figure = blank_figure(4.2, 4.0)
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color="0.6", linewidth=1, zorder=1)
    axes.plot(found.confidence, found.accuracy, color=STYLES[2][0], marker="o", markersize=5)
    axes.set(xlabel="confidence, bins of equal counts", ylabel="accuracy", xlim=(0, 1.02), ylim=(0, 1.02))
    lighten(axes)
    return svg_of(figure)


def curves_svg(evidence: Evidence, metric: str) -> bytes:
    """Training loss and, where there is validation, its score over updates: a line a fold, a colour a seed."""
    curves = evidence.curves
    has_valid = any(row.get("valid") for curve in curves for row in curve.rows)
    figure = blank_figure(4.4 * (1 + has_valid), 3.4)
    losses, *others = figure.subplots(1, 1 + has_valid, squeeze=False)[0]
    seeds = list(evidence.tested)
    for curve in curves:
        color, _ = STYLES[(2 + seeds.index(curve.seed)) % len(STYLES)]
        style = {"color": color, "linewidth": 1}
        updates = [row["update"] for row in curve.rows]
        losses.plot(updates, [row["train"]["loss"] for row in curve.rows], **style)
        for axes in others:
            scored = {row["update"]: row["valid"].get(metric, np.nan) for row in curve.rows if row.get("valid")}
            axes.plot(list(scored), list(scored.values()), **style)
            if curve.chosen_update in scored:
                axes.plot(curve.chosen_update, scored[curve.chosen_update], "o", color=color, markersize=5)
    losses.set(xlabel="update", ylabel="training loss")
    for axes in others:
        axes.set(xlabel="update", ylabel=f"validation {HEADINGS[metric]}", ylim=(0, 1))
    for axes in (losses, *others):
        lighten(axes)
    return svg_of(figure)


def agreement_svg(rated: Rated) -> bytes:
    """Accuracy over how far the raters agree: a line a system, grey squares one rater; the ceiling is a grey line."""
    levels, ceiling = rated.levels, rated.found["one_rater"]["others"]
    places = np.arange(len(levels))
    figure = blank_figure(1.6 + 1.5 * max(len(levels), 2), 3.8)
    axes = figure.add_subplot()
    if ceiling is not None:
        band = ceiling["intervals"]["accuracy"]
        axes.axhspan(band["low"], band["high"], color="0.9", zorder=0)
        axes.axhline(ceiling["accuracy"], color="0.5", linewidth=1, zorder=1, label="human ceiling, 95 % interval")
    humans = [np.nan if row["one_rater"] is None else row["one_rater"] for row in levels]
    axes.plot(places, humans, color="0.5", marker="s", linestyle="", markersize=7, label="one rater")
    for number, (name, values) in enumerate(rated.accuracies.items()):
        color, line = STYLES[number % len(STYLES)]
        axes.plot(places, values, color=color, linestyle=line, marker="o", markersize=5, label=name)
    axes.set_xticks(places, [f"{row['level']}\n{row['num_utterances']}" for row in levels])
    axes.set(xlabel="agreement of the raters, utterances", ylabel="accuracy", ylim=(0, 1.03))
    axes.set_xlim(-0.5, len(levels) - 0.5)
    lighten(axes)
    legend = figure.legend(loc="outside upper left", frameon=False, fontsize=8)
    for text in legend.get_texts():  # a name of the user's, whatever it holds
        text.set_parse_math(False)
    return svg_of(figure)
