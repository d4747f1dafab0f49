"""A paper's rows, run in the order in which they need each other; what is finished is not run again."""

import shlex
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from emorec_lobes.evaluation.paper_tables import Made, Ours, paper_text
from emorec_lobes.experiments.cross_validation import SeedRun
from emorec_lobes.experiments.engines import Engine, Job
from emorec_lobes.experiments.jobs import run_jobs
from emorec_lobes.experiments.paper_jobs import PaperJobs, is_fused
from emorec_lobes.experiments.rehearsal import make_rehearsal
from emorec_lobes.experiments.results import read_record
from emorec_lobes.experiments.run import ALL, NONE
from emorec_lobes.files import read_json

_REHEARSED = (
    "A REHEARSAL: on synthetic speech, with encoders of random weights and a few updates. Its numbers say that the "
    "software works, and nothing of the paper's."
)
# Of the probes of a fold, the one that the paper has: asked for, probe, of which utterances.
_PAPERS_PROBE = ("speaker", "network", "held out")


def reproduce(jobs: PaperJobs, engine: Engine, at_once: int) -> list[str]:
    """Runs what is not finished: pre-training, preparation, folds, what pools them, then probes and fusions.

    A rehearsal makes its corpora and encoders first.

    Arguments
    ---------
    jobs : PaperJobs
    engine : Engine
    at_once : int
        Jobs that run at one time.

    Returns
    -------
    list of str
        What is missing in the end, a line each.
    """
    if jobs.rehearsal is not None:
        make_rehearsal(jobs.places.to, jobs.rehearsal, jobs.local_encoders(), bool(jobs.pretrainings))
    failures: dict[Job, str] = {}
    pretrainings = [each.job for each in jobs.pretrainings.values() if each is not None and not each.is_finished]
    failures |= run_jobs(pretrainings, engine, at_once, "pre-training")
    ready = {name: runs for name, runs in jobs.runs.items() if jobs.waits_for(name) is None}
    runs = [(name, run) for name, seeds in ready.items() for run in seeds]
    unprepared = {_job(name, run, NONE): run for name, run in runs if not run.folds()}
    unpreparable = run_jobs(list(unprepared), engine, at_once, "preparing")
    failures |= unpreparable
    stopped = [unprepared[job] for job in unpreparable]
    runs = [(name, run) for name, run in runs if run not in stopped]
    folds = [_job(name, run, fold) for name, run in runs for fold in run.unfinished()]
    failures |= run_jobs(folds, engine, at_once, "folds")
    whole = [_job(name, run, ALL) for name, run in runs if not run.unfinished() and not run.is_pooled()]
    failures |= run_jobs(whole, engine, at_once, "pooling")
    failures |= run_jobs(_derived(jobs), engine, at_once, "probes and fusions")
    waiting = {name: jobs.waits_for(name) for name in jobs.runs}
    lines = [f"{job.name} failed: {reason} (log: {job.log})" for job, reason in failures.items()]
    lines += [
        f"{name} was not run: its data must be named. Give --voxceleb DIR."
        for name, each in jobs.pretrainings.items()
        if each is None
    ]
    return lines + [f"{name} was not run: it needs {needed}." for name, needed in waiting.items() if needed]


def _job(name: str, run: SeedRun, fold: str) -> Job:
    """A job of a run, under the run's name."""
    what = {ALL: "pooling", NONE: "preparation"}.get(fold, f"fold {fold}")
    job = run.job(fold, what)
    return replace(job, name=f"{name}, {job.name}")


def _derived(jobs: PaperJobs) -> list[Job]:
    """The probes and fusions that can be made and are not there."""
    probes = [job for name in jobs.paper.probes for job, record in jobs.probes(name) if not record.exists()]
    fusions = [job for name in jobs.paper.fusions for job, folder, of in jobs.fusions(name) if not is_fused(folder, of)]
    return probes + fusions


def made(jobs: PaperJobs) -> dict[str, list[Made]]:
    """What is finished: run, probe or fusion -> what each seed gave; those that gave nothing are left out."""
    found = {name: [_run_made(run) for run in runs] for name, runs in jobs.runs.items()}
    for name in jobs.paper.probes:
        by_seed: dict[Path, dict[str, dict[str, float]]] = {}
        for _, record in jobs.probes(name):
            if record.exists():
                fold = record.parents[1]
                by_seed.setdefault(fold.parent, {})[fold.name.removeprefix("fold_")] = _probed(record)
        sizes = {run.folder: len(run.folds()) for run in jobs.runs[jobs.paper.probes[name]]}
        found[name] = [Made(folds, {} if len(folds) == sizes[run] else None) for run, folds in by_seed.items()]
    for name in jobs.paper.fusions:
        fused = [read_record(folder) for _, folder, of in jobs.fusions(name) if is_fused(folder, of)]
        found[name] = [Made({row["fold"]: row for row in record["folds"]}, record) for record in fused]
    return {name: [seed for seed in seeds if seed.folds] for name, seeds in found.items()}


def _run_made(run: SeedRun) -> Made:
    folds = run.folds()
    records = {fold: read_record(run.folder / f"fold_{fold}") for fold in folds if run.is_finished(fold)}
    pooled = read_record(run.folder) if folds and len(records) == len(folds) and run.is_pooled() else None
    return Made(records, pooled)


def _probed(path: Path) -> dict[str, float]:
    probes = read_json(path, "emorec probe", needed=("probes",))["probes"]
    [row] = [row for row in probes if (row["asked_for"], row["probe"], row["utterances"]) == _PAPERS_PROBE]
    return {"accuracy": row["accuracy"]}


def tables(jobs: PaperJobs, plain: bool = False) -> str:
    """The paper's tables with what is finished: Markdown, or aligned text."""
    word, warning = ("rehearsal", _REHEARSED) if jobs.rehearsal is not None else ("ours", "")
    num_seeds = max(map(len, jobs.runs.values()))
    return paper_text(
        jobs.paper.title, jobs.paper.tables, Ours(word, warning, num_seeds, made(jobs)), jobs.paper.decimals, plain
    )


def listing(jobs: PaperJobs) -> str:
    """Every job as a line of shell, and how far it is; nothing is run.

    Arguments
    ---------
    jobs : PaperJobs

    Returns
    -------
    str
    """
    return "\n".join([*_pretraining_lines(jobs), *_run_lines(jobs), *_derived_lines(jobs)]) + "\n"


def _pretraining_lines(jobs: PaperJobs) -> Iterable[str]:
    for name, each in jobs.pretrainings.items():
        if each is None:
            yield f"# {name}: needs --voxceleb DIR"
        else:
            yield f"# {name}: {'done' if each.is_finished else 'to do'}"
            yield shlex.join(["python", *each.job.words[:-1]])


def _run_lines(jobs: PaperJobs) -> Iterable[str]:
    for name, seeds in jobs.runs.items():
        paper_run, needed = jobs.paper.runs[name], jobs.waits_for(name)
        states = [
            f"seed {run.seed} {len(run.folds()) - len(run.unfinished())} of {len(run.folds())} folds done"
            if run.folds()
            else f"seed {run.seed} to do"
            for run in seeds
        ]
        yield f"# {name}: {', '.join(states)}{f', after {needed}' if needed else ''}"
        options = seeds[0].words[2:-2]  # without seed and folder
        numbers = ",".join(str(run.seed) for run in seeds)
        words = [paper_run.recipe, paper_run.hparams, *options, "--seeds", numbers, "--to", str(seeds[0].folder.parent)]
        yield shlex.join(["emorec", "cv", *words])


def _derived_lines(jobs: PaperJobs) -> Iterable[str]:
    for name, run in jobs.paper.probes.items():
        there = sum(record.exists() for _, record in jobs.probes(name))
        yield f"# {name}: every fold of every seed, after {run}; {there} done"
        yield shlex.join(["emorec", "probe", str(jobs.runs[run][0].folder), "--fold", "1"])
    for name, fusion in jobs.paper.fusions.items():
        there = sum(is_fused(folder, of) for _, folder, of in jobs.fusions(name))
        yield f"# {name}: every seed, after {' and '.join(fusion.of)}; {there} done"
        files = [str(jobs.runs[each][0].folder / "predictions.csv") for each in fusion.of]
        folder = str(jobs.places.to / name / jobs.runs[fusion.of[0]][0].folder.name)
        yield shlex.join(["emorec", "fuse", *files, "--weights", *map(str, fusion.weights), "--to", folder])
