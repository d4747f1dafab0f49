"""A plan as a page of plain text."""

from collections.abc import Mapping
from typing import Any

from emorec_lobes.evaluation.report import aligned
from emorec_lobes.units import Seconds


def plan_table(plan: Mapping[str, Any]) -> str:
    """The record of `plan.make_plan` as text.

    Arguments
    ---------
    plan : mapping

    Returns
    -------
    str
    """
    corpus, runs, extraction, training = (plan[key] for key in ("corpus", "runs", "extraction", "training"))
    num_all = runs["to_do"] + runs["there"]
    hours = f", {corpus['hours']:.2f} h" if corpus["hours"] else ""
    title = (
        f"{corpus['name']}: {corpus['utterances']} utterances{hours}; folds: {runs['folds']}; seeds: "
        f"{', '.join(map(str, runs['seeds']))}; trainings: {num_all}, {runs['jobs']} at a time, "
        f"threads of each: {runs['threads']}"
    )
    if not runs["to_do"]:
        return f"{title}\n\nAll of it is already there.\n"
    rows = [["", "already there", "to do", "disk", "time"]]
    if extraction["loading_s"]:
        rows.append(["  loading", "", "", "", duration(extraction["loading_s"])])
    for store in extraction["stores"]:
        cells = [str(store["num_there"]), str(store["num_missing"]), size(store["disk_bytes"])]
        rows.append([f"  {store['name']}", *cells, duration(store["seconds"])])
    rows.append(["extraction", "", "", size(extraction["disk_bytes"]), duration(extraction["seconds"])])
    for name, seconds in training["parts_s"].items():
        if seconds:
            rows.append([f"  {name}", "", "", "", duration(seconds)])
    cells = [str(runs["there"]), str(runs["to_do"]), size(training["disk_bytes"])]
    rows.append(["training, of folds", *cells, duration(training["seconds"])])
    started = plan["processes"]
    rows.append(
        ["starts of processes", "", str(started["number"]), "", duration(started["number"] * started["start_s"])]
    )
    rows.append([f"all, with --jobs {runs['jobs']}", "", "", size(plan["disk_bytes"]), duration(plan["seconds"])])
    return "\n\n".join([title, aligned(rows), "\n".join(_notes(plan))]) + "\n"


def _notes(plan: Mapping[str, Any]) -> list[str]:
    training, memory = plan["training"], plan["memory"]
    notes = []
    if training["update_s"]:
        notes.append(f"updates: {training['num_updates']} of {training['update_s']:.3g} s")
    if training["checkpoint_bytes"]:
        notes.append(f"a checkpoint: {size(training['checkpoint_bytes'])}")
    gpu = f", {size(memory['gpu_bytes'])} of the GPU's" if memory["gpu_bytes"] else ""
    notes.append(
        f"memory of a process: {size(memory['process_bytes'])}{gpu}; of the machine: {size(memory['machine_bytes'])}"
    )
    for place in plan["places"]:
        where = " and ".join(place["folders"])
        notes.append(f"free for {where}: {size(place['free_bytes'])}, needed: {size(place['needed_bytes'])}")
    notes += [f"WARNING: {plan[key]}" for key in ("disk_warning", "memory_warning") if plan[key]]
    for saving in plan["suggestions"]:
        saved = [size(saving["disk_bytes"])] if saving["disk_bytes"] else []
        saved += [duration(saving["seconds"])] if saving["seconds"] else []
        notes.append(f"cheaper: {saving['options']} saves {' and '.join(saved)} ({saving['note']})")
    return notes


def size(num_bytes: float) -> str:
    """Bytes as people read them.

    Example
    -------
    >>> size(900), size(1_540_000), size(110_000_000_000)
    ('0.9 kB', '1.5 MB', '110 GB')
    """
    for unit, name in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB")):
        if num_bytes >= unit:
            return _rounded(num_bytes / unit, name)
    return _rounded(num_bytes / 1e3, "kB")


def duration(seconds: Seconds) -> str:
    """A time as people read it.

    Example
    -------
    >>> duration(0.04), duration(90), duration(4000), duration(200_000)
    ('0.0 s', '1.5 min', '1.1 h', '2.3 days')
    """
    for unit, name in ((86_400, "days"), (3600, "h"), (60, "min")):
        if seconds >= unit:
            return _rounded(seconds / unit, name)
    return _rounded(seconds, "s")


def _rounded(value: float, unit: str) -> str:
    return f"{value:.0f} {unit}" if value >= 10 else f"{value:.1f} {unit}"
