"""`emorec extract --engine ray`: what is missing, on all cores or GPUs of a cluster."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from emorec_lobes.scale.confined import at_most
from emorec_lobes.scale.mapping import on_ray

# What became of an utterance: its id, and what is wrong with its data, if anything is.
Answer = tuple[str, str | None]
Do = Callable[[list[Any]], list[Answer]]

_GROUP = 16  # utterances that are handed over together, or as many as belong together
# What one may take before its worker is ended: loading the encoder, and a multiple of its duration.
_STALLED_S, _STALLED_RATIO = 600, 60


def extract_on_ray(do: Do, chunks: list[list[Any]], workers: int, on_gpu: bool) -> Iterator[Answer]:
    """Does the jobs of `extract`, in their order.

    Arguments
    ---------
    do : callable
        Jobs -> what became of each; importable.
    chunks : list of list
        Jobs that one worker should do one after another.
    workers : int
        As `on_ray`.
    on_gpu : bool
        Whether the encoder runs on a GPU.
    """
    groups: list[list[Any]] = []
    for chunk in chunks:
        if groups and len(groups[-1]) + len(chunk) <= _GROUP:
            groups[-1] += chunk
        else:
            groups.append(list(chunk))
    for answers in on_ray(partial(_watched, do), _lost, groups, workers, on_gpu):
        yield from map(tuple, answers)


def _watched(do: Do, group: list[Any]) -> list[Answer]:
    answers = []
    for job in group:
        with at_most(_STALLED_S + _STALLED_RATIO * job.utterance.duration):
            answers += do([job])
    return answers


def _lost(job: Any) -> Answer:
    return job.utterance.id, "It kills or stalls whatever reads it. Convert its audio, or leave it out."
