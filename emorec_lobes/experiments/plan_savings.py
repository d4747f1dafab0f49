"""A plan added up, and what would make it cheaper, each with what it saves."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import ceil

from emorec_lobes.experiments.plan_stores import Extraction
from emorec_lobes.experiments.settings import Settings
from emorec_lobes.features.mel import NUM_MELS
from emorec_lobes.units import Seconds

_MOST = 3
_LEAST_SHARE = 0.05  # of all time or all space: less is not worth a change


@dataclass(frozen=True)
class Bill:
    """All that is to be done."""

    num_runs: int  # seeds with something left to do
    num_folds: int  # over all seeds
    num_there: int
    jobs: int
    threads: int
    extraction: Extraction
    fold_parts_s: Mapping[str, Seconds]  # of all folds together
    fold_bytes: int
    num_updates: int
    update_s: Seconds
    checkpoint_bytes: int
    process_s: Seconds  # until a process has loaded its libraries and read the corpus

    @property
    def num_processes(self) -> int:
        """One prepares and one pools each seed; one solves each fold."""
        return 2 * self.num_runs + self.num_folds

    @property
    def folds_s(self) -> Seconds:
        """Of all folds, one after another."""
        return sum(self.fold_parts_s.values())

    @property
    def seconds(self) -> Seconds:
        """All, with as many processes at a time as there are jobs. The first seed is prepared alone."""
        if not self.num_folds:
            return 0.0
        at_once = ceil(self.num_folds / self.jobs) / self.num_folds
        turns = 1 + ceil((self.num_runs - 1) / self.jobs) + ceil(self.num_runs / self.jobs)
        turns += self.num_folds * at_once
        return self.extraction.seconds + self.folds_s * at_once + turns * self.process_s

    @property
    def disk_bytes(self) -> int:
        """All that stays."""
        return self.extraction.disk_bytes + self.fold_bytes


@dataclass(frozen=True)
class Saving:
    """A cheaper setting."""

    options: str
    disk_bytes: int
    seconds: Seconds
    note: str


def savings(
    settings: Settings, bill: Bill, update_bf16_s: Seconds | None, update_parallel_s: Seconds | None, cores: int
) -> list[Saving]:
    """The settings that save most, at most three, and none that saves less than a twentieth of time or space.

    Arguments
    ---------
    settings : Settings
    bill : Bill
    update_bf16_s : float, optional
        An update in half precision, if it was measured.
    update_parallel_s : float, optional
        An update with one thread, if it was measured.
    cores : int
        Of the machine.
    """

    def share(saving: Saving) -> float:
        return max(saving.disk_bytes / max(bill.disk_bytes, 1), saving.seconds / max(bill.seconds, 1e-9))

    found = [*_of_stores(settings, bill), *_of_training(settings, bill, update_bf16_s)]
    if update_parallel_s is not None and (jobs := min(cores, bill.num_folds)) > bill.jobs:
        other = _with_update(replace(bill, jobs=jobs), update_parallel_s)
        found.append(Saving(f"--jobs {jobs} --threads 1", 0, bill.seconds - other.seconds, "the same trainings"))
    worth = [saving for saving in found if share(saving) >= _LEAST_SHARE]
    return sorted(worth, key=share, reverse=True)[:_MOST]


def _of_stores(settings: Settings, bill: Bill) -> Iterator[Saving]:
    stores = bill.extraction.stores
    copies = settings.values.get("wave_copies") or 0
    if copies:
        kept = copies // 2
        gone = [store for store in stores if _copy_number(store.name) > kept]
        disk, seconds = sum(store.disk_bytes for store in gone), sum(store.seconds for store in gone)
        yield Saving(f"--wave_copies {kept}", disk, seconds, "less augmentation")
    num_layers, width = (settings.values.get(key) or 0 for key in ("num_layers", "encoder_dim"))
    layers = sum(store.disk_bytes for store in stores if store.name.startswith("layers-"))
    if num_layers * width > NUM_MELS:
        part = 1 - NUM_MELS / (num_layers * width)
        options = f"--encoder mel --num_layers 1 --encoder_dim {NUM_MELS}"
        yield Saving(options, round(layers * part), 0.0, "a weaker input, for a rehearsal")
    tokens = sum(store.disk_bytes for store in stores if store.name.startswith("tokens-"))
    key = "text_num_layers" if "text_num_layers" in settings.values else "num_layers"
    if tokens and settings[key] > 1:
        saved = round(tokens * (1 - 1 / settings[key]))
        yield Saving(f"--{key} 1", saved, 0.0, "the last layer in place of a mix of all")


def _of_training(settings: Settings, bill: Bill, update_bf16_s: Seconds | None) -> Iterator[Saving]:
    if update_bf16_s is not None:
        saved = bill.seconds - _with_update(bill, update_bf16_s).seconds
        yield Saving("--precision bf16", 0, saved, "other last digits")
    per_validation = settings.values.get("updates_per_validation")
    if per_validation and 2 * per_validation <= (settings["number_of_updates"] or 0):
        parts = {**bill.fold_parts_s}
        for name in ("validations", "checkpoints"):
            parts[name] = parts[name] / 2
        saved = bill.seconds - replace(bill, fold_parts_s=parts).seconds
        yield Saving(f"--updates_per_validation {2 * per_validation}", 0, saved, "a coarser choice of the checkpoint")


def _with_update(bill: Bill, update_s: Seconds) -> Bill:
    return replace(bill, fold_parts_s={**bill.fold_parts_s, "updates": bill.num_updates * update_s})


def _copy_number(store: str) -> int:
    found = re.search(r"-copy(\d+)-", store)
    return int(found[1]) if found else 0
