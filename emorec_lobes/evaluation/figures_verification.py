"""Figures of speaker verification."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import norm

from emorec_lobes.evaluation.canvas import STYLES, blank_figure, lighten, save_figure
from emorec_lobes.evaluation.verification import ErrorCurve

_TICKS = (0.001, 0.01, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)


def detection_figure(scores: Mapping[str, ArrayLike], targets: ArrayLike, path: Path, title: str) -> None:
    """Detection error trade-off: both error rates on normal scales, a point at each system's equal error rate.

    Source: Martin 1997, "The DET curve in assessment of detection task performance".

    Arguments
    ---------
    scores : mapping
        System -> (N,).
    targets : array of bool, (N,)
    path : Path
        The PNG file.
    title : str
        Names the trials.
    """
    figure = blank_figure(5.6, 5.2)
    axes = figure.add_subplot()
    # The ends of a normal scale are infinite: a curve stops where one trial is left.
    least = min(_TICKS[0], 0.5 / np.size(targets))
    for (color, line), (name, values) in zip(STYLES, scores.items(), strict=False):
        curve = ErrorCurve(values, targets)
        rate = curve.equal_error_rate()
        accepted, rejected = (norm.ppf(np.clip(rates, least, 1 - least)) for rates in curve.rates())
        axes.plot(accepted, rejected, color=color, linestyle=line, label=f"{name}, EER {rate:.1%}")
        point = norm.ppf(np.clip(rate, least, 1 - least))
        axes.plot([point], [point], "o", color=color)
    ends = norm.ppf([least, _TICKS[-1]])
    axes.plot(ends, ends, color="0.6", linewidth=0.8, zorder=0)
    ticks = [tick for tick in _TICKS if tick >= least]
    labels = [f"{tick:.1%}" if tick < 0.01 else f"{tick:.0%}" for tick in ticks]
    axes.set_xticks(norm.ppf(ticks), labels)
    axes.set_yticks(norm.ppf(ticks), labels)
    axes.set(xlim=ends, ylim=ends, xlabel="false acceptances", ylabel="false rejections", aspect="equal")
    axes.set_title(title, parse_math=False)
    axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.12))
    lighten(axes)
    axes.grid(axis="x", color="0.88")
    save_figure(figure, path)
