"""The record of a plan: what `--json` prints and the table shows."""

import os
import resource
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from emorec_lobes.experiments.cross_validation import SeedRun
from emorec_lobes.experiments.plan_savings import Bill, Saving
from emorec_lobes.experiments.plan_stores import existing
from emorec_lobes.experiments.settings import Settings


def record(
    runs: Sequence[SeedRun], corpus: Mapping[str, Any], num_folds: int, bill: Bill, suggestions: Sequence[Saving]
) -> dict[str, Any]:
    """All that a plan says, as JSON values; see `plan.make_plan`."""
    settings = runs[0].settings
    extraction, device = bill.extraction, runs[0].run_opts["device"] or "cpu"
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    gpu = torch.cuda.max_memory_allocated(device) if str(device).startswith("cuda") else 0
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    places = _places(settings, bill)
    return {
        "corpus": dict(corpus),
        "runs": {
            "folds": num_folds,
            "seeds": [run.seed for run in runs],
            "to_do": bill.num_folds,
            "there": bill.num_there,
            "jobs": bill.jobs,
            "threads": bill.threads,
        },
        "extraction": {
            "stores": [asdict(store) for store in extraction.stores],
            "loading_s": extraction.loading_s,
            "seconds": extraction.seconds,
            "disk_bytes": extraction.disk_bytes,
        },
        "training": {
            "num_updates": bill.num_updates,
            "update_s": bill.update_s,
            "parts_s": bill.fold_parts_s,
            "seconds": bill.folds_s,
            "disk_bytes": bill.fold_bytes,
            "checkpoint_bytes": bill.checkpoint_bytes,
        },
        "processes": {"number": bill.num_processes, "start_s": bill.process_s},
        "seconds": bill.seconds,
        "disk_bytes": bill.disk_bytes,
        "memory": {"process_bytes": peak, "gpu_bytes": gpu, "machine_bytes": machine},
        "places": places,
        "disk_warning": _disk_warning(places),
        "memory_warning": _memory_warning(peak * min(bill.jobs, bill.num_folds), machine),
        "suggestions": [asdict(each) for each in suggestions],
    }


def _places(settings: Settings, bill: Bill) -> list[dict[str, Any]]:
    """The disks that are written to: what they have to hold, and have. A checkpoint comes before an older one goes."""
    needed = {
        "feature_folder": bill.extraction.disk_bytes,
        "output_folder": bill.fold_bytes + min(bill.jobs, bill.num_folds) * bill.checkpoint_bytes,
    }
    disks: dict[int, dict[str, Any]] = {}
    for key, num_bytes in needed.items():
        there = existing(Path(settings[key]))
        disk = disks.setdefault(
            there.stat().st_dev, {"folders": [], "needed_bytes": 0, "free_bytes": shutil.disk_usage(there).free}
        )
        disk["folders"].append(settings[key])
        disk["needed_bytes"] += num_bytes
    return list(disks.values())


def _disk_warning(places: Sequence[Mapping[str, Any]]) -> str | None:
    for place in places:
        needed, free = place["needed_bytes"], place["free_bytes"]
        if needed > free:
            return (
                f"The disk of {' and '.join(place['folders'])} must have {needed / 1e9:.1f} GB free, but has "
                f"{free / 1e9:.1f} GB. Free some, or choose other folders or a cheaper setting."
            )
    return None


def _memory_warning(needed: int, machine: int) -> str | None:
    if needed <= machine:
        return None
    return (
        f"All jobs together must have {needed / 1e9:.1f} GB of memory, but the machine has {machine / 1e9:.1f} GB. "
        "Use fewer --jobs."
    )
