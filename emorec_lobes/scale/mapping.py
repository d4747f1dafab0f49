"""Groups of items through Ray Data: answers in order, each once, whatever dies."""

import json
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from emorec_lobes import errors
from emorec_lobes.errors import EmorecError, UnavailableError
from emorec_lobes.scale.cluster import start_ray
from emorec_lobes.scale.confined import Confined, Work

# Groups that are handed over, and tried again, together; and how many of these Ray Data is given at most.
_MAX_BLOCKS = 10_000
# Groups of one object in Ray's store.
_SHELF = 64


def on_ray(
    work: Work, lost: Callable[[Any], Any], groups: Sequence[list[Any]], workers: int = 0, on_gpu: bool = False
) -> Iterator[list[Any]]:
    """The answers of each group, in the order of the groups.

    Each of Ray's actors keeps a process in which `work` is done, so that what it loads is loaded once. A worker that is
    killed, or whose machine is lost, is replaced by Ray, and its groups are done again; an item that kills the process
    again and again is left out, for which `lost` answers. The cluster that was started here ends with the last answer.

    Arguments
    ---------
    work : callable
        A group -> list of answers, which JSON can hold; importable wherever Ray runs, in the same folder.
    lost : callable
        An item -> the answer in its place if it kills its process.
    groups : sequence of list
    workers : int
        Actors, with a core each; 0 for as many as the cluster has cores, or GPUs if `on_gpu`.
    on_gpu : bool
        Whether each asks for a GPU.

    Raises
    ------
    EmorecError
        What `work` raised; the rest is left undone.
    UnavailableError
        If Ray or its cluster is not there, or no longer.
    """
    if not groups:
        return
    ray = start_ray()
    try:
        data = _data()
        there = ray.cluster_resources().get("GPU" if on_gpu else "CPU", 0)
        shelves = [ray.put(groups[start : start + _SHELF]) for start in range(0, len(groups), _SHELF)]
        places = [{"place": place} for place in range(len(groups))]
        found = data.from_items(places, override_num_blocks=min(len(groups), _MAX_BLOCKS)).map_batches(
            _Actor,
            fn_constructor_args=(work, lost, shelves, Path.cwd()),
            batch_size=1,
            compute=data.ActorPoolStrategy(size=min(workers or max(1, int(there)), len(groups))),
            num_cpus=1,
            num_gpus=1 if on_gpu else None,
        )
        for row in found.iter_rows():
            if row["error"]:
                raise getattr(errors, row["error"])(row["answers"])
            yield json.loads(row["answers"])
    except ray.exceptions.RayTaskError:
        raise  # a fault of ours, with its traceback
    except ray.exceptions.RayError as error:  # more died than Ray can replace
        reason = str(error).strip().partition("\n")[0]
        raise UnavailableError(f"Ray: the cluster failed ({reason}). Run the same command again to go on.") from None
    finally:
        ray.shutdown()


class _Actor:
    """What Ray keeps on a core."""

    def __init__(self, work: Work, lost: Callable[[Any], Any], shelves: list[Any], folder: Path) -> None:
        os.chdir(folder)
        self._confined, self._shelves = Confined(work, lost), shelves
        self._held: tuple[int, list[list[Any]]] = (-1, [])

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[str]]:
        try:
            answers, error = json.dumps(self._confined(self._group(int(batch["place"][0])))), ""
        except EmorecError as caught:  # for the user: passed on as it is, where Ray would wrap it up
            answers, error = str(caught), type(caught).__name__
        return {"answers": [answers], "error": [error]}

    def _group(self, place: int) -> list[Any]:
        import ray

        shelf, place = divmod(place, _SHELF)
        if self._held[0] != shelf:
            self._held = (shelf, ray.get(self._shelves[shelf]))
        return self._held[1][place]


def _data() -> Any:
    """Ray Data, in order and without a word on the terminal."""
    try:
        from ray import data
    except ImportError as error:
        raise UnavailableError(f"`ray.data` needs more ({error}). Run pip install 'emorec[scale]'.") from None
    context = data.DataContext.get_current()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = context.print_on_execution_start = False
    context.target_max_block_size = 2**20  # what is reserved for an answer that is not there yet
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    return data
