"""What the feature stores of a corpus will take, told from those of a sample of it."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from emorec_lobes.corpora.manifest import Utterance
from emorec_lobes.experiments.plan_sample import line, size_of
from emorec_lobes.features.store import HEADER, FeatureStore
from emorec_lobes.features.store_values import frame_bytes
from emorec_lobes.units import SAMPLE_RATE_HZ, Seconds, num_frames


@dataclass(frozen=True)
class StoreCost:
    """What one store takes: what it has yet to get, and how many utterances are in it."""

    name: str
    num_there: int
    num_missing: int
    num_bytes: int  # of the missing utterances' files
    disk_bytes: int  # the same in whole blocks, as a disk gives them, with folders
    seconds: Seconds = 0.0  # an even share of what it takes to fill those that are filled with it


@dataclass(frozen=True)
class Extraction:
    """What the stores of a recipe take that are not there yet."""

    stores: tuple[StoreCost, ...] = ()
    loading_s: Seconds = 0.0  # of encoders, until the first utterance is begun

    @property
    def seconds(self) -> Seconds:
        """All of its time."""
        return self.loading_s + sum(store.seconds for store in self.stores)

    @property
    def disk_bytes(self) -> int:
        """All of its space."""
        return sum(store.disk_bytes for store in self.stores)


@dataclass(frozen=True)
class _Sampled:
    """A store of the sample, when each of its utterances was finished, and the store that the user has or will have."""

    store: FeatureStore
    real: FeatureStore
    done: Mapping[str, float]

    @property
    def reads_text(self) -> bool:
        return self.store.header.sample_rate_hz is None

    def missing(self, utterances: Mapping[str, Utterance]) -> list[str]:
        """The utterances that the real one lacks; those without a text are never in one of texts."""
        return [
            key
            for key, item in utterances.items()
            if key not in self.real and not (self.reads_text and not (item.text or "").strip())
        ]


def extraction_cost(
    root: Path,
    real_root: Path,
    sample: Mapping[str, Utterance],
    utterances: Mapping[str, Utterance],
    began: float,
    workers: int,
) -> Extraction:
    """The cost of all stores of a recipe.

    Arguments
    ---------
    root : Path
        Folder of the stores that the sample has just been extracted to.
    real_root : Path
        Folder of those that the recipe will use; only read.
    sample, utterances : mapping
        id -> `Utterance`: what `root` holds, and the corpus.
    began : float
        When the extraction of the sample began, in seconds of the clock that dates files.
    workers : int
        Processes that will extract; 0 for one with all threads.

    Returns
    -------
    Extraction
    """
    found = [_read(path.parent, root, real_root) for path in sorted(root.rglob(HEADER))]
    stores: list[StoreCost] = []
    loading_s = 0.0
    for group in _filled_together(found):
        first, fixed, per_size = _times(group, sample, began)
        began = max(max(each.done.values()) for each in group)
        costs = [_store_cost(each, real_root, sample, utterances) for each in group]
        missing = {key for each in group for key in each.missing(utterances)}
        size = sum(size_of(utterances[key], group[0].reads_text) for key in missing)
        seconds = (fixed * len(missing) + per_size * size) / max(1, min(workers, len(missing)))
        loading_s += first if missing else 0.0
        stores += [replace(cost, seconds=seconds / len(group)) for cost in costs]
    return Extraction(tuple(stores), loading_s)


def on_disk(num_bytes: int, block: int) -> int:
    """What a file of this size takes on a disk.

    Example
    -------
    >>> on_disk(1, 4096), on_disk(4096, 4096), on_disk(4097, 4096)
    (4096, 4096, 8192)
    """
    return -(-num_bytes // block) * block


def block_bytes(folder: Path) -> int:
    """The block of the disk where a folder is or would be."""
    return os.statvfs(existing(folder)).f_frsize


def existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    folder = Path(folder).absolute()
    return next(each for each in (folder, *folder.parents) if each.exists())


def _read(folder: Path, root: Path, real_root: Path) -> _Sampled:
    store = FeatureStore.read_only(folder)
    done = {key: (folder / store.entry(key).file).stat().st_mtime for key in store.ids}
    return _Sampled(store, FeatureStore(Path(real_root) / folder.relative_to(root), store.header), done)


def _store_cost(
    one: _Sampled, real_root: Path, sample: Mapping[str, Utterance], utterances: Mapping[str, Utterance]
) -> StoreCost:
    """Frames are counted where a grid of time says how many there are, else taken in proportion; then come widths."""
    store, block = one.store, block_bytes(real_root)
    is_exact = store.header.frame_shift_s is not None and not _is_copy(store)
    frames = {key: store.num_frames(key) for key in store.ids}
    fixed, per_size = line([size_of(sample[key], one.reads_text) for key in frames], list(map(float, frames.values())))
    per_frame = frame_bytes(store.header.dtype, store.header.shape)
    beside = [
        (store.folder / store.entry(key).file).stat().st_size - count * per_frame for key, count in frames.items()
    ]
    missing = one.missing(utterances)
    sizes = []
    for key in missing:
        size = size_of(utterances[key], one.reads_text)
        count = num_frames(round(size * SAMPLE_RATE_HZ)) if is_exact else max(1, round(fixed + per_size * size))
        sizes.append(count * per_frame + round(sum(beside) / len(beside)))
    index = sum(map(len, (store.folder / "index.jsonl").read_bytes().splitlines(keepends=True)))
    index = round(index / len(frames) * len(missing))
    folders = len({hashlib.sha256(key.encode()).hexdigest()[:2] for key in missing})
    disk = sum(on_disk(size, block) for size in sizes) + on_disk(index, block) + folders * block
    there = sum(key in one.real for key in utterances)
    return StoreCost(store.folder.name, there, len(missing), sum(sizes) + index, disk)


def _is_copy(store: FeatureStore) -> bool:
    return "wave" in store.header.identity


def _filled_together(found: Sequence[_Sampled]) -> list[list[_Sampled]]:
    """Stores whose files came by turns, an utterance's features one after another; in the order of time."""
    groups: list[list[_Sampled]] = []
    for each in sorted(found, key=lambda one: min(one.done.values())):
        if groups and min(each.done.values()) < max(max(one.done.values()) for one in groups[-1]):
            groups[-1].append(each)
        else:
            groups.append([each])
    return groups


def _times(
    group: Sequence[_Sampled], sample: Mapping[str, Utterance], began: float
) -> tuple[Seconds, Seconds, Seconds]:
    """Until the first utterance was begun; and of each, a fixed part and one in proportion to its size."""
    keys = group[0].store.ids
    done = [max(one.done[key] for one in group) for key in keys]
    sizes = [size_of(sample[key], group[0].reads_text) for key in keys]
    took = [after - before for before, after in pairwise(done)]
    fixed, per_size = line(sizes[1:], took) if took else (0.0, 0.0)
    return max(0.0, done[0] - began - fixed - per_size * sizes[0]), fixed, per_size
