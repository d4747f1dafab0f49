"""What a fold takes, told from a small one that is really trained: a few updates on a sample of the corpus."""

import io
import time
from collections.abc import Mapping
from contextlib import redirect_stderr
from dataclasses import dataclass, field, replace
from functools import partial
from math import ceil
from pathlib import Path
from typing import Any

import speechbrain as sb
import torch
from torch import Tensor

from emorec_lobes.corpora.manifest import Utterance
from emorec_lobes.corpora.protocol import Fold
from emorec_lobes.experiments.folds import FoldSolver, run_fold, train, train_brain
from emorec_lobes.experiments.plan_sample import line, size_of
from emorec_lobes.experiments.plan_stores import on_disk
from emorec_lobes.experiments.settings import Settings
from emorec_lobes.units import Seconds

# More updates than any measurement reaches: it is stopped in its first nominal epoch.
_NOMINAL = 100_000
MEASURED = {
    "number_of_updates": 2 * _NOMINAL,
    "updates_per_validation": _NOMINAL,
    "patience": None,
    "class_weights": None,  # a sample may lack a class
    "tensorboard": False,
    "extract_workers": 0,
}
_WARM_UP, _LEAST, _MOST = 3, 3, 60


@dataclass
class Clock:
    """What a Brain's work took: filled by the class that `clocked` makes."""

    budget_s: Seconds
    updates: list[Seconds] = field(default_factory=list)  # from one to the next, the wait for its batch included
    evaluations: list[tuple[float, Seconds]] = field(default_factory=list)  # size of what was answered, time
    saving: list[Seconds] = field(default_factory=list)  # of a checkpoint, and what else ends a nominal epoch
    after: Seconds | None = None  # when the last update of this training ended
    num_warm: int = 0

    def update_ended(self, brain: sb.Brain) -> None:
        """Counts an update, and stops the training when enough have been."""
        now = time.perf_counter()
        self.num_warm += 1
        if self.after is not None and self.num_warm > _WARM_UP:
            self.updates.append(now - self.after)
            if len(self.updates) >= _MOST or (len(self.updates) >= _LEAST and sum(self.updates) > self.budget_s):
                brain.optimizer_step_limit = brain.optimizer_step
        self.after = now

    def begin(self) -> None:
        """A stage begins."""
        self.num_warm, self.after = 0, None
        self.began = time.perf_counter()


@dataclass(frozen=True)
class FoldCost:
    """What one fold takes, by its parts; times are of one process."""

    fixed_s: Seconds  # all but the following
    update_s: Seconds  # one optimiser step, on average
    fastest_update_s: Seconds  # undisturbed by what else the machine does: for comparing
    evaluation_s: tuple[Seconds, Seconds]  # of a call, and of each second of audio or character of text
    saving_s: Seconds  # of a checkpoint
    num_answers: int  # evaluations of each split at the end
    fit_s: Seconds  # of what is no Brain, of each training utterance
    checkpoint_bytes: int
    other_bytes: int

    def seconds(self, lengths: "Lengths") -> dict[str, Seconds]:
        """Time of a fold, by what it is spent on."""
        fixed, per_size = self.evaluation_s
        answered = self.num_answers * sum(fixed + per_size * size for size in (lengths.valid, lengths.test) if size)
        validated = lengths.num_validations * (fixed + per_size * lengths.valid) if lengths.valid else 0.0
        return {
            "updates": lengths.num_trainings * lengths.num_updates * self.update_s,
            "fits": self.fit_s * lengths.num_train,
            "validations": validated,
            "checkpoints": lengths.num_trainings * lengths.num_validations * self.saving_s,
            "answers": answered,
            "rest": self.fixed_s,
        }

    def num_bytes(self, lengths: "Lengths") -> int:
        """Of its folder: the newest checkpoint, and the best where another may be that."""
        kept = (2 if lengths.valid and lengths.num_validations > 1 else 1) + (lengths.num_trainings - 1)
        return self.other_bytes + kept * self.checkpoint_bytes


@dataclass(frozen=True)
class Lengths:
    """How much a real fold trains and evaluates."""

    num_train: int
    valid: float  # seconds of audio, or characters of text
    test: float
    num_updates: int
    num_validations: int
    num_trainings: int  # 2 where all is trained again on train and valid


def lengths_of(
    fold: Fold, settings: Settings, overrides: Mapping[str, Any], utterances: Mapping[str, Utterance]
) -> Lengths:
    """How long a fold is; `overrides` are the hyperparameters that its training utterances decide."""
    decided = {**settings.values, **overrides}
    updates = decided.get("number_of_updates") or 0
    per_validation = min(decided.get("updates_per_validation") or updates, updates)
    return Lengths(
        num_train=len(fold.train),
        valid=sum(size_of(utterances[key]) for key in fold.valid),
        test=sum(size_of(utterances[key]) for key in fold.test),
        num_updates=updates,
        num_validations=ceil(updates / per_validation) if updates else 0,
        num_trainings=2 if fold.valid and settings["refit"] else 1,
    )


def clocked(brain_class: type, clock: Clock, sample: Mapping[str, Utterance]) -> type:
    """A Brain class that keeps a clock, and stops its training when the clock says so."""

    class Clocked(brain_class):
        def fit_batch(self, batch: Any) -> Tensor:
            loss = super().fit_batch(batch)
            if self.device_type == "cuda":
                torch.cuda.synchronize(self.device)
            clock.update_ended(self)
            return loss

        def on_stage_start(self, stage: sb.Stage, epoch: int | None = None) -> None:
            super().on_stage_start(stage, epoch)
            clock.begin()

        def on_stage_end(self, stage: sb.Stage, stage_loss: float, epoch: int | None = None) -> None:
            ended = time.perf_counter()
            if stage is not sb.Stage.TRAIN:
                clock.evaluations.append((sum(size_of(sample[key]) for key in self.predictions), ended - clock.began))
            super().on_stage_end(stage, stage_loss, epoch)
            if stage is sb.Stage.VALID or (stage is sb.Stage.TRAIN and not self.has_valid):
                clock.saving.append(time.perf_counter() - ended)

    return Clocked


def brain_of(solve: FoldSolver) -> type | None:
    """The Brain class that a recipe trains; None where it trains something else."""
    return solve.args[0] if isinstance(solve, partial) and solve.func is train_brain else None


def fold_cost(
    solve: FoldSolver,
    task: Any,
    settings: Settings,
    run_opts: Any,
    fold: Fold,
    sample: Mapping[str, Utterance],
    stamp: Mapping[str, Any],
    block: int,
    budget_s: Seconds = 8.0,
) -> FoldCost:
    """Trains and answers a small fold as a recipe would, and takes the time of its parts.

    Arguments
    ---------
    solve, task, settings, run_opts, fold, stamp
        As `folds.run_fold`; the settings with `MEASURED`, an `output_folder` that may be filled.
    sample : mapping
        id -> `Utterance`: what the task has the features of.
    block : int
        Of the disk where results will lie.
    budget_s : float
        For the updates.
    """
    clock, brain_class = Clock(budget_s), brain_of(solve)
    folder = Path(settings["output_folder"]) / f"fold_{fold.name}"
    began = time.perf_counter()
    with redirect_stderr(io.StringIO()):
        timed = partial(train_brain, clocked(brain_class, clock, sample)) if brain_class else solve
        run_fold(timed, task, settings, run_opts, fold, sample, stamp)
    whole = time.perf_counter() - began
    checkpoint, other = _bytes_of(folder, block)
    if brain_class is None:
        fit = _fit_seconds(partial(solve, task, settings, run_opts), fold, sample, folder)
        rest = max(0.0, whole - fit * len(fold.train))
        return FoldCost(rest, 0.0, 0.0, (0.0, 0.0), 0.0, 0, fit, checkpoint, other)
    counted = sum(clock.updates) + sum(clock.saving) + sum(took for _, took in clock.evaluations)
    num_splits, in_training = (2, 1) if fold.valid else (1, 0)
    return FoldCost(
        fixed_s=max(0.0, whole - counted),
        update_s=sum(clock.updates) / len(clock.updates) * run_opts["grad_accumulation_factor"],
        fastest_update_s=min(clock.updates) * run_opts["grad_accumulation_factor"],
        evaluation_s=line(*map(list, zip(*clock.evaluations, strict=True))),
        saving_s=sum(clock.saving) / len(clock.saving),
        num_answers=(len(clock.evaluations) - in_training) // num_splits,
        fit_s=0.0,
        checkpoint_bytes=checkpoint,
        other_bytes=other,
    )


def fastest_update_seconds(
    solve: FoldSolver, task: Any, settings: Settings, run_opts: Any, fold: Fold, sample: Mapping[str, Utterance]
) -> Seconds:
    """The shortest time of an update, e.g. under another precision."""
    clock = Clock(budget_s=4.0)
    folder = Path(settings["output_folder"]) / "updates"
    train(clocked(brain_of(solve), clock, sample), task, settings, run_opts, fold, folder)
    return min(clock.updates) * run_opts["grad_accumulation_factor"]


def _fit_seconds(solve: Any, fold: Fold, sample: Mapping[str, Utterance], folder: Path) -> Seconds:
    """The time of each training utterance, where there is no Brain: a fold of half as many has the same rest."""
    classes: dict[str, list[str]] = {}
    for key in fold.train:
        classes.setdefault(sample[key].emotion, []).append(key)
    half = replace(fold, train=tuple(key for ids in classes.values() for key in ids[: ceil(len(ids) / 2)]))
    took = []
    for each in (half, fold):
        began = time.perf_counter()
        solve(each, sample, folder)
        took.append(time.perf_counter() - began)
    return line([float(len(half.train)), float(len(fold.train))], took)[1]


def _bytes_of(folder: Path, block: int) -> tuple[int, int]:
    """On a disk of these blocks: of one checkpoint, and of all that is none."""
    checkpoints: dict[Path, int] = {}
    other = 0
    for path in folder.rglob("*"):
        size = on_disk(path.stat().st_size, block) if path.is_file() else block
        inside = next((each for each in (path, *path.parents) if each.name.startswith("CKPT+")), None)
        if inside is None:
            other += size
        else:
            checkpoints[inside] = checkpoints.get(inside, 0) + size
    return max(checkpoints.values(), default=0), other
