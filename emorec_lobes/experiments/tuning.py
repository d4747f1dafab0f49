"""Hyperparameters tuned on validation speakers: each trial is a cross-validation in a folder of its own."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emorec_lobes.errors import ConfigError, DataError, ProtocolError
from emorec_lobes.evaluation.figures_tuning import history_figure, importance_figure
from emorec_lobes.evaluation.metrics import scores
from emorec_lobes.evaluation.predictions import Predictions
from emorec_lobes.evaluation.tuning import Trial, Tuning, Validation, tuning_markdown
from emorec_lobes.experiments.command import recipe_path
from emorec_lobes.experiments.cross_validation import SeedRun, prepare_runs, seed_runs
from emorec_lobes.experiments.engines import Engine
from emorec_lobes.experiments.fingerprint import run_fingerprint
from emorec_lobes.experiments.jobs import run_jobs
from emorec_lobes.experiments.results import fold_predictions
from emorec_lobes.experiments.run import read_command_line
from emorec_lobes.experiments.search_space import Choice, Range, read_space
from emorec_lobes.experiments.shipped import short_name
from emorec_lobes.experiments.study import Study
from emorec_lobes.files import locked, read_json, write_atomically, write_json

if TYPE_CHECKING:
    import optuna

CLAIM, STORAGE = "study.json", "study.db"
_MOST_FAILURES = 3  # in a row: then it is not the values


@dataclass(frozen=True)
class Search:
    """What is tuned, and how."""

    recipe: Path
    hparams: Path
    overrides: Sequence[str]
    space: Mapping[str, Range | Choice]
    seed: int  # of the trainings, and of what is tried
    folds: Sequence[int] | None
    to: Path
    threads: int
    base: SeedRun  # without the values that are tried

    def run(self, folder: Path, more: Sequence[str] = ()) -> SeedRun:
        """The cross-validation under some values."""
        return seed_runs(self.recipe, self.hparams, [*self.overrides, *more], [self.seed], folder, self.threads)[0]

    def command(self) -> list[str]:
        """The words of the command that evaluates it, but for the values that are found."""
        folds = [] if self.folds is None else ["--folds", ",".join(map(str, self.folds))]
        places = (short_name(path, kind) for path, kind in ((self.recipe, "recipes"), (self.hparams, "hparams")))
        return ["emorec", "cv", *places, *self.overrides, "--seeds", str(self.seed), *folds]


def make_search(
    recipe: Path,
    hparams: Path,
    overrides: Sequence[str],
    tries: Sequence[str],
    space_file: Path | None,
    seed: int,
    folds: Sequence[int] | None,
    to: Path,
    threads: int,
) -> Search:
    """Checks what is to be tuned, before anything is run.

    Arguments
    ---------
    recipe, hparams, overrides
        As `cross_validation.seed_runs`.
    tries, space_file
        As `search_space.read_space`.
    seed : int
    folds : sequence of int, optional
        By default all.
    to : Path
        The study's folder.
    threads : int
        Of each process.

    Raises
    ------
    ConfigError
        If a value to try is none that its key takes, or the folder holds something else than this study.
    ProtocolError
        If there would be no validation speakers.
    """
    base = seed_runs(recipe, hparams, overrides, [seed], to, threads)[0]
    if base.settings["protocol"] != "strict":
        raise ProtocolError(
            f"`protocol` must be strict to tune, but is {base.settings['protocol']} instead, which has no validation "
            "speakers. Add --protocol strict."
        )
    space = read_space(tries, space_file, base.settings)
    for key, tried in space.items():
        for text in tried.texts():
            read_command_line([str(hparams), *overrides, f"--{key}={text}"])
    search = Search(recipe, hparams, overrides, space, seed, folds, to, threads, base)
    _check_folder(to, _identity(search))
    return search


def tune(search: Search, num_trials: int, engine: Engine, at_once: int, prune: bool = True) -> Tuning:
    """Tries values until there are so many trials; a study that was stopped goes on, and no finished trial is lost.

    A trial that was cut off keeps its values and its finished folds; one that has failed is replaced in the next call.
    Nothing but the validation rows of a fold's answers is used.

    Arguments
    ---------
    search : Search
    num_trials : int
        Of the study altogether.
    engine : Engine
    at_once : int
        Folds of one trial that run at one time.
    prune : bool
        Whether a trial is given up that is below the median of the others after the same folds.

    Raises
    ------
    DataError
        If trial after trial fails.
    """
    search.to.mkdir(parents=True, exist_ok=True)
    with locked(search.to, "tuning"):
        write_json(search.to / CLAIM, _identity(search))
        study = Study(search.to / STORAGE, search.space, search.seed)
        failed, in_a_row = 0, 0
        while sum(study.failure(trial) is None for trial in study.ended()) + failed < num_trials:
            reason = _try_next(search, study, engine, at_once, prune)
            failed, in_a_row = failed + bool(reason), in_a_row + 1 if reason else 0
            _write(search, study)
            if in_a_row == _MOST_FAILURES:
                raise DataError(f"{reason} (the last of {in_a_row} trials that failed one after another)")
        return _write(search, study)


def _try_next(search: Search, study: Study, engine: Engine, at_once: int, prune: bool) -> str | None:
    """Runs a trial; says why it has failed, if it has."""
    earlier, trial = study.ended(), study.next()
    number, words = len(earlier), [f"--{key}={text}" for key, text in study.overrides(trial.params).items()]
    print(f"trial {number}: {' '.join(words)}", file=sys.stderr)
    run = replace(search.run(search.to / _folder(trial.params, earlier), words), title=f"trial {number}")
    try:
        score = _validated(run, search, study, trial, engine, at_once, prune)
    except DataError as error:
        study.fail(trial, str(error))
        print(f"trial {number}: FAILED: {error}", file=sys.stderr)
        return str(error)
    if score is None:
        study.give_up(trial)
    else:
        study.finish(trial, score)
    told = "given up" if score is None else f"{run.settings['validation_score']} {score:.3f} on validation"
    print(f"trial {number}: {told}", file=sys.stderr)
    return None


def _folder(params: Mapping[str, Any], earlier: Sequence["optuna.trial.FrozenTrial"]) -> str:
    """Equal values are trained once, in the folder of the trial that had them first."""
    same = [number for number, trial in enumerate(earlier) if trial.params == params]
    return f"trial_{min(same, default=len(earlier))}"


def _validated(
    run: SeedRun, search: Search, study: Study, trial: "optuna.trial.Trial", engine: Engine, at_once: int, prune: bool
) -> float | None:
    """A trial's score on its validation speakers; None if it was given up."""
    names = prepare_runs([run], search.folds, engine, at_once)
    tables: list[Predictions] = []
    for start in range(0, len(names), at_once):
        batch = names[start : start + at_once]
        jobs = [run.job(fold, f"fold {fold}") for fold in run.unfinished(batch)]
        for job, reason in run_jobs(jobs, engine, at_once, run.title).items():
            raise DataError(f"{reason} ({job.name}; log: {job.log})")
        for fold in batch:
            tables.append(fold_predictions(run.folder / f"fold_{fold}").only("valid"))
            trial.report(_score(tables, run.settings["validation_score"]), len(tables))
        _note_validation(study, tables, search.to)
        if prune and run.unfinished(names) and trial.should_prune():
            return None
    return _score(tables, run.settings["validation_score"])


def _score(tables: Sequence[Predictions], metric: str) -> float:
    pooled = Predictions.concatenate(tables)
    return float(scores(pooled.targets, pooled.predicted, pooled.labels)[metric])


def _note_validation(study: Study, tables: Sequence[Predictions], folder: Path) -> None:
    """Notes who validates; scores on others could not be compared."""
    noted = study.noted("validation") or {}
    found = {
        str(table.folds[0]): {"speakers": sorted({*table.speakers.tolist()}), "num_utterances": len(table)}
        for table in tables
    }
    for fold in found.keys() & noted.keys():
        if found[fold] != noted[fold]:
            raise ConfigError(
                f"{folder} must hold trials on the same utterances, but fold {fold} has others than before. "
                "Choose another --to."
            )
    study.note("validation", noted | found)


def _write(search: Search, study: Study) -> Tuning:
    """Writes the report as far as the study has come."""
    ended = study.ended()
    tuning = Tuning(
        recipe=search.command()[2],
        hparams=search.hparams.name,
        metric=search.base.settings["validation_score"],
        space={key: str(tried) for key, tried in search.space.items()},
        validation={fold: Validation(**each) for fold, each in (study.noted("validation") or {}).items()},
        trials=[_as_trial(study, number, ended) for number in range(len(ended))],
        command=search.command(),
        importances=study.importances(),
    )
    figures = search.to / "figures"
    if tuning.ranking():
        history_figure(tuning, figures / "history.png")
    if tuning.importances:
        importance_figure(tuning, figures / "importance.png")
    write_atomically(search.to / "results.md", tuning_markdown(tuning))
    return tuning


def _as_trial(study: Study, number: int, ended: Sequence["optuna.trial.FrozenTrial"]) -> Trial:
    trial = ended[number]
    is_finished = trial.state.name == "COMPLETE"
    return Trial(
        number=number,
        overrides=study.overrides(trial.params),
        folder=_folder(trial.params, ended[:number]),
        score=trial.value if is_finished else None,
        partial=trial.value if trial.state.name == "PRUNED" else None,
        failure=study.failure(trial),
    )


def _identity(search: Search) -> dict[str, Any]:
    """What all trials of a study share."""
    return {
        "recipe": recipe_path(str(search.recipe)),
        "hparams": search.hparams.name,
        "folds": "all" if search.folds is None else list(search.folds),
        "run options": run_fingerprint(search.base.run_opts),
        "settings": search.base.settings.identity(),
        "tried": {key: str(tried) for key, tried in search.space.items()},
    }


def _check_folder(folder: Path, identity: Mapping[str, Any]) -> None:
    """Refuses a folder that holds another study, or something else."""
    path = folder / CLAIM
    if not path.exists():
        if folder.exists() and any(item.name != ".lock" for item in folder.iterdir()):
            raise ConfigError(
                f"{folder} must be new or hold this study, but holds something else. Choose another --to."
            )
        return
    held, wanted = (_flat(each) for each in (read_json(path, "emorec tune", needed=identity), identity))
    differing = [key for key in sorted({*held, *wanted}) if held.get(key) != wanted.get(key)]
    if differing:
        key = differing[0]
        raise ConfigError(
            f"{folder} holds another study ({key} was {held.get(key)}, is {wanted.get(key)}). Choose another --to."
        )


def _flat(identity: Mapping[str, Any]) -> dict[str, str]:
    """One level, each value as text."""
    flat = {}
    for name, value in identity.items():
        parts = {f"{name}: {key}": part for key, part in value.items()} if isinstance(value, Mapping) else {name: value}
        flat |= {key: str(part) for key, part in parts.items()}
    return flat
