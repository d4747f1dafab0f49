"""What a cross-validation will take of disk, memory and time, before it is begun: a few real steps, and arithmetic."""

import io
import os
import runpy
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from emorec_lobes.corpora.manifest import ManifestInfo, Utterance, without_labels
from emorec_lobes.corpora.protocol import Fold
from emorec_lobes.errors import ConfigError, not_one_of
from emorec_lobes.experiments.cross_validation import SeedRun
from emorec_lobes.experiments.folds import FoldSolver
from emorec_lobes.experiments.parts import parts_only
from emorec_lobes.experiments.plan_fold import (
    MEASURED,
    FoldCost,
    Lengths,
    brain_of,
    fastest_update_seconds,
    fold_cost,
    lengths_of,
)
from emorec_lobes.experiments.plan_record import record
from emorec_lobes.experiments.plan_sample import sample, sample_fold
from emorec_lobes.experiments.plan_savings import Bill, Saving, savings
from emorec_lobes.experiments.plan_stores import Extraction, block_bytes, extraction_cost
from emorec_lobes.experiments.run import (
    ALL,
    Task,
    folds_of,
    load_corpus,
    read_command_line,
    run_stamp,
)
from emorec_lobes.experiments.settings import Settings, read_settings
from emorec_lobes.features.speech import check_device
from emorec_lobes.units import Seconds


@dataclass(frozen=True)
class _Corpus:
    utterances: Mapping[str, Utterance]
    info: ManifestInfo
    folds: list[Fold]
    reading_s: Seconds


@dataclass(frozen=True)
class _Measured:
    """What the sample said: `lengths` of each fold, and an update in half precision and with one thread."""

    extraction: Extraction
    fold: FoldCost
    lengths: Mapping[str, Lengths]
    update_bf16_s: Seconds | None
    update_parallel_s: Seconds | None


def parts_of(recipe: Path) -> tuple[FoldSolver, type[Task]]:
    """What a recipe trains, and on what; nothing of it is run.

    Raises
    ------
    ConfigError
        If it is no recipe with folds.
    """
    before = sys.argv
    sys.argv = [str(recipe), "--help"]  # what does not take part ends there
    try:
        with parts_only() as parts, redirect_stdout(io.StringIO()), suppress(SystemExit):
            runpy.run_path(str(recipe), run_name="__main__")
    finally:
        sys.argv = before
    if len(parts) != 1:
        raise ConfigError(f"`recipe` must be one with folds, but {recipe} is none. Run it itself, with few updates.")
    return parts[0]


def make_plan(runs: Sequence[SeedRun], wanted: Sequence[int] | None, jobs: int, cores: int) -> dict[str, Any]:
    """The plan of a cross-validation; it writes into a temporary folder alone, and downloads nothing.

    Arguments
    ---------
    runs : sequence of SeedRun
        As `cross_validation.seed_runs` gives them.
    wanted : sequence of int, optional
        Folds; by default all.
    jobs : int
        Processes at a time.
    cores : int
        Of this machine.

    Returns
    -------
    dict
        JSON values: `corpus`, `runs`, `extraction`, `training`, `processes`, `seconds`, `disk_bytes`, `memory`,
        `places`, `disk_warning` and `memory_warning` (None where all fits), and `suggestions`.

    Raises
    ------
    EmorecError
        As the recipe would, where its settings, corpus or encoder cannot be used.
    """
    settings, run_opts = runs[0].settings, runs[0].run_opts
    recipe = Path(runs[0].words[0])
    check_device(run_opts["device"] or "cpu")
    solve, task_class = parts_of(recipe)
    settings.build()
    threads = torch.get_num_threads()
    with TemporaryDirectory(prefix="emorec-plan-", ignore_cleanup_errors=True) as folder:
        try:
            corpus = _read_corpus(settings, Path(folder))
            asked = [(run, fold) for run in runs for fold in _wanted(corpus.folds, wanted)]
            to_do = [(run, fold) for run, fold in asked if not run.is_finished(fold)]
            torch.set_num_threads(1 if settings.values.get("extract_workers") else runs[0].threads)
            measured = _measure(runs[0], solve, task_class, corpus, Path(folder), jobs, cores) if to_do else None
        finally:
            torch.set_num_threads(threads)
    process_s = start_up(recipe, runs[0].threads) + corpus.reading_s if to_do else 0.0
    bill = _bill(to_do, measured, len(asked), jobs, runs[0].threads, process_s)
    found: list[Saving] = []
    if measured:
        found = savings(settings, bill, measured.update_bf16_s, measured.update_parallel_s, cores)
    about = {
        "name": corpus.info.corpus,
        "utterances": len(corpus.utterances),
        "hours": sum(item.duration for item in corpus.utterances.values()) / 3600,
    }
    return record(runs, about, len(corpus.folds), bill, found)


def start_up(recipe: Path, threads: int) -> Seconds:
    """How long a process takes until it has loaded what a recipe needs."""
    began = time.perf_counter()
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    subprocess.run([sys.executable, "-P", recipe, "--help"], env=environment, capture_output=True, check=False)
    return time.perf_counter() - began


def _read_corpus(settings: Settings, folder: Path) -> _Corpus:
    began = time.perf_counter()
    utterances, info = load_corpus(settings, folder)
    folds = folds_of(settings, utterances)
    return _Corpus(utterances, info, folds, time.perf_counter() - began)


def _wanted(folds: Sequence[Fold], wanted: Sequence[int] | None) -> list[str]:
    names = [fold.name for fold in folds]
    for fold in wanted or ():
        if str(fold) not in names:
            raise ConfigError(not_one_of("folds", fold, [ALL, *names]))
    return names if wanted is None else [str(fold) for fold in wanted]


def _measure(
    run: SeedRun, solve: FoldSolver, task_class: type[Task], corpus: _Corpus, folder: Path, jobs: int, cores: int
) -> _Measured:
    """Extracts a sample and trains on it, through the recipe's own code."""
    settings = run.settings
    _, run_opts = read_command_line([*run.words[1:], "--noprogressbar"])
    context, workers = (settings.values.get(key) or 0 for key in ("context_turns", "extract_workers"))
    changed = {key: value for key, value in MEASURED.items() if key in settings.values}
    places = {"output_folder": str(folder / "output"), "feature_folder": str(folder / "features")}
    small = read_settings(settings.path, {**settings.overrides, **changed, **places})
    # Whose dialogues stand on all sides of the fold that measures: the features have their turns already.
    trained = read_settings(small.path, {**small.overrides, "context_turns": 0}) if context else small
    items = sample(settings, corpus.utterances)
    began = time.time()
    task = task_class(small, without_labels(items), run_opts)
    real_features = Path(settings["feature_folder"])
    extraction = extraction_cost(folder / "features", real_features, items, corpus.utterances, began, workers)
    lengths = {}
    for fold in corpus.folds:
        decided = _decided(task, settings, fold, corpus.utterances) if brain_of(solve) else {}
        lengths[fold.name] = lengths_of(fold, settings, decided, corpus.utterances)
    torch.set_num_threads(run.threads)
    fold = sample_fold(items, has_valid=bool(corpus.folds[0].valid))
    stamp = {**run_stamp(settings, corpus.info, [fold], items), **task.stamp(small)}
    block = block_bytes(Path(settings["output_folder"]))
    cost = fold_cost(solve, task, trained, run_opts, fold, items, stamp, block)
    if brain_of(solve) is None:
        return _Measured(extraction, cost, lengths, None, None)
    in_half = parallel = None
    relative = cost.update_s / cost.fastest_update_s
    if run_opts["precision"] == "fp32" and "precision" not in run_opts.overridden_args:
        _, half_opts = read_command_line([*run.words[1:], "--noprogressbar", "--precision=bf16"])
        in_half = relative * fastest_update_seconds(solve, task, trained, half_opts, fold, items)
    if cores > jobs:
        torch.set_num_threads(1)
        parallel = cost.update_s
        if run.threads > 1:
            parallel = relative * fastest_update_seconds(solve, task, trained, run_opts, fold, items)
    return _Measured(extraction, cost, lengths, in_half, parallel)


def _decided(task: Any, settings: Settings, fold: Fold, utterances: Mapping[str, Utterance]) -> dict[str, Any]:
    """The hyperparameters that a real fold decides, from its utterances alone: the sample's features do for it."""
    held, task.utterances = task.utterances, without_labels(utterances)
    try:
        return task.overrides(settings, fold)
    finally:
        task.utterances = held


def _bill(
    to_do: Sequence[tuple[SeedRun, str]],
    measured: _Measured | None,
    num_asked: int,
    jobs: int,
    threads: int,
    process_s: Seconds,
) -> Bill:
    """Adds up what is to be done, over folds and seeds."""
    parts: dict[str, Seconds] = {}
    num_bytes = num_updates = 0
    for _, fold in to_do:
        lengths = measured.lengths[fold]
        num_bytes += measured.fold.num_bytes(lengths)
        num_updates += lengths.num_updates * lengths.num_trainings
        for name, seconds in measured.fold.seconds(lengths).items():
            parts[name] = parts.get(name, 0.0) + seconds
    return Bill(
        num_runs=len({run.seed for run, _ in to_do}),
        num_folds=len(to_do),
        num_there=num_asked - len(to_do),
        jobs=jobs,
        threads=threads,
        extraction=measured.extraction if measured else Extraction(),
        fold_parts_s=parts,
        fold_bytes=num_bytes,
        num_updates=num_updates,
        update_s=measured.fold.update_s if measured else 0.0,
        checkpoint_bytes=measured.fold.checkpoint_bytes if measured else 0,
        process_s=process_s,
    )
