"""Time and memory against hours of a corpus, against the length of a file, and of a manifest with a million rows."""

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import soundfile
from _material import noise

from emorec_lobes.corpora.leakage import check_leakage
from emorec_lobes.corpora.manifest import ManifestInfo, Utterance, read_manifest, write_manifest
from emorec_lobes.corpora.protocol import make_folds
from emorec_lobes.errors import ConfigError, exit_code_of
from emorec_lobes.units import SAMPLE_RATE_HZ

UTTERANCE_S = 4.5
NUM_RECORDINGS = 40  # different ones; all others are links to them, so that hours need no disk
NUM_SPEAKERS = 100
LABELS = ("angry", "neutral", "happy", "sad")
PARTS = ("corpus", "file", "manifest")

MEL = ("--encoder", "mel", "--num-layers", "1", "--encoder-dim", "80", "--features", "layers")
SHORT_HOURS, FULL_HOURS = (0.005, 0.05, 0.5), (1.0, 10.0, 100.0)
SHORT_MINUTES, FULL_MINUTES = (0.5, 2.0, 5.0), (5.0, 30.0, 120.0)
SHORT_ROWS, FULL_ROWS = 100_000, 1_000_000


class Cost(NamedTuple):
    """What a process took."""

    wall_s: float
    cpu_s: float
    peak_mb: float


def run_command(words: Sequence[object]) -> Cost:
    """Runs `emorec WORDS` in a process of its own, with one thread; it must not fail."""
    command = [sys.executable, "-m", "emorec_lobes.cli.main", *map(str, words)]
    start = time.perf_counter()
    with tempfile.TemporaryFile("w+") as errors:
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors, env=environment)
        found, mb = 0, 0.0
        while not found:
            time.sleep(0.02)
            mb = max(mb, peak_mb(process.pid))
            found, status, used = os.wait4(process.pid, os.WNOHANG)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall_s = time.perf_counter() - start
        if process.returncode:
            errors.seek(0)
            raise ConfigError(f"emorec {' '.join(map(str, words))} failed: {errors.read().strip()[-300:]}")
    return Cost(wall_s, used.ru_utime + used.ru_stime, mb)


def peak_mb(process: int | str = "self") -> float:
    """The most memory that a process has held, in 10^6 bytes; 0 when it has ended.

    Not `ru_maxrss`: that of a child begins with what its parent held.
    """
    lines = Path(f"/proc/{process}/status").read_text(encoding="utf-8").splitlines()
    return sum(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmHWM:"))


def recording(duration_s: float, seed: int) -> np.ndarray:
    """Noise, (S,); each second of each seed is another."""
    return noise(duration_s, np.random.default_rng(seed), level=0.08)


def write_corpus(folder: Path, hours: float) -> int:
    """A corpus of so many hours, with its table `labels.csv`. Returns its number of utterances."""
    folder.mkdir()
    count = max(NUM_RECORDINGS // 10, round(hours * 3600 / UTTERANCE_S))
    lines = ["path,label,speaker"]
    for number in range(count):
        name, original = f"{number:07d}.wav", f"{number % NUM_RECORDINGS:07d}.wav"
        if name == original:
            soundfile.write(folder / name, recording(UTTERANCE_S, number), SAMPLE_RATE_HZ)
        else:
            os.link(folder / original, folder / name)
        lines.append(f"{name},{LABELS[number % len(LABELS)]},s{number % NUM_SPEAKERS:03d}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return count


def corpus_rows(hours: Sequence[float], folder: Path) -> Iterator[tuple[object, ...]]:
    """A row for each size and stage: hours, utterances, stage, wall and CPU seconds an hour, peak MB."""
    for size in hours:
        data = folder / f"corpus_{size:g}"
        count = write_corpus(data, size)
        manifest, names = folder / f"{size:g}.json", folder / f"{size:g}.txt"
        names.write_text("".join(f"{path}\n" for path in sorted(data.glob("*.wav"))), encoding="utf-8")
        table = ("--data-folder", data, "--table", data / "labels.csv")
        stages = {
            "prepare": ("prepare", "table", *table, "--manifest", manifest),
            "extract": ("extract", "--manifest", manifest, "--data-folder", data, "--to", folder / f"f_{size:g}", *MEL),
            "predict": ("predict", "--list", names, "--format", "csv", "--to", folder / f"{size:g}.csv"),
        }
        spoken_h = count * UTTERANCE_S / 3600
        for stage, words in stages.items():
            cost = run_command(words)
            yield (*(f"{size:g}", count, stage), *_numbers(cost, spoken_h))


def file_rows(minutes: Sequence[float], folder: Path) -> Iterator[tuple[object, ...]]:
    """A row for each length and command, as `corpus_rows`; an utterance of more than 5 minutes is not asked about."""
    for length in minutes:
        path = folder / f"{length:g}.wav"
        block = recording(30, seed=0)
        with soundfile.SoundFile(path, "w", SAMPLE_RATE_HZ, 1) as stream:
            for start in range(0, round(length * 60 * SAMPLE_RATE_HZ), len(block)):
                stream.write(block[: round(length * 60 * SAMPLE_RATE_HZ) - start])
        for what, words in (("timeline", ("--timeline", "--format", "csv")), ("predict", ())):
            if what == "timeline" or length <= 5:
                yield (*(f"{length:g}", what), *_numbers(run_command(("predict", path, *words)), length / 60))


def _numbers(cost: Cost, spoken_h: float) -> tuple[str, ...]:
    return (f"{cost.wall_s:.1f}", f"{cost.cpu_s:.1f}", f"{cost.cpu_s / spoken_h:.1f}", f"{cost.peak_mb:.0f}")


def utterances(count: int) -> Iterator[Utterance]:
    """Rows such as a large corpus has: 100 utterances a speaker, with a transcript and ratings."""
    speakers = max(NUM_SPEAKERS, count // 100)
    for number in range(count):
        speaker, label = number % speakers, LABELS[number * 7 // 3 % len(LABELS)]
        yield Utterance(
            f"big_{number:08d}",
            f"{{data_root}}/speaker_{speaker:05d}/{number:08d}.flac",
            UTTERANCE_S,
            label,
            label,
            speaker=f"big_{speaker:05d}",
            gender=("female", "male")[speaker % 2],
            session=f"{speaker // 2:05d}",
            text=f"what was said in take {number}",
            valence=2.5,
            arousal=3.0,
            dominance=3.5,
        )


def manifest_costs(path: Path) -> dict[str, Cost]:
    """What opening, splitting and checking a manifest take; each with the peak so far."""
    costs: dict[str, Cost] = {}

    def timed(name: str, action: Callable[[], Any]) -> Any:
        wall_s, cpu_s = time.perf_counter(), time.process_time()
        found = action()
        costs[name] = Cost(time.perf_counter() - wall_s, time.process_time() - cpu_s, peak_mb())
        return found

    rows = timed("open and validate", lambda: read_manifest(path))
    folds = timed("5 folds by speakers", lambda: make_folds(rows, "speaker_groups", "strict", num_groups=5))
    hashes = {key: f"{number:064x}" for number, key in enumerate(rows)}
    timed("leak checks, all folds", lambda: [check_leakage(fold, rows, hashes) for fold in folds])
    return costs


def json_cost(path: Path) -> Cost:
    """What the JSON library alone takes: the floor."""
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    with path.open(encoding="utf-8") as stream:
        json.load(stream)
    return Cost(time.perf_counter() - wall_s, time.process_time() - cpu_s, peak_mb())


def manifest_rows(count: int, folder: Path) -> Iterator[tuple[object, ...]]:
    """A row for each step, and their sum; ours and the library's load, each in a process of its own."""
    path = folder / "manifest.json"
    write_manifest(path, utterances(count), ManifestInfo("big"))
    context = multiprocessing.get_context("spawn")
    with context.Pool(1, maxtasksperchild=1) as pool:
        floor = pool.apply(json_cost, (path,))
        costs = pool.apply(manifest_costs, (path,))
    whole = Cost(*(sum(getattr(cost, name) for cost in costs.values()) for name in Cost._fields[:2]), 0)
    costs["together"] = whole._replace(peak_mb=max(cost.peak_mb for cost in costs.values()))
    for name, cost in {f"json.load of {path.stat().st_size / 1e6:.0f} MB": floor, **costs}.items():
        yield (count, name, f"{cost.wall_s:.1f}", f"{cost.cpu_s:.1f}", f"{cost.peak_mb:.0f}")


def print_table(columns: Sequence[str], num_words: int, rows: Iterator[tuple[object, ...]]) -> None:
    """A Markdown table, a row as soon as it is there; all columns but the first ones are numbers."""
    print(f"| {' | '.join(columns)} |")
    print("|" + "---|" * num_words + "--:|" * (len(columns) - num_words), flush=True)
    for row in rows:
        print(f"| {' | '.join(map(str, row))} |", flush=True)
    print(flush=True)


def run(argv: Sequence[str] | None = None) -> int:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", nargs="+", default=PARTS, help="some of corpus, file, manifest (default: all)")
    parser.add_argument("--full", action="store_true", help="1, 10, 100 hours; up to 120 minutes; a million rows")
    parser.add_argument("--hours", nargs="+", type=float, help="of corpora")
    parser.add_argument("--minutes", nargs="+", type=float, help="of files")
    parser.add_argument("--rows", type=int, help="of the manifest")
    args = parser.parse_args(argv)
    hours = args.hours or (FULL_HOURS if args.full else SHORT_HOURS)
    minutes = args.minutes or (FULL_MINUTES if args.full else SHORT_MINUTES)
    rows = args.rows or (FULL_ROWS if args.full else SHORT_ROWS)
    if not set(args.parts) <= set(PARTS):
        raise ConfigError(f"`--parts` must be some of {', '.join(PARTS)}, but are {' '.join(args.parts)}. Name these.")
    if not all(0 < each <= 1000 for each in (*hours, *minutes)) or not 100 <= rows <= 10**7:
        raise ConfigError("`--hours` and `--minutes` must be above 0, at most 1000, `--rows` 100 to 10^7. Change them.")
    with tempfile.TemporaryDirectory() as name:
        folder, costs = Path(name), ("wall s", "CPU s", "CPU s an hour", "peak MB")
        if "corpus" in args.parts:
            print_table(("hours", "utterances", "stage", *costs), 3, corpus_rows(hours, folder))
        if "file" in args.parts:
            print_table(("minutes", "command", *costs), 2, file_rows(minutes, folder))
        if "manifest" in args.parts:
            print_table(("rows", "step", "wall s", "CPU s", "peak MB"), 2, manifest_rows(rows, folder))
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """The benchmark's exit code."""
    return exit_code_of("growth", lambda: run(argv))


if __name__ == "__main__":
    sys.exit(main())
