"""Figures of a probed network as PNG files: its vectors in a plane, and what its attention picks."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from emorec_lobes.errors import DataError
from emorec_lobes.evaluation.canvas import STYLES, blank_figure, save_figure

# Beyond these five, further emotions have the same colours, paler.
_COLORS = [color for color, _ in STYLES]
_PANELS_A_ROW = 4
_CHANNELS_SHOWN = 3


def embedding_figure(
    panels: Mapping[str, np.ndarray],
    emotions: Sequence[str],
    speakers: Sequence[int],
    labels: Sequence[str],
    path: Path,
    title: str,
) -> None:
    """Utterances in a plane, a panel a point of the network: the colour says the emotion, the number the speaker.

    Source: Xi 2022, Figure 1, has such a panel for each of three networks: pre-trained on speakers, fine-tuned on
    emotions, and that with AD. Here the panels are points of one network; a figure a run makes theirs.

    Arguments
    ---------
    panels : mapping
        Point -> (N, 2).
    emotions : sequence of str, (N,)
    speakers : sequence of int, (N,)
    labels : sequence of str
        The emotions, in their order.
    path : Path
        The PNG file.
    title : str
        Names the projection, the run and the corpus.

    Raises
    ------
    DataError
        If a panel has not one place for each emotion and speaker.
    """
    for name, places in panels.items():
        if places.shape != (len(emotions), 2) or len(speakers) != len(emotions):
            raise DataError(
                f"{path}: the panel {name!r} must be ({len(emotions)}, 2), but is {places.shape} for "
                f"{len(speakers)} speakers instead. Give one place an utterance."
            )
    columns = min(len(panels), _PANELS_A_ROW)
    rows = -(-len(panels) // columns)
    figure = blank_figure(4.2 * columns, 4.2 * rows + 0.7)
    figure.suptitle(title, parse_math=False)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, (name, places) in zip(grid, panels.items(), strict=False):
        _draw_places(axes, places, emotions, speakers, labels)
        axes.set_title(name, parse_math=False)
    for axes in grid[len(panels) :]:
        axes.set_axis_off()
    handles = [
        grid[0].plot([], [], "s", color=_ink(number), alpha=_shade(number), label=label)[0]
        for number, label in enumerate(labels)
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(labels), 8), frameon=False)
    save_figure(figure, path)


def attention_figure(
    spectrogram: ArrayLike, shares: Mapping[str, np.ndarray], path: Path, title: str, hop_ms: float
) -> None:
    """What a network's attention picks of one utterance: its share a over time and frequency beside the spectrogram.

    A row an AD module: the spectrogram, the mean over channels, and the three channels that differ most from
    position to position.

    Arguments
    ---------
    spectrogram : array, (T, M)
        What the network was given.
    shares : mapping
        Position -> a, (C, F', T'), without padded frames.
    path : Path
        The PNG file.
    title : str
        Names the utterance, the run and the corpus.
    hop_ms : float
        Of the spectrogram.

    Raises
    ------
    DataError
        If there is no AD module, or one's shares are no map.
    """
    image = np.asarray(spectrogram, dtype=np.float64)
    if not shares or image.ndim != 2 or any(each.ndim != 3 or not each.size for each in shares.values()):
        raise DataError(f"{path}: `shares` must be a map (C, F, T) for each AD module. Draw it for a run with AD.")
    duration_s = len(image) * hop_ms / 1000
    figure = blank_figure(3.4 * (2 + _CHANNELS_SHOWN), 2.6 * len(shares) + 0.6)
    figure.suptitle(title, parse_math=False)
    grid = figure.subplots(len(shares), 2 + _CHANNELS_SHOWN, squeeze=False)
    for row, (position, share) in zip(grid, shares.items(), strict=True):
        chosen = np.argsort(-share.std(axis=(1, 2)), kind="stable")[:_CHANNELS_SHOWN]
        maps = {f"{position}: mean of {len(share)} channels": share.mean(axis=0)}
        maps |= {f"channel {number + 1}": share[number] for number in chosen}
        _draw_map(row[0], image.T, duration_s, "input", "filter")  # (T, M) -> (M, T)
        for axes, (name, values) in zip(row[1:], maps.items(), strict=False):
            drawn = _draw_map(axes, values, duration_s, name, "", scale=(0.0, 1.0))
        for axes in row[1 + len(maps) :]:
            axes.set_axis_off()
        figure.colorbar(drawn, ax=list(row), label="share a of the residual that goes on", pad=0.01)
    save_figure(figure, path)


def _draw_places(
    axes: Axes, places: np.ndarray, emotions: Sequence[str], speakers: Sequence[int], labels: Sequence[str]
) -> None:
    for (x, y), emotion, speaker in zip(places, emotions, speakers, strict=True):
        number = list(labels).index(emotion)
        style = {"color": _ink(number), "alpha": _shade(number), "fontsize": 7, "ha": "center", "va": "center"}
        axes.text(x, y, str(speaker), clip_on=True, **style)
    low, high = places.min(axis=0), places.max(axis=0)
    margin = 0.05 * np.maximum(high - low, 1e-9)
    axes.set(xlim=(low[0] - margin[0], high[0] + margin[0]), ylim=(low[1] - margin[1], high[1] + margin[1]))
    axes.set(xticks=[], yticks=[])  # distances mean something, places do not
    axes.spines[:].set_color("0.8")


def _draw_map(
    axes: Axes,
    values: np.ndarray,
    duration_s: float,
    name: str,
    ylabel: str,
    scale: tuple[float | None, float | None] = (None, None),
) -> object:
    """A map (F, T) over the utterance's seconds, low frequencies below."""
    extent = (0.0, duration_s, 0.5, len(values) + 0.5)
    low, high = scale
    options = {"origin": "lower", "aspect": "auto", "cmap": "viridis", "interpolation": "nearest"}
    image = axes.imshow(values, extent=extent, vmin=low, vmax=high, **options)
    axes.set_title(name, fontsize=10, parse_math=False)
    axes.set(xlabel="time (s)", ylabel=ylabel)
    if len(values) == 1:
        axes.set_yticks([1])
    else:
        axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
    return image


def _ink(number: int) -> str:
    return _COLORS[number % len(_COLORS)]


def _shade(number: int) -> float:
    """Emotions beyond the palette are paler."""
    return 1.0 if number < len(_COLORS) else 0.45
