"""`emorec predict --jobs` and `--engine ray`: the groups in which one process would ask, each in one of several."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any

import torch

from emorec_lobes.inference.answer_rows import written
from emorec_lobes.inference.answering import Asking, Item
from emorec_lobes.inference.recognizer import EmotionRecognizer
from emorec_lobes.scale.cluster import num_cores
from emorec_lobes.scale.confined import at_most, in_processes
from emorec_lobes.scale.mapping import on_ray


@dataclass(frozen=True)
class Wanted:
    """What is asked of each file.

    Arguments
    ---------
    model : str
    options : tuple of pairs
        As `EmotionRecognizer.from_hparams`.
    form : str
        As `answer_rows.written`.
    labels, threshold
        As `EmotionRecognizer.predict`.
    windows : tuple of pairs, optional
        Of timelines.
    threads : int, optional
        Of each process; its own choice if None.
    """

    model: str
    options: tuple[tuple[str, Any], ...]
    form: str
    labels: tuple[str, ...] | None
    threshold: float | None
    windows: tuple[tuple[str, float], ...] | None
    threads: int | None = None

    @property
    def group_size(self) -> int:
        """Files that are asked about together, as one process does: the same waves meet in the same batches."""
        return Asking.group_size(dict(self.options)["batch_size"]) if self.windows is None else 1


def answers_of_groups(
    wanted: Wanted, items: Sequence[Item], jobs: int, engine: str
) -> Iterator[tuple[list[str], list[str]]]:
    """What is to be written of each group of files, in their order, and a line for each that failed.

    Arguments
    ---------
    wanted : Wanted
    items : sequence of (file, text)
    jobs : int
        Processes; on Ray, 0 is as many as the cluster has cores or GPUs.
    engine : str
        `local` or `ray`.
    """
    size = wanted.group_size
    groups = [list(items[start : start + size]) for start in range(0, len(items), size)]
    if engine == "ray":  # which gives each process the threads that it has cores
        answers = on_ray(partial(_answered, wanted), _lost, groups, jobs, dict(wanted.options)["device"] != "cpu")
    else:
        wanted = replace(wanted, threads=max(1, num_cores() // jobs))
        answers = in_processes(partial(_answered, wanted), _lost, groups, jobs)
    for rows in answers:
        yield [text for text, has_failed in rows if not has_failed], [text for text, has_failed in rows if has_failed]


def _answered(wanted: Wanted, group: list[Item]) -> list[tuple[str, bool]]:
    """What to write, or what to say of a failure, which the second value tells apart."""
    asking = Asking(
        _recognizer(wanted.model, wanted.options, wanted.threads),
        wanted.labels,
        wanted.threshold,
        dict(wanted.options)["batch_size"],
        guard=at_most,
    )
    if wanted.windows is None:
        found = asking.predictions(map(tuple, group))
    else:
        found = asking.timelines([file for file, _ in group], **dict(wanted.windows))
    rows = [(written(wanted.form, name, answer), False) for name, answer in found]
    return rows + [(line, True) for line in asking.failed]


@lru_cache(maxsize=1)
def _recognizer(model: str, options: tuple[tuple[str, Any], ...], threads: int | None) -> EmotionRecognizer:
    if threads is not None:
        torch.set_num_threads(threads)
    return EmotionRecognizer.from_hparams(model, **dict(options))


def _lost(item: Item) -> tuple[str, bool]:
    file, text = item
    return f"{file if file is not None else text} kills or stalls whatever reads it. Convert it, or leave it out.", True
