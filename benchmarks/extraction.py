"""All hidden states of some utterances by a wav2vec 2.0 encoder: ours at bf16 in batches, and transformers one by one.

    python benchmarks/extraction.py [--large] [--utterances N] [--rounds N] [--store] [--threads N] [--seed N]

Every way begins with waves in memory and ends with (T, L, D) of each utterance in single precision, or with --store
with that in a feature store of float16. README.md beside this file says how to read it.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from _material import noises, save_wav2vec2
from torch import Tensor
from torch.nn import functional

from emorec_lobes.corpora.manifest import Utterance
from emorec_lobes.errors import ConfigError, exit_code_of
from emorec_lobes.features.huggingface import padding_samples, quiet
from emorec_lobes.features.huggingface_batch import standardise
from emorec_lobes.features.speech import load_encoder
from emorec_lobes.features.speech_batches import batches_of
from emorec_lobes.features.store import FeatureStore, StoreHeader
from emorec_lobes.units import FRAME_SHIFT_S, SAMPLE_RATE_HZ

# id -> wave (S,) in, and each utterance's (T, L, D) given to the second argument
Extract = Callable[[Mapping[str, Tensor], Callable[[str, Tensor], None]], None]


@dataclass
class Way:
    """One way to the layers, and what was measured."""

    name: str
    extract: Extract
    wall_s: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)
    cosine: float = 1.0  # the least of all frames and layers, to the first way's


def transformers_loop(folder: Path) -> Extract:
    """transformers' model at fp32, one utterance after the other, on the same padded and standardised waves as ours."""
    from transformers import Wav2Vec2Model

    with quiet():
        model = Wav2Vec2Model.from_pretrained(folder, dtype=torch.float32).eval()

    @torch.inference_mode()
    def extract(waves: Mapping[str, Tensor], give: Callable[[str, Tensor], None]) -> None:
        for item, wave in waves.items():
            padded = functional.pad(wave, padding_samples(len(wave), "centred"))
            output = model(standardise(padded).unsqueeze(0), output_hidden_states=True)
            give(item, torch.stack([*output.hidden_states[:-1], output.last_hidden_state], dim=2)[0])

    return extract


def ours(folder: Path, sizes: tuple[int, int], precision: str, batched: bool) -> Extract:
    """Our encoder, as `emorec extract` runs it: at bf16 in batches, at fp32 alone."""
    encoder = load_encoder(str(folder), *sizes, precision=precision)

    def extract(waves: Mapping[str, Tensor], give: Callable[[str, Tensor], None]) -> None:
        entries = {item: Utterance(item, "", len(wave) / SAMPLE_RATE_HZ, "", "") for item, wave in waves.items()}
        for batch in batches_of(entries) if batched else [[item] for item in waves]:
            for item, layers in zip(batch, encoder.batch([waves[item] for item in batch]), strict=True):
                give(item, layers)

    return extract


def measure(
    ways: Sequence[Way], waves: Mapping[str, Tensor], rounds: int, root: Path | None, width: Sequence[int]
) -> None:
    """Compares, which warms up too, and then measures; the ways take turns."""
    expected: dict[str, Tensor] = {}
    for way in ways:
        found: dict[str, Tensor] = {}
        way.extract(waves, found.__setitem__)
        expected = expected or found
        pairs = ((found[item].double(), expected[item].double()) for item in waves)
        way.cosine = min(float(functional.cosine_similarity(*pair, dim=-1).min()) for pair in pairs)
    for number in range(rounds):
        for place, way in enumerate(ways):
            give = keeper() if root is None else writer(root / f"{number}-{place}", width)
            wall, cpu = time.perf_counter(), time.process_time()
            way.extract(waves, give)
            way.wall_s.append(time.perf_counter() - wall)
            way.cpu_s.append(time.process_time() - cpu)


def keeper() -> Callable[[str, Tensor], None]:
    """Keeps the last utterance, as whatever uses it would."""
    held: dict[str, Tensor] = {}
    return lambda item, layers: held.update(last=layers)


def writer(root: Path, width: Sequence[int]) -> Callable[[str, Tensor], None]:
    """Writes each utterance to a store."""
    header = StoreHeader("layers-benchmark", {"version": 1}, SAMPLE_RATE_HZ, FRAME_SHIFT_S, tuple(width), "float16")
    store = FeatureStore.open(root, header)
    return lambda item, layers: store.write(item, layers, audio_hash=item, source=(0,))


def table(ways: Sequence[Way], audio_s: float) -> list[str]:
    """A row for each way."""
    first = ways[0]
    lines = [
        "| who | s | CPU s | CPU s a second of audio | times faster, s | times faster, CPU s | least cosine |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for way in ways:
        wall, cpu = statistics.median(way.wall_s), statistics.median(way.cpu_s)
        faster = (statistics.median(first.wall_s) / wall, statistics.median(first.cpu_s) / cpu)
        cells = [f"{wall:.2f}", f"{cpu:.2f}", f"{cpu / audio_s:.4f}", *(f"{each:.2f}" for each in faster)]
        lines.append(f"| {way.name} | {' | '.join(cells)} | {way.cosine:.6f} |")
    return lines


def run(argv: Sequence[str] | None = None) -> int:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description="Times all hidden states of a wav2vec 2.0 encoder, ours and theirs.")
    parser.add_argument(
        "--large", action="store_true", help="wav2vec2-large's shape: 1.3 GB on the disk, 4 GB of memory"
    )
    parser.add_argument("--utterances", type=int, default=8, help="how many (default: 8)")
    parser.add_argument("--rounds", type=int, default=3, help="of which the median counts (default: 3)")
    parser.add_argument("--store", action="store_true", help="time writing to a feature store too")
    parser.add_argument("--threads", type=int, help="of torch (default: its own choice)")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    for name in ("utterances", "rounds", "threads"):
        if (given := getattr(args, name)) is not None and given < 1:
            raise ConfigError(f"`{name}` must be 1 or more, but is {given} instead. Raise it.")
    if args.threads:
        torch.set_num_threads(args.threads)
    made = noises(args.utterances, args.seed)
    waves = {f"u{number}": torch.from_numpy(wave) for number, wave in enumerate(made)}
    audio_s = sum(map(len, waves.values())) / SAMPLE_RATE_HZ
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sizes = save_wav2vec2(folder / "model", "Wav2Vec2Model", args.large, args.seed)
        ways = [
            Way("transformers fp32, one by one", transformers_loop(folder / "model")),
            Way("emorec fp32, one by one", ours(folder / "model", sizes, "fp32", batched=False)),
            Way("emorec bf16, one by one", ours(folder / "model", sizes, "bf16", batched=False)),
            Way("emorec bf16, in batches", ours(folder / "model", sizes, "bf16", batched=True)),
        ]
        measure(ways, waves, args.rounds, folder / "stores" if args.store else None, sizes)
    ends = "a feature store" if args.store else "memory"
    print(
        f"{sizes[0] - 1} layers of {sizes[1]}, random; {len(waves)} utterances, {audio_s:.1f} s; from memory to {ends}"
    )
    print(
        f"torch {torch.__version__}, {torch.get_num_threads()} threads of {os.cpu_count()} cores, load "
        f"{os.getloadavg()[0]:.1f}; medians of {args.rounds}; cosine to the first row, of each frame and layer\n"
    )
    print("\n".join(table(ways, audio_s)))
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """The benchmark's exit code."""
    return exit_code_of("extraction", lambda: run(argv))


if __name__ == "__main__":
    sys.exit(main())
