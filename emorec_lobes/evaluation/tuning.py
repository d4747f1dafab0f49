"""What a tuning has found, as text: nothing but validation scores."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from emorec_lobes.evaluation.report import HEADINGS, aligned, inert, piped, rounded

_SHOWN = 10  # of the trials
_SPEAKERS = 12  # of a fold, by name


@dataclass(frozen=True)
class Trial:
    """One set of hyperparameters on the validation speakers."""

    number: int
    overrides: Mapping[str, str]
    folder: str
    score: float | None  # of all answers pooled; None unless all folds are finished
    partial: float | None = None  # of the folds that were finished when it was given up
    failure: str | None = None


@dataclass(frozen=True)
class Validation:
    """By what a fold's part of the score was made."""

    speakers: Sequence[str]
    num_utterances: int


@dataclass(frozen=True)
class Tuning:
    """A study as far as it has come."""

    recipe: str
    hparams: str
    metric: str
    space: Mapping[str, str]  # key -> what was tried
    validation: Mapping[str, Validation]  # fold -> who validates it
    trials: Sequence[Trial]
    command: Sequence[str]  # the words that evaluate it, but for the values that were tuned
    importances: Mapping[str, float]

    def ranking(self) -> list[Trial]:
        """Finished trials, best first; of equals the earlier one."""
        finished = [trial for trial in self.trials if trial.score is not None]
        return sorted(finished, key=lambda trial: (-trial.score, trial.number))

    def best_command(self) -> str:
        """What evaluates the best trial's hyperparameters."""
        best = (f"--{key}={text}" for key, text in self.ranking()[0].overrides.items())
        return shlex.join([*self.command, *best])


def tuning_text(tuning: Tuning) -> str:
    """What the terminal shows."""
    if not tuning.ranking():
        return f"{_counts(tuning)} No trial is finished.\n"
    blocks = [_title(tuning), aligned(_ranked(tuning)), _counts(tuning), _WARNING, "To use the best:"]
    return "\n\n".join([*blocks, f"    {tuning.best_command()}"]) + "\n"


def tuning_markdown(tuning: Tuning) -> str:
    """results.md: what was tuned, on what, what came out, and what that is worth."""
    space = [["key", "tried"], *([inert(key), inert(tried)] for key, tried in tuning.space.items())]
    blocks = [f"# Tuning of {inert(tuning.hparams)} by {inert(tuning.recipe)}"]
    if tuning.ranking():
        best = f"**Best {HEADINGS[tuning.metric]} on validation: {rounded(tuning.ranking()[0].score)}**, to be used by"
        blocks += [best, f"    {tuning.best_command()}"]
    blocks += [_counts(tuning), "## What was tuned", piped(space, 2), "## On what", *_grounds(tuning)]
    if tuning.ranking():
        rows = [[inert(cell) for cell in row] for row in _ranked(tuning)]
        blocks += ["## Best trials", piped(rows, len(rows[0]) - 1), "![scores of the trials](figures/history.png)"]
    if tuning.importances:
        blocks += ["![importance of the keys](figures/importance.png)"]
    failed = [f"- trial {trial.number}: {inert(trial.failure)}" for trial in tuning.trials if trial.failure]
    if failed:
        blocks += ["## Failed trials", "\n".join(failed)]
    return "\n\n".join(blocks) + "\n"


_WARNING = (
    "These are validation scores: no test score was read. The best of them is optimistic, since it was chosen for "
    "being highest; what counts is the test score of a run with these values."
)


def _title(tuning: Tuning) -> str:
    return f"Tuning: {tuning.hparams}, {HEADINGS[tuning.metric]} on validation speakers"


def _counts(tuning: Tuning) -> str:
    finished = len(tuning.ranking())
    parts = [f"{len(tuning.trials)} trials: {finished} finished"]
    given_up = sum(trial.partial is not None for trial in tuning.trials)
    failed = sum(trial.failure is not None for trial in tuning.trials)
    parts += [f"{given_up} given up after some folds, being below the median"] if given_up else []
    parts += [f"{failed} failed"] if failed else []
    return f"{', '.join(parts)}."


def _grounds(tuning: Tuning) -> list[str]:
    """On whose answers the choice rests, and what follows from it."""
    folds = "\n".join(
        f"- fold {inert(fold)}: {_names(each.speakers)} ({each.num_utterances} utterances)"
        for fold, each in tuning.validation.items()
    )
    score = f"The score is the {HEADINGS[tuning.metric]} of all answers to the validation speakers together"
    shared = (
        "Folds take turns: who validates one may be tested in another. A test on the folds that were tuned on together "
        "is therefore not quite blind to the choice. To be strict, tune each fold alone (--folds K), and test it alone."
    )
    return [f"{score}:", folds, _WARNING, *([shared] if len(tuning.validation) > 1 else [])]


def _names(speakers: Sequence[str]) -> str:
    named = ", ".join(inert(speaker) or "unknown" for speaker in speakers[:_SPEAKERS])
    more = len(speakers) - _SPEAKERS
    return f"{named} and {more} more" if more > 0 else named


def _ranked(tuning: Tuning) -> list[list[str]]:
    rows = [["trial", *tuning.space, "folder", f"validation {HEADINGS[tuning.metric]}"]]
    for trial in tuning.ranking()[:_SHOWN]:
        cells = (trial.overrides[key] for key in tuning.space)
        rows.append([str(trial.number), *cells, trial.folder, rounded(trial.score)])
    return rows
