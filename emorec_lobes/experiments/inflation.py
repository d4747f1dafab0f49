"""The inflation meter: what a cross-validation must run besides, so that bad habits can be measured on it."""

from collections.abc import Collection, Mapping, Sequence

from emorec_lobes.corpora.protocol import RANDOM
from emorec_lobes.errors import ConfigError, not_one_of
from emorec_lobes.evaluation.inflation import (
    BEST_EPOCH,
    KINDS,
    RANDOM_SPLIT,
    is_watched,
    terminal_inflation,
    write_inflation,
)
from emorec_lobes.evaluation.systems import SPLIT_FOLDER
from emorec_lobes.experiments.cross_validation import SeedRun, cross_validate
from emorec_lobes.experiments.engines import Engine, Job
from emorec_lobes.experiments.run import check_claim, read_command_line

_WATCH = "--watch_test=True"
_OF_THE_SPLIT = ("scheme", "num_groups", "speaker_groups", "output_folder")


def inflation_kinds(text: str | None) -> list[str]:
    """The bad habits to measure.

    Arguments
    ---------
    text : str, optional
        E.g. "best-epoch,random-split".

    Raises
    ------
    ConfigError
        If a word is none of `KINDS`.

    Example
    -------
    >>> inflation_kinds("best-epoch,random-split"), inflation_kinds(None)
    (['best-epoch', 'random-split'], [])
    """
    kinds = [] if text is None else list(dict.fromkeys(part.strip() for part in text.split(",")))
    for kind in kinds:
        if kind not in KINDS:
            raise ConfigError(not_one_of("inflation", kind, KINDS))
    return kinds


def watching(overrides: Sequence[str], kinds: Sequence[str]) -> list[str]:
    """The overrides of a recipe, with what the meter needs; none of it changes what is trained.

    Example
    -------
    >>> watching(["--lr=0.1"], ["best-epoch"])
    ['--lr=0.1', '--watch_test=True']
    """
    return [*without(overrides, ["watch_test"]), _WATCH] if BEST_EPOCH in kinds else list(overrides)


def without(overrides: Sequence[str], keys: Collection[str]) -> list[str]:
    """Overrides but for those of some keys, each written `--key=value` or `--key value`.

    Example
    -------
    >>> without(["--lr", "0.1", "--scheme=speakers", "--num_groups", "5"], ["scheme", "num_groups"])
    ['--lr', '0.1']
    """
    kept, leaves_out = [], False
    for word in overrides:
        if word.startswith("--"):
            leaves_out = word.removeprefix("--").partition("=")[0] in keys
        kept += [] if leaves_out else [word]
    return kept


def check_watched(runs: Sequence[SeedRun], kinds: Sequence[str]) -> None:
    """Refuses finished folds whose test was not watched: what their other epochs said is lost.

    Raises
    ------
    ConfigError
        Names the first of them.
    """
    finished = (run.folder / f"fold_{fold}" for run in runs for fold in run.folds() if run.is_finished(fold))
    for folder in finished if BEST_EPOCH in kinds else ():
        if not is_watched(folder):
            raise ConfigError(
                f"{folder} must be trained with --watch_test True for --inflation {BEST_EPOCH}, but is finished "
                "without. Choose another --to, or delete that one."
            )


def measure(
    runs: Sequence[SeedRun], kinds: Sequence[str], engine: Engine, at_once: int
) -> tuple[Mapping[Job, str], str]:
    """Runs what is missing of the random split, and puts honest and inflated scores of finished seeds side by side.

    Arguments
    ---------
    runs : sequence of SeedRun
        After `cross_validate`.
    kinds : sequence of str
        As `inflation_kinds` gives them.
    engine, at_once
        As for `cross_validate`.

    Returns
    -------
    failures : mapping
        Jobs of the random split that failed -> why.
    table : str
        Plain text. The record of each seed is written into its folder.
    """
    failures: Mapping[Job, str] = {}
    measured = [run for run in runs if run.folds() and not run.unfinished() and run.is_pooled()]
    if RANDOM_SPLIT in kinds and measured:
        splits = [random_run(run) for run in measured]
        failures = cross_validate(splits, None, engine, at_once).failures
        measured = [run for run, split in zip(measured, splits, strict=True) if not split.unfinished()]
    records = [write_inflation(run.folder, kinds) for run in measured]
    return failures, terminal_inflation(records) if records else "No inflation: no seed has all that it needs.\n"


def random_run(run: SeedRun) -> SeedRun:
    """The same recipe and seed on as many folds, of utterances drawn at random; its folder is in the run's own.

    Raises
    ------
    ConfigError
        If that folder holds a run with other settings.
    """
    recipe, hparams, *overrides = run.words
    folder = run.folder / SPLIT_FOLDER
    groups = [f"--scheme={RANDOM}", f"--num_groups={len(run.folds())}", "--speaker_groups=null"]
    words = [hparams, *without(overrides, _OF_THE_SPLIT), *groups, f"--output_folder={folder}"]
    settings, run_opts = read_command_line(words)
    check_claim(folder, settings)
    return SeedRun(run.seed, settings, run_opts, (recipe, *words), run.threads, f"seed {run.seed}, random split")
