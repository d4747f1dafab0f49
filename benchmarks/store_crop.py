"""A random crop from the feature store, beside loading the whole utterance with numpy.

    python benchmarks/store_crop.py [--utterances N] [--rounds N] [--duration-s S] [--folder DIR] [--seed N]

Every way ends in the same crop of 96 x 25 x 1024, int8 but for rounding: the first in float16, as training takes it
from our store, the others in float32. Each is timed right after its files have been put out of the page cache (cold),
then once more (warm); the ways take turns. README.md beside this file says how to read it.
"""

import argparse
import importlib.metadata
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor

from emorec_lobes.errors import ConfigError, StoreError, UnavailableError, exit_code_of
from emorec_lobes.features.store import FeatureStore, StoreHeader
from emorec_lobes.units import FRAME_SHIFT_S, SAMPLE_RATE_HZ, num_frames

CROP_FRAMES = 96
SHAPE = (25, 1024)  # all hidden states of wav2vec 2.0 large
HEADER = StoreHeader("layers-benchmark", {"version": 1}, SAMPLE_RATE_HZ, FRAME_SHIFT_S, SHAPE, "float16")
INT8 = replace(HEADER, dtype="int8")
COUNTERS = Path("/proc/self/io")

# (id, first frame) -> (96, 25, 1024)
Read = Callable[[str, int], Tensor]


@dataclass
class Way:
    """One way to a crop: how it reads, which file, and what was measured."""

    name: str
    read: Read
    file: Callable[[str], Path]
    cold_s: list[float] = field(default_factory=list)
    warm_s: list[float] = field(default_factory=list)
    warm_cpu_s: list[float] = field(default_factory=list)  # what a warm read takes where no other program runs
    called_bytes: list[int] = field(default_factory=list)  # through system calls; a mapping has none
    disk_bytes: list[int] = field(default_factory=list)  # what the storage delivered for a cold read
    is_exact: bool = True


def ways(folder: Path, half: FeatureStore, whole: FeatureStore) -> list[Way]:
    """Ours first, of float16 and int8; the numpy ways read whole utterances of float32, as `numpy.save` writes them."""

    def file_of(store: FeatureStore) -> Callable[[str], Path]:
        return lambda item: store.folder / store.entry(item).file

    def half_of(store: FeatureStore) -> Read:
        return lambda item, start: store.read(item, start, start + CROP_FRAMES)

    def single_of(store: FeatureStore) -> Read:
        return lambda item, start: store.read_single(item, start, start + CROP_FRAMES)

    def npy(item: str) -> Path:
        return folder / f"{item}.npy"

    def load(item: str, start: int) -> Tensor:
        return torch.from_numpy(np.load(npy(item))[start : start + CROP_FRAMES])

    def mapped(item: str, start: int) -> Tensor:
        return torch.from_numpy(np.load(npy(item), mmap_mode="r")[start : start + CROP_FRAMES].copy())

    def sliced(item: str, start: int) -> Tensor:
        with safe_open(file_of(half)(item), "pt") as file:
            return file.get_slice("features")[start : start + CROP_FRAMES].float()

    return [
        Way("our store, float16", half_of(half), file_of(half)),
        Way("our store, float16, to float32", single_of(half), file_of(half)),
        Way("our store, int8, to float32", single_of(whole), file_of(whole), is_exact=False),
        Way("numpy.load, float32", load, npy),
        Way("numpy.load mapped, float32", mapped, npy),
        Way("safetensors get_slice, float16", sliced, file_of(half)),
    ]


def write(folder: Path, num_utterances: int, duration_s: float, seed: int) -> tuple[FeatureStore, FeatureStore]:
    """The same random values, which half precision holds exactly, as utterances of our two stores and of numpy."""
    generator = np.random.default_rng(seed)
    stores = FeatureStore.open(folder, HEADER), FeatureStore.open(folder, INT8)
    for number in range(num_utterances):
        total = num_frames(int(duration_s * SAMPLE_RATE_HZ))
        frames = generator.standard_normal((total, *SHAPE), dtype=np.float32).astype(np.float16).astype(np.float32)
        for store in stores:
            store.write(f"u{number}", frames, audio_hash=str(number), source=(0, 0))
        np.save(folder / f"u{number}.npy", frames)
    return stores


def measure(chosen: Sequence[Way], store: FeatureStore, rounds: int, seed: int) -> None:
    """Reads a random crop of each utterance in every round, cold and then warm; each way goes first in its turn.

    A crop is given back before the next one is read, as in training: memory is used again.
    """
    generator = np.random.default_rng(seed)
    turn = 0
    for _ in range(rounds):
        for item in generator.permutation(store.ids).tolist():
            start = int(generator.integers(store.num_frames(item) - CROP_FRAMES + 1))
            expected = store.read_single(item, start, start + CROP_FRAMES)
            for way in [*chosen[turn:], *chosen[:turn]]:
                forget(way.file(item))
                before = counters()
                crop, seconds = timed(way.read, item, start)
                after = counters()
                way.cold_s.append(seconds)
                way.called_bytes.append(after["rchar"] - before["rchar"])
                way.disk_bytes.append(after["read_bytes"] - before["read_bytes"])
                del crop
                cpu = time.process_time()
                crop, seconds = timed(way.read, item, start)
                way.warm_cpu_s.append(time.process_time() - cpu)
                way.warm_s.append(seconds)
                check(way, crop, expected)
                del crop
            turn = (turn + 1) % len(chosen)


def check(way: Way, crop: Tensor, expected: Tensor) -> None:
    """Refuses a crop that is not the one it must be."""
    allowed = 0.0 if way.is_exact else expected.abs().amax(dim=-1, keepdim=True) / 127 * 0.501  # half a step
    if not ((crop.float() - expected).abs() <= allowed).all():
        raise StoreError(f"The crop of {way.name} must be that of the others, but is not. Report it.")


def timed(read: Read, item: str, start: int) -> tuple[Tensor, float]:
    """A crop, and how long it took in seconds."""
    begin = time.perf_counter()
    crop = read(item, start)
    return crop, time.perf_counter() - begin


def forget(path: Path) -> None:
    """Puts a file out of the page cache; what is not on the disk yet could not be, so it is written first."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)


def counters() -> dict[str, int]:
    """Linux's byte counters of this process."""
    pairs = (line.split(": ") for line in COUNTERS.read_text(encoding="ascii").splitlines())
    return {name: int(value) for name, value in pairs}


def table(measured: Sequence[Way]) -> str:
    """Medians of each way, and how many times those of the first they are."""
    columns = {
        "read calls, MB": [statistics.median(way.called_bytes) / 1e6 for way in measured],
        "from disk, MB": [statistics.median(way.disk_bytes) / 1e6 for way in measured],
        "cold, ms": [statistics.median(way.cold_s) * 1e3 for way in measured],
        "warm, ms": [statistics.median(way.warm_s) * 1e3 for way in measured],
        "warm, CPU ms": [statistics.median(way.warm_cpu_s) * 1e3 for way in measured],
    }
    lines = [f"| | {' | '.join(columns)} |", "|---|" + "--:|" * len(columns)]
    for way, *values in zip(measured, *columns.values(), strict=True):
        pairs = zip(values, (column[0] for column in columns.values()), strict=True)
        cells = (f"{value:.2f} ({value / base:.2f} x)" if base and value >= 0.05 else "-" for value, base in pairs)
        lines.append(f"| {way.name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def surroundings(folder: Path) -> str:
    """Machine, file system and versions, in two lines."""
    described = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    models = [line.partition(": ")[2] for line in described.splitlines() if line.startswith("model name")]
    mounts = [line.split() for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines()]
    parents = [str(parent) for parent in (folder.resolve(), *folder.resolve().parents)]
    kind = max((mount for mount in mounts if mount[1] in parents), key=lambda mount: len(mount[1]))[2]
    versions = " ".join(f"{name} {importlib.metadata.version(name)}" for name in ("numpy", "torch", "safetensors"))
    processor = models[0] if models else platform.machine()
    return (
        f"{processor}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {kind}; Linux {platform.release()}\n"
        f"Python {platform.python_version()}, {versions}; {torch.get_num_threads()} threads"
    )


def run(args: argparse.Namespace) -> int:
    """Writes the files, measures and prints."""
    if not COUNTERS.is_file():
        raise UnavailableError(f"{COUNTERS} counts the bytes, but is not on this system. Run it on Linux.")
    for name, least in {"utterances": 1, "rounds": 1, "duration_s": CROP_FRAMES * FRAME_SHIFT_S}.items():
        if getattr(args, name) < least:
            raise ConfigError(f"`{name}` must be {least} or more, but is {getattr(args, name)} instead. Raise it.")
    if args.folder is not None and not args.folder.is_dir():
        raise ConfigError(f"`folder` must be a folder, but {args.folder} is not one. Make it.")
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        folder = Path(name)
        store, whole = write(folder, args.utterances, args.duration_s, args.seed)
        measured = ways(folder, store, whole)
        measure(measured, store, args.rounds, args.seed)
        total = store.num_frames(store.ids[0])
        print(surroundings(folder))
        print(
            f"{args.utterances} utterances of {args.duration_s} s, {total} x {SHAPE[0]} x {SHAPE[1]}; medians of "
            f"{args.utterances * args.rounds} random crops of {CROP_FRAMES} frames (times the first row's)\n"
        )
        print(table(measured))
        if not any(measured[0].disk_bytes):
            print("\nNothing came from a disk: cold is warm here. Name a --folder on a disk.")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Times a random crop from our store beside loading the whole.")
    parser.add_argument("--utterances", type=int, default=8, help="how many; 41 MB each (default: 8)")
    parser.add_argument("--rounds", type=int, default=4, help="crops of each utterance (default: 4)")
    parser.add_argument("--duration-s", type=float, default=4.5, help="of an utterance (default: 4.5)")
    parser.add_argument("--folder", type=Path, help="where the files are written and deleted (default: the temporary)")
    parser.add_argument("--seed", type=int, default=0, help="of values and crops (default: 0)")
    args = parser.parse_args(argv)
    return exit_code_of("store_crop", lambda: run(args))


if __name__ == "__main__":
    sys.exit(main())
