"""A recipe on many folds under many seeds, a process each; what is finished is not run again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emorec_lobes.errors import ConfigError, DataError, not_one_of
from emorec_lobes.evaluation.seed_table import RESULTS, pools
from emorec_lobes.experiments.engines import Engine, Job
from emorec_lobes.experiments.fingerprint import check_fingerprint, run_fingerprint
from emorec_lobes.experiments.jobs import run_jobs
from emorec_lobes.experiments.results import read_record
from emorec_lobes.experiments.run import ALL, CLAIM, NONE, check_claim, read_command_line
from emorec_lobes.experiments.settings import Settings
from emorec_lobes.files import read_json

LOGS = "cv"  # the folder in a run's, for what its jobs print
_OF_CV = {"seed": "--seeds", "fold": "--folds", "output_folder": "--to"}
_MOST = 1000  # numbers in one list: more is a slip of the pen


@dataclass(frozen=True)
class SeedRun:
    """A recipe under one seed: `words` run it."""

    seed: int
    settings: Settings
    run_opts: Any
    words: tuple[str, ...]
    threads: int
    about: str = ""  # what tells its jobs from those of another run of the seed

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return Path(self.settings["output_folder"])

    def job(self, fold: str, name: str) -> Job:
        """The job that runs one fold, or all, or none."""
        return Job(
            name=f"seed {self.seed}{self.about}, {name}",
            # A training is shown by its log; the bar of an extraction is all there is to show of it.
            words=(*self.words, f"--fold={fold}", *([] if fold == NONE else ["--noprogressbar"])),
            log=self.folder / LOGS / f"{name.replace(' ', '_')}.txt",
            threads=self.threads,
            progress=self.folder / f"fold_{fold}" if fold not in (ALL, NONE) else None,
        )

    def folds(self) -> list[str]:
        """The names of all folds; none before the recipe has prepared the corpus."""
        path = self.folder / CLAIM
        return list(read_json(path, "the recipe").get("folds", ())) if path.exists() else []

    def unfinished(self, names: Sequence[str] | None = None) -> list[str]:
        """Those of these folds, or of all, that are not finished."""
        return [fold for fold in names or self.folds() if not self.is_finished(fold)]

    def is_finished(self, fold: str) -> bool:
        """Whether a fold is finished, by the same settings.

        Raises
        ------
        ConfigError
            If it was begun by other ones.
        """
        folder = self.folder / f"fold_{fold}"
        check_fingerprint(folder, {"config": self.settings.fingerprint(), "run": run_fingerprint(self.run_opts)})
        return (folder / RESULTS).exists()

    def is_pooled(self) -> bool:
        """Whether the record of all folds is there, and is of them as they are."""
        singles = [read_record(self.folder / f"fold_{fold}") for fold in self.folds()]
        return (self.folder / RESULTS).exists() and pools(read_record(self.folder), singles)


@dataclass(frozen=True)
class Finished:
    """What a cross-validation has left."""

    folders: Mapping[int, Path]  # seed -> its run folder
    folds: list[str]  # those that were asked for
    failures: Mapping[Job, str]  # -> why, in one line


def numbers(name: str, text: str) -> list[int]:
    """Numbers and ranges as a user writes them.

    Arguments
    ---------
    name : str
        The option, for the message.
    text : str
        E.g. "1-3,7".

    Raises
    ------
    ConfigError
        If it is not such a list, or has a number twice.

    Example
    -------
    >>> numbers("seeds", "1-3,7")
    [1, 2, 3, 7]
    """
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        ends = (first, last or first)
        fits = all(end.isascii() and end.isdigit() and len(end) < 10 for end in ends) and not part.strip().endswith("-")
        if not fits or not 0 <= int(ends[1]) - int(ends[0]) < _MOST:
            raise ConfigError(f"`{name}` must be numbers such as 1-3 or 1,2,5, but is {text!r} instead. Mend it.")
        found += range(int(ends[0]), int(ends[1]) + 1)
    if len(set(found)) < len(found):
        raise ConfigError(f"`{name}` must name each number once, but is {text!r} instead. Mend it.")
    return found


def seed_runs(
    recipe: Path, hparams: Path, overrides: Sequence[str], seeds: Sequence[int], to: Path | None, threads: int
) -> list[SeedRun]:
    """The runs of a recipe under several seeds, each in a folder of its own.

    Arguments
    ---------
    recipe, hparams : Path
    overrides : sequence of str
        As the recipe takes them.
    seeds : sequence of int
    to : Path, optional
        Each seed gets the folder `seed_<n>` in it; by default the one that the hyperparameter file says.
    threads : int
        Of each process.

    Raises
    ------
    ConfigError
        If an override is not the recipe's, or is ours; or if a folder holds a run with other settings.
    """
    given = {word.removeprefix("--").partition("=")[0] for word in overrides if word.startswith("--")}
    for key, option in _OF_CV.items():
        if key in given:
            raise ConfigError(f"`--{key}` must be left to this command, but is given. Use {option}.")
    runs = []
    for seed in seeds:
        place = [] if to is None else [f"--output_folder={to / f'seed_{seed}'}"]
        words = [str(hparams), *overrides, f"--seed={seed}", *place]
        settings, run_opts = read_command_line(words)
        if "fold" not in settings.values:
            raise ConfigError(f"{hparams} must be of a recipe with folds, but has no `fold`. Run the recipe itself.")
        check_claim(Path(settings["output_folder"]), settings)
        runs.append(SeedRun(seed, settings, run_opts, (str(recipe), *words), threads))
    return runs


def cross_validate(runs: Sequence[SeedRun], wanted: Sequence[int] | None, engine: Engine, at_once: int) -> Finished:
    """Runs what is not finished: each seed's preparation, its folds, and what pools them.

    The first seed is prepared alone, since it computes the features that the others find.

    Arguments
    ---------
    runs : sequence of SeedRun
    wanted : sequence of int, optional
        Folds; by default all.
    engine : Engine
    at_once : int
        Jobs that run at one time.

    Raises
    ------
    ConfigError
        If there is no such fold.
    DataError
        If a preparation fails, with what it said: no fold of any seed could be run.
    """
    names = [str(fold) for fold in wanted] if wanted is not None else None
    _check_names(names, runs)
    unprepared = [run for run in runs if not run.folds() or run.unfinished(names)]
    for batch in (unprepared[:1], unprepared[1:]):
        failed = run_jobs([run.job(NONE, "preparation") for run in batch], engine, at_once, "preparing")
        for job, reason in failed.items():
            raise DataError(f"{reason} ({job.name}; log: {job.log})")
    _check_names(names, runs)
    jobs = [run.job(fold, f"fold {fold}") for run in runs for fold in run.unfinished(names)]
    failures = run_jobs(jobs, engine, at_once, "folds")
    unpooled = [run for run in runs if not run.unfinished() and not run.is_pooled()]
    failures |= run_jobs([run.job(ALL, "pooling") for run in unpooled], engine, at_once, "pooling")
    return Finished({run.seed: run.folder for run in runs}, names or runs[0].folds(), failures)


def _check_names(names: Sequence[str] | None, runs: Sequence[SeedRun]) -> None:
    """Refuses folds that a prepared run does not have."""
    for run in runs:
        folds = run.folds()
        for name in names or ():
            if folds and name not in folds:
                raise ConfigError(not_one_of("folds", name, [ALL, *folds]))
