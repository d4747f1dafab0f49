"""Figures of a tuning: how its score rose from trial to trial, and which key mattered."""

from pathlib import Path

from matplotlib.ticker import MaxNLocator

from emorec_lobes.evaluation.canvas import STYLES, blank_figure, lighten, save_figure
from emorec_lobes.evaluation.report import HEADINGS
from emorec_lobes.evaluation.tuning import Tuning


def history_figure(tuning: Tuning, path: Path) -> None:
    """A dot for each finished trial, a cross for each that was given up, and the best so far."""
    finished = [trial for trial in tuning.trials if trial.score is not None]
    given_up = [trial for trial in tuning.trials if trial.partial is not None]
    best = [max(trial.score for trial in finished[: count + 1]) for count in range(len(finished))]
    numbers = [trial.number for trial in finished]
    figure = blank_figure(6.4, 3.6)
    axes = figure.add_subplot()
    lighten(axes)
    (ink, _), (accent, dashed) = STYLES[:2]
    axes.step(numbers, best, where="post", color=accent, linestyle=dashed, label="best so far")
    axes.plot(numbers, [trial.score for trial in finished], "o", color=ink, markersize=4.5, label="all folds")
    if given_up:
        partial = [trial.partial for trial in given_up]
        numbers = [trial.number for trial in given_up]
        axes.plot(numbers, partial, "x", color="0.5", label="given up: some folds")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="trial", ylabel=f"{HEADINGS[tuning.metric]} on validation")
    axes.legend(frameon=False)
    save_figure(figure, path)


def importance_figure(tuning: Tuning, path: Path) -> None:
    """A bar for each key, the most important on top."""
    pairs = sorted(tuning.importances.items(), key=lambda pair: pair[1])
    figure = blank_figure(6.4, 1.2 + 0.35 * len(pairs))
    axes = figure.add_subplot()
    lighten(axes)
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", color="0.88")
    bars = axes.barh([key for key, _ in pairs], [share for _, share in pairs], color=STYLES[2][0], height=0.6)
    axes.bar_label(bars, fmt="%.2f", padding=3)
    axes.set(xlabel="share of what is known of the score's changes (PED-ANOVA)", xlim=(0, 1.1))
    save_figure(figure, path)
