"""Seconds of one core for a second of speech, from files to answers, by the model in the package."""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import soundfile
import torch
from _material import SECONDS, noise

from emorec_lobes.errors import ConfigError, exit_code_of
from emorec_lobes.features.huggingface import quiet
from emorec_lobes.inference.recognizer import EmotionRecognizer
from emorec_lobes.inference.shipped import shipped_model
from emorec_lobes.units import SAMPLE_RATE_HZ

LIST, ALONE, OTHER = "emorec, a list", "emorec, file by file", "resemblyzer's own embedding, no emotion"


def write(folder: Path, count: int, seed: int) -> tuple[list[str], float]:
    """Files with noise that swings as syllables do, and their seconds together."""
    generator, paths, total_s = np.random.default_rng(seed), [], 0.0
    for number, duration_s in enumerate(generator.uniform(*SECONDS, count)):
        wave = noise(duration_s, generator)
        paths.append(str(folder / f"{number}.wav"))
        soundfile.write(paths[-1], wave, SAMPLE_RATE_HZ)
        total_s += len(wave) / SAMPLE_RATE_HZ
    return paths, total_s


def ways() -> dict[str, Callable[[Sequence[str]], object]]:
    """What is done with the files, by its name."""
    with quiet():
        from resemblyzer import VoiceEncoder, preprocess_wav

        encoder = VoiceEncoder("cpu", verbose=False)
    recognizer = EmotionRecognizer.from_hparams(shipped_model())
    return {
        LIST: recognizer.predict,
        ALONE: lambda paths: [recognizer.predict(path) for path in paths],
        OTHER: lambda paths: [encoder.embed_utterance(preprocess_wav(path)) for path in paths],
    }


def run(argv: Sequence[str] | None = None) -> int:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=64, metavar="N", help="recordings (default: 64)")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="of which the median counts (default: 3)")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    if min(args.files, args.rounds) < 1:
        raise ConfigError("`files` and `rounds` must be 1 or more. Raise them.")
    torch.set_num_threads(1)
    with TemporaryDirectory() as folder:
        paths, total_s = write(Path(folder), args.files, args.seed)
        chosen = ways()
        for way in chosen.values():
            way(paths[:4])  # once, unmeasured
        found: dict[str, list[float]] = {name: [] for name in chosen}
        for _ in range(args.rounds):
            for name, way in chosen.items():
                start = time.process_time()
                way(paths)
                found[name].append((time.process_time() - start) / total_s)
    print(f"{args.files} files, {total_s:.0f} s of speech, one thread, median of {args.rounds}")
    print("| way | CPU s for a second of speech | times real time |")
    print("|---|--:|--:|")
    for name, shares in found.items():
        print(f"| {name} | {np.median(shares):.4f} | {1 / np.median(shares):.0f} |")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """The benchmark's exit code."""
    return exit_code_of("real_time", lambda: run(argv))


if __name__ == "__main__":
    sys.exit(main())
