"""How much memory the timeline of a long recording takes beyond that of a short one, with Resemblyzer's encoder."""

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import soundfile
import torch

from emorec_lobes.errors import ConfigError, exit_code_of
from emorec_lobes.inference.recognizer import EmotionRecognizer
from emorec_lobes.models.classifier import EmotionClassifier
from emorec_lobes.models.cross_representation import ContentEncoder, CrossRepresentation
from emorec_lobes.models.layer_mix import LayerMix

RATE_HZ = 16_000
SPOKEN_S, PAUSE_S = 20, 20

HPARAMS = {
    "labels": ["angry", "neutral", "happy", "sad"],
    "encoder": "resemblyzer",
    "num_layers": 3,
    "encoder_dim": 256,
    "encoder_padding": "centred",
    "normalise": "none",
    "enrolment": "none",
    "crop_frames": 192,
    "keep_single_frame_tail": True,
    "segment_weights": "frames",
}


def recognizer() -> EmotionRecognizer:
    """The network of hparams/ser_resemblyzer.yaml without its statistics, with random weights."""
    torch.manual_seed(0)
    sizes = {"conv_channels": 128, "num_convs": 3, "kernel_size": 5, "bottleneck_dim": 8, "num_lstm_layers": 2}
    model = CrossRepresentation(
        LayerMix(num_layers=3, mode="ratio"),
        ContentEncoder(feature_dim=256, speaker_dim=256, frames_per_code=48, masked_norm=True, **sizes),
        EmotionClassifier(code_dim=64, hidden_dim=128, num_classes=4, dropout=0.5, activation=None),
    )
    return EmotionRecognizer({"model": model}, dict(HPARAMS))


def write(path: Path, duration_s: float, seed: int) -> None:
    """A recording on the disk: 20 s of noise that swings as syllables do, 20 s of a quiet room, and so on."""
    generator = np.random.default_rng(seed)
    with soundfile.SoundFile(path, "w", RATE_HZ, 1) as stream:
        left = round(duration_s * RATE_HZ)
        for turn in range(left):
            count = min(left, (PAUSE_S if turn % 2 else SPOKEN_S) * RATE_HZ)
            swing = 1e-3 if turn % 2 else 0.1 * (1 + np.sin(np.arange(count) * 2 * np.pi * 4 / RATE_HZ))
            stream.write((swing * generator.standard_normal(count)).clip(-0.99, 0.99))
            left -= count
            if not left:
                break


def resident_mb() -> float:
    """Memory of this process that is in RAM, in 10^6 bytes."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise ConfigError("/proc/self/status must say VmRSS, but does not. Run this on Linux.")


@contextmanager
def watched() -> Iterator[list[float]]:
    """Adds to a list, twenty times a second, how much memory is taken."""
    found, is_over = [resident_mb()], threading.Event()

    def look() -> None:
        while not is_over.wait(0.05):
            found.append(resident_mb())

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    yield found
    is_over.set()
    thread.join()


def run(argv: Sequence[str] | None = None) -> int:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=4.0, help="of the recording (default: 4; 120 is the claim)")
    parser.add_argument("--window-s", type=float, default=3.0)
    parser.add_argument("--shift-s", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    if not 1 <= args.minutes <= 240:
        raise ConfigError(f"`--minutes` must be from 1 to 240, but is {args.minutes:g} instead. Use 120.")
    asked, windows = recognizer(), {"window_s": args.window_s, "shift_s": args.shift_s}
    with tempfile.TemporaryDirectory() as folder:
        short, long = Path(folder) / "short.wav", Path(folder) / "long.wav"
        write(short, 10, args.seed)
        write(long, 60 * args.minutes, args.seed)
        asked.timeline(short, **windows)
        idle_mb, start = resident_mb(), time.perf_counter()
        with watched() as taken_mb:
            timeline = asked.timeline(long, **windows)
        wall_s = time.perf_counter() - start
        whole_mb = long.stat().st_size / 1e6
    print("| recording, min | as samples, MB | segments | idle, MB | peak, MB | growth, MB | end, MB | s |")
    print("|--:|--:|--:|--:|--:|--:|--:|--:|")
    numbers = (
        f"{idle_mb:.0f} | {max(taken_mb):.0f} | {max(taken_mb) - idle_mb:.1f} | {resident_mb():.0f} | {wall_s:.0f}"
    )
    print(f"| {args.minutes:g} | {2 * whole_mb:.0f} | {len(timeline.segments)} | {numbers} |")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """The benchmark's exit code."""
    return exit_code_of("timeline_memory", lambda: run(argv))


if __name__ == "__main__":
    sys.exit(main())
