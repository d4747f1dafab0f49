"""Seconds for some utterances of mixed length, by one wav2vec 2.0 classifier: ours, transformers' and SpeechBrain's."""

import argparse
import gc
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from _material import noises, save_wav2vec2

from emorec_lobes.errors import ConfigError, UnavailableError, exit_code_of
from emorec_lobes.features.huggingface import quiet
from emorec_lobes.inference.recognizer import EmotionRecognizer

PADDED_TOGETHER = 8  # SpeechBrain's batches
OURS, PIPELINE = "emorec", "transformers pipeline"
ONE_BY_ONE, PADDED = "SpeechBrain, one by one", "SpeechBrain, padded batches"

Side = Callable[[Sequence[np.ndarray]], np.ndarray]  # waves -> probabilities (N, K)


def ours(folder: Path, precision: str) -> Side:
    """`EmotionRecognizer.predict` on a list."""
    recognizer = EmotionRecognizer.from_hparams(folder, precision=precision)

    def answer(waves: Sequence[np.ndarray]) -> np.ndarray:
        answers = recognizer.predict(list(waves), sample_rate_hz=16_000)
        return np.array([list(each.probabilities.values()) for each in answers])

    return answer


def pipeline(folder: Path, precision: str) -> Side:
    """transformers' pipeline as its documentation calls it: a list in, one after the other."""
    import transformers

    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    with quiet():
        ask = transformers.pipeline("audio-classification", model=str(folder), dtype=dtype, device="cpu", top_k=None)
    labels = list(ask.model.config.id2label.values())

    def answer(waves: Sequence[np.ndarray]) -> np.ndarray:
        rows = ask([{"raw": wave, "sampling_rate": 16_000} for wave in waves], top_k=len(labels))
        scores = [{each["label"]: each["score"] for each in row} for row in rows]
        return np.array([[score[label] for label in labels] for score in scores])

    return answer


def speechbrain(folder: Path, precision: str, batch_size: int) -> Side:
    """SpeechBrain's wav2vec 2.0 with its pooling, and the head's two layers, as its emotion interface strings them."""
    from speechbrain.integrations.huggingface.wav2vec2 import Wav2Vec2
    from speechbrain.nnet.pooling import StatisticsPooling
    from transformers import Wav2Vec2ForSequenceClassification

    with quiet():
        whole = Wav2Vec2ForSequenceClassification.from_pretrained(folder).eval()
        projector, classifier = whole.projector, whole.classifier
        del whole
        encoder = Wav2Vec2(str(folder), str(folder), output_norm=False, freeze=True).eval()
    pool = StatisticsPooling(return_std=False)

    @torch.no_grad()
    def answer(waves: Sequence[np.ndarray]) -> np.ndarray:
        found = []
        for start in range(0, len(waves), batch_size):
            some = [torch.from_numpy(wave) for wave in waves[start : start + batch_size]]
            padded = torch.nn.utils.rnn.pad_sequence(some, batch_first=True)
            lens = torch.tensor([len(wave) / padded.shape[1] for wave in some])
            with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
                states = encoder(padded, lens)
                logits = classifier(pool(projector(states), lens).squeeze(1))
            found.append(logits.float().softmax(dim=1).numpy())
        return np.concatenate(found)

    return answer


def build(name: str, folder: Path, precision: str) -> Side:
    """One side at a precision."""
    if name == OURS:
        return ours(folder, precision)
    if name == PIPELINE:
        return pipeline(folder, precision)
    return speechbrain(folder, precision, 1 if name == ONE_BY_ONE else PADDED_TOGETHER)


def rows(folder: Path, count: int, rounds: int, seed: int) -> Iterator[str]:
    """The table's lines for so many utterances; one side is in memory at a time."""
    waves = noises(count, seed)
    reference, fastest = None, {}
    for precision in ("fp32", "bf16", "int8"):
        for name in (OURS,) if precision == "int8" else (PIPELINE, ONE_BY_ONE, PADDED, OURS):
            try:
                side = build(name, folder, precision)
            except UnavailableError:  # a processor without instructions for int8
                continue
            answers = side(waves)  # warms up, and is compared
            reference = answers if reference is None else reference
            wall_s, cpu_s = np.median([seconds(side, waves) for _ in range(rounds)], axis=0)
            if name != OURS:
                fastest[precision] = min(cpu_s, fastest.get(precision, cpu_s))
            speed = "  ".join(f"{value / cpu_s:.2f} ({of})" for of, value in fastest.items())
            farthest = np.abs(answers - reference).max()
            del side  # or the next one would be loaded beside it
            gc.collect()
            yield f"| {count} | {name} | {precision} | {wall_s:.2f} | {cpu_s:.2f} | {speed} | {farthest:.5f} |"


def seconds(side: Side, waves: Sequence[np.ndarray]) -> tuple[float, float]:
    """How long a side takes, and how long its threads were at work: other programs lengthen the first alone."""
    wall, cpu = time.perf_counter(), time.process_time()
    side(waves)
    return time.perf_counter() - wall, time.process_time() - cpu


def run(argv: Sequence[str] | None = None) -> int:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--large", action="store_true", help="wav2vec2-large's shape, 1.3 GB on the disk and 3 GB of memory"
    )
    parser.add_argument("--files", type=int, nargs="+", default=[1, 8], help="utterances of a row (default: 1 8)")
    parser.add_argument("--rounds", type=int, default=3, help="of which the median counts (default: 3)")
    parser.add_argument("--threads", type=int, help="of torch (default: its own choice)")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    if min(*args.files, args.rounds, args.threads or 1) < 1:
        raise ConfigError("`files`, `rounds` and `threads` must be 1 or more. Raise them.")
    if args.threads:
        torch.set_num_threads(args.threads)
    shape = "24 layers of 1024" if args.large else "6 layers of 256"
    amx = "with" if torch.cpu._is_amx_tile_supported() else "without"
    print(
        f"{shape}, random; torch {torch.__version__}, {torch.get_num_threads()} threads of {os.cpu_count()}, ", end=""
    )
    print(f"{amx} bf16 tiles, load {os.getloadavg()[0]:.1f}, median of {args.rounds}; no decoding")
    print("| utterances | who | precision | s | CPU s | times the fastest other's CPU s | largest difference |")
    print("|--:|---|---|--:|--:|--:|--:|")
    with tempfile.TemporaryDirectory() as folder:
        save_wav2vec2(Path(folder), "Wav2Vec2ForSequenceClassification", args.large, args.seed, num_labels=4)
        for count in args.files:
            for row in rows(Path(folder), count, args.rounds, args.seed):
                print(row, flush=True)
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """The benchmark's exit code."""
    return exit_code_of("inference", lambda: run(argv))


if __name__ == "__main__":
    sys.exit(main())
