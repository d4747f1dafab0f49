"""Figures of a fusion as PNG files: UAR over the weight of an input, and reliability diagrams."""

from collections.abc import Mapping, Sequence
from math import ceil
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from emorec_lobes.evaluation.calibration import Reliability
from emorec_lobes.evaluation.canvas import STYLES, blank_figure, lighten, save_figure

_PANELS_A_ROW = 3

Curve = tuple[np.ndarray, np.ndarray]


def share_figure(
    curves: Mapping[str, Mapping[str, Curve]], path: Path, title: str, chosen: Mapping[str, Sequence[float]]
) -> None:
    """UAR as the share of an input in the weights goes from nothing to everything, a panel an input.

    Arguments
    ---------
    curves : mapping
        Input -> split, e.g. "validation" -> shares and UARs.
    path : Path
        The PNG file.
    title : str
        Names corpus and method.
    chosen : mapping
        Input -> the share it has in each fold; empty where the method has no such shares.
    """
    figure, panels = _panels(len(curves), title)
    for axes, (name, lines) in zip(panels, curves.items(), strict=True):
        for (split, (shares, uars)), (color, line) in zip(lines.items(), STYLES[1:], strict=False):
            axes.plot(shares, uars, color=color, linestyle=line, label=split)
        for place, share in enumerate(chosen.get(name, ())):
            label = "" if place else "used in a fold"
            axes.axvline(share, ymax=0.07, color="black", linewidth=2, label=label)
        axes.set(xlabel=f"share of {name} in the weights", ylabel="UAR of the weighted mean", xlim=(-0.02, 1.02))
        axes.legend(frameon=False)
        lighten(axes)
    save_figure(figure, path)


def reliability_figure(bins: Mapping[str, Mapping[str, Reliability]], path: Path, title: str) -> None:
    """How often answers of like confidence are right, a panel a system; a calibrated one lies on the diagonal.

    Arguments
    ---------
    bins : mapping
        System -> what its probabilities are, e.g. "as given" -> its bins.
    path : Path
        The PNG file.
    title : str
        Names corpus and method.
    """
    figure, panels = _panels(len(bins), title)
    for axes, (name, lines) in zip(panels, bins.items(), strict=True):
        axes.plot([0, 1], [0, 1], color="0.6", linewidth=1, zorder=1)
        for (what, found), (color, line) in zip(lines.items(), STYLES[1:], strict=False):
            label = f"{what}, ECE {found.ece:.3f}"
            axes.plot(
                found.confidence, found.accuracy, color=color, linestyle=line, marker="o", markersize=4, label=label
            )
        axes.set(xlabel="confidence, bins of equal counts", ylabel="accuracy", xlim=(0, 1.02), ylim=(0, 1.02))
        axes.set_title(name, fontsize=11, parse_math=False)
        axes.legend(frameon=False, fontsize=9, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2)
        lighten(axes)
    save_figure(figure, path)


def _panels(number: int, title: str) -> tuple[Figure, list[Axes]]:
    columns = min(number, _PANELS_A_ROW)
    rows = ceil(number / columns)
    figure = blank_figure(max(4.6 * columns, 6.0), 4.2 * rows)
    figure.suptitle(title, parse_math=False)
    panels = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    for axes in panels[number:]:
        axes.remove()
    return figure, panels[:number]
