"""Figures of a result as PNG files, readable without colour."""

import re
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from emorec_lobes.errors import DataError
from emorec_lobes.evaluation.canvas import STYLES, blank_figure, lighten, save_figure
from emorec_lobes.evaluation.comparison import Table
from emorec_lobes.evaluation.report import HEADINGS, Record, corpus_title
from emorec_lobes.units import FRAME_SHIFT_S

_TERMS = {"loss": "total", "emotion": "emotion", "mel_first": "mel, first estimate", "mel": "mel, final"}
_DARK_SHARE = 0.71  # from here on white is easier to read on the shade than black


def confusion_figure(record: Record, path: Path) -> None:
    """The confusion matrix: shade and percent say the share of the true class, the number below it the count.

    Arguments
    ---------
    record : mapping
        What `report.results_record` gives.
    path : Path
        The PNG file.
    """
    counts, labels = np.array(record["confusion"]), record["labels"]
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    size = 2.6 + 0.85 * len(labels)
    figure = blank_figure(size + 0.6, size)
    axes = figure.add_subplot()
    image = axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(*share.shape):
        ink = "white" if share[row, column] > _DARK_SHARE else "black"
        axes.text(column, row, f"{share[row, column]:.0%}", ha="center", va="bottom", color=ink, fontsize=11)
        axes.text(column, row + 0.06, str(counts[row, column]), ha="center", va="top", color=ink, fontsize=8.5)
    axes.set_xticks(range(len(labels)), labels, rotation=30 if len(labels) > 5 else 0)
    axes.set_yticks(range(len(labels)), labels)
    axes.set(xlabel="answered class", ylabel="true class")
    axes.spines[:].set_visible(False)
    title = f"{corpus_title(record)}: UAR {record['uar']:.3f}, n = {record['num_utterances']:,}"
    axes.set_title(title, pad=10, parse_math=False)
    bar = figure.colorbar(image, ax=axes, shrink=0.7, format=lambda value, _: f"{value:.0%}")
    bar.set_label("share of the true class")
    bar.outline.set_visible(False)
    save_figure(figure, path)


def training_curves(
    rows: Sequence[Mapping[str, Any]], path: Path, chosen_update: int | None = None, title: str = "training"
) -> None:
    """Loss terms over updates and, where the run validates, accuracy and UAR beside them.

    Arguments
    ---------
    rows : sequence of mapping
        Each with `update`, `train` (loss term -> value) and `valid` (with `uar` and `accuracy`) or None.
    path : Path
        The PNG file.
    chosen_update : int, optional
        The update whose checkpoint was taken; marked in both panels.
    title : str
        Names run and corpus.

    Raises
    ------
    DataError
        If there is no row.
    """
    if not rows:
        raise DataError(f"{path} cannot be drawn: the training log must have a row, but has none. Train first.")
    validated = [row for row in rows if row.get("valid")]
    panels = 2 if validated else 1
    figure = blank_figure(5.4 * panels, 4.0)
    figure.suptitle(title, parse_math=False)
    losses, *others = figure.subplots(1, panels, squeeze=False)[0]
    _draw_losses(losses, rows)
    for axes in others:
        _draw_validation(axes, validated)
    for axes in (losses, *others):
        if chosen_update is not None:
            label = f"chosen: update {chosen_update:,}"
            axes.axvline(chosen_update, color="0.5", linewidth=1.2, linestyle=(0, (1, 1)), zorder=0, label=label)
        axes.set_xlabel("update")
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axes.legend(frameon=False)
        lighten(axes)
    save_figure(figure, path)


def layer_weights_figure(
    weights: ArrayLike, path: Path, title: str = "learned weights of the encoder's layers"
) -> None:
    """The share of each encoder layer in the mix, beside equal shares.

    Arguments
    ---------
    weights : array, (L,)
        Normalised weights, layer 0 first.
    path : Path
        The PNG file.
    title : str
        Names run and corpus.
    """
    shares = np.asarray(weights, dtype=np.float64)
    if shares.ndim != 1 or not shares.size:
        raise DataError(f"{path}: `weights` must be (L,), but is {shares.shape} instead. Give one weight a layer.")
    figure = blank_figure(max(4.6, 2.2 + 0.25 * len(shares)), 3.4)
    axes = figure.add_subplot()
    axes.bar(range(len(shares)), shares, color="#0072B2", width=0.75)
    axes.axhline(1 / len(shares), color="black", linestyle="--", linewidth=1.2, label=f"equal, {1 / len(shares):.3f}")
    axes.set(xlabel="layer", ylabel="weight")
    axes.set_title(title, parse_math=False)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.margins(x=0.02, y=0.18)
    axes.legend(frameon=False, loc="upper right")
    lighten(axes)
    save_figure(figure, path)


def mel_figure(target: ArrayLike, reconstructed: ArrayLike, path: Path, title: str) -> None:
    """A mel spectrogram beside its reconstruction, on one scale.

    Arguments
    ---------
    target, reconstructed : array, (T, M)
        One frame every 20 ms.
    path : Path
        The PNG file.
    title : str
        Names the utterance and the corpus.

    Raises
    ------
    DataError
        If the two differ in shape.
    """
    pair = [np.asarray(mel, dtype=np.float64) for mel in (target, reconstructed)]
    if pair[0].shape != pair[1].shape or pair[0].ndim != 2 or not pair[0].size:
        raise DataError(
            f"{path}: `reconstructed` must be (T, M) as the target, {pair[0].shape}, but is {pair[1].shape} instead. "
            "Cut both to the same frames."
        )
    num_frames, num_mels = pair[0].shape
    low, high = min(mel.min() for mel in pair), max(mel.max() for mel in pair)
    # Frame t is centred on t frame shifts, so the picture begins half a shift before zero.
    extent = (-0.5 * FRAME_SHIFT_S, (num_frames - 0.5) * FRAME_SHIFT_S, -0.5, num_mels - 0.5)
    figure = blank_figure(9.6, 3.6)
    figure.suptitle(title, parse_math=False)
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    for axes, mel, name in zip(panels, pair, ("target", "reconstructed"), strict=True):
        image = axes.imshow(mel.T, origin="lower", aspect="auto", extent=extent, vmin=low, vmax=high, cmap="viridis")
        axes.set(title=name, xlabel="time (s)")  # (T, M) -> (M, T)
    panels[0].set_ylabel("mel bin")
    figure.colorbar(image, ax=panels, label="normalised level", pad=0.02)
    save_figure(figure, path)


def forest_figure(table: Table, path: Path) -> None:
    """Systems side by side: mean score over seeds, its interval, and each seed.

    Arguments
    ---------
    table : Table
        What `comparison.compare` gives; a dashed line marks the system the others are compared with.
    path : Path
        The PNG file.
    """
    record, rows = table.test, table.rows
    # An option stays beside its value.
    texts = [re.sub(r"(--\S+) ", "\\1\u00a0", row.system.name) for row in rows]
    names = [textwrap.fill(text, 40, break_long_words=False, break_on_hyphens=False) for text in texts]
    row_height = 0.35 + 0.2 * max(name.count("\n") + 1 for name in names)
    figure = blank_figure(8.6, 1.4 + row_height * len(rows))
    axes = figure.add_subplot()
    for place, row in enumerate(rows):
        seeds = row.system.scores(table.metric)
        if row.band is not None:
            ends = [row.band["low"], row.band["high"]]
            axes.plot(ends, [place] * 2, color=STYLES[2][0], linewidth=2, label="" if place else "95 % interval")
        axes.plot(seeds, [place] * len(seeds), "|", color="black", markersize=11, label="" if place else "one seed")
        axes.plot(row.score, place, "o", color=STYLES[2][0], markersize=8, label="" if place else "mean over seeds")
        score = f"{row.score:.3f}" + (f"  ({row.band['low']:.3f} to {row.band['high']:.3f})" if row.band else "")
        axes.annotate(score, (1.02, place), xycoords=("axes fraction", "data"), va="center", annotation_clip=False)
    if table.base is not None:
        axes.axvline(rows[0].score, color="0.4", linestyle="--", linewidth=1.0, zorder=0, label="mean of the first")
    axes.set_yticks(range(len(rows)), names, parse_math=False)
    axes.set(xlabel=f"{HEADINGS[table.metric]}, pooled over folds", ylim=(len(rows) - 0.4, -0.6))
    axes.set_title(f"{corpus_title(record)}, n = {record['num_utterances']:,}", parse_math=False)
    axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.5 / (row_height * len(rows))), ncols=4)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="0.88")
    axes.set_axisbelow(True)
    save_figure(figure, path)


def _draw_losses(axes: Axes, rows: Sequence[Mapping[str, Any]]) -> None:
    updates = [row["update"] for row in rows]
    present = list(dict.fromkeys(name for row in rows for name in row["train"]))
    values = np.array([[row["train"].get(name, np.nan) for name in present] for row in rows], dtype=np.float64)
    for place, name in enumerate(present):
        color, line = STYLES[place % len(STYLES)]
        axes.plot(updates, values[:, place], color=color, linestyle=line, label=_TERMS.get(name, name), **_marker(rows))
    finite = values[np.isfinite(values)]
    if finite.size and finite.min() > 0 and finite.max() > 10 * finite.min():
        axes.set_yscale("log")
    axes.set_ylabel("training loss")


def _draw_validation(axes: Axes, rows: Sequence[Mapping[str, Any]]) -> None:
    updates = [row["update"] for row in rows]
    for (color, line), (name, label) in zip(STYLES, (("uar", "UAR"), ("accuracy", "accuracy")), strict=False):
        values = [row["valid"].get(name, np.nan) for row in rows]
        if not np.isnan(values).all():
            axes.plot(updates, values, color=color, linestyle=line, label=label, **_marker(rows))
    axes.set(ylabel="validation score", ylim=(0, 1))


def _marker(rows: Sequence[Any]) -> dict[str, Any]:
    """A line of one point cannot be seen without a marker."""
    return {"marker": "o"} if len(rows) == 1 else {}
