"""An update of ser_small beside a plain fp32 loop with default Adam, and what the loop around it adds."""

import argparse
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count, islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import speechbrain as sb
import torch
from ruamel.yaml import YAML
from speechbrain.dataio.batch import PaddedBatch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from emorec_lobes.brains.ser import SERBrain
from emorec_lobes.corpora.manifest import Utterance
from emorec_lobes.dataio.normalise import Normaliser
from emorec_lobes.dataio.sampler import DrawSampler
from emorec_lobes.dataio.speech import DrawDataset, SpeechData
from emorec_lobes.errors import ConfigError, exit_code_of
from emorec_lobes.experiments.settings import Settings, read_settings
from emorec_lobes.experiments.training import make_brain, training_loader
from emorec_lobes.features.speech import check_device
from emorec_lobes.features.store import FeatureStore, StoreHeader
from emorec_lobes.models.losses import masked_mse
from emorec_lobes.units import FRAME_SHIFT_S, SAMPLE_RATE_HZ

HPARAMS = Path(__file__).parents[1] / "hparams/ser_small.yaml"
UPDATES = 1_000_000  # of the paper
UTTERANCES, FRAMES = 24, (60, 220)  # some shorter than a crop
RUNNING = 20  # updates in the mean that a running loss is
SEED = 1

PLAIN = "plain loop, fp32"
RECIPES = {"recipe, fp32": {}, "recipe, bf16": {"precision": "bf16"}}
COMPILED = {"recipe, bf16, compiled": {"precision": "bf16", "compile": True}}


@dataclass
class Side:
    """One way to train, in a process of its own."""

    name: str
    pool: ProcessPoolExecutor
    measured: list[tuple[float, float, float]] = field(default_factory=list)

    def ask(self, method: str, *arguments: Any) -> Any:
        """What a method of its `Worker` gives."""
        return self.pool.submit(answer, method, *arguments).result()

    def medians(self) -> tuple[float, float]:
        """Milliseconds of an update, and of its threads; the first is left out."""
        wall, cpu, _ = np.median(self.measured[1:], axis=0) * 1e3
        return wall, cpu


class ClockedBrain(SERBrain):
    """Ours, with a clock at either end of an update; it saves no checkpoint."""

    def fit_batch(self, batch: Any) -> Tensor:
        """The base's."""
        begin = time.perf_counter()
        loss = super().fit_batch(batch)
        synchronise(self.device)
        self.clock.append((begin, time.perf_counter()))
        return loss

    def on_fit_start(self) -> None:
        """The base's, once."""
        if self.optimizers_dict is None:
            super().on_fit_start()
        self.clock: list[tuple[float, float]] = []

    def on_stage_end(self, stage: sb.Stage, stage_loss: float, epoch: int | None = None) -> None:
        """Neither a log nor a gigabyte of weights."""


class Worker:
    """What runs in a side's process: `options` are SpeechBrain's, None for the plain loop."""

    def __init__(
        self, folder: Path, settings: Settings, options: Mapping[str, Any] | None, device: str, threads: int | None
    ) -> None:
        torch.set_num_threads(threads or torch.get_num_threads())
        torch.manual_seed(SEED)
        self.device, self.dataset = device, crops(folder, settings)
        self.batch_size, self.hparams = settings["batch_size"], settings.build()
        if options is None:
            self.update = plain(self.hparams, device)
        else:
            given = {"device": device, "noprogressbar": True, **options}
            self.brain = make_brain(ClockedBrain, self.hparams, given, folder / str(os.getpid()), "", has_valid=False)
            self.brain.on_fit_start()
            self.brain.modules.train()
            self.brain.on_stage_start(sb.Stage.TRAIN, 1)
            self.update = self.brain.fit_batch
        sampler = DrawSampler(len(self.dataset), self.batch_size, 1, UPDATES, SEED)
        draws = (self.dataset[sampler.draw(number)] for number in count())
        self.batches = (PaddedBatch(list(islice(draws, self.batch_size))) for _ in count())
        torch.manual_seed(SEED)

    def updates(self, number: int) -> list[tuple[float, float, float]]:
        """Wall seconds, seconds of this process's threads, and loss of each."""
        found = []
        for batch in islice(self.batches, number):
            wall, cpu = time.perf_counter(), time.process_time()
            loss = self.update(batch)
            synchronise(self.device)
            found.append((time.perf_counter() - wall, time.process_time() - cpu, float(loss)))
        return found

    def loop(self, number: int) -> tuple[float, float]:
        """Median seconds of an update in the recipe's loop with its loader, and between two."""
        self.hparams["epoch_counter"].limit = 1
        loader = training_loader(self.brain, self.dataset, self.hparams, number, number)
        self.brain.fit(self.hparams["epoch_counter"], loader)
        clock = self.brain.clock[1:]  # the loader's workers start before the first
        inside = [end - begin for begin, end in clock]
        between = [after[0] - before[1] for before, after in pairwise(clock)]
        return statistics.median(inside), statistics.median(between)


def synchronise(device: str) -> None:
    """Waits until an accelerator has done what it was given."""
    if device != "cpu":
        torch.accelerator.synchronize()


def plain(hparams: Mapping[str, Any], device: str) -> Callable[[Any], float]:
    """The loop that one writes first: eager, in single precision, Adam as it comes, the loss read on each update."""
    model = hparams["model"].to(device).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=hparams["lr"])

    def update(batch: Any) -> float:
        layers, speaker, phones, mel = (
            batch[name].data.to(device) for name in ("layers", "speaker_vector", "phones", "mel")
        )
        num_valid, target = batch.num_valid.to(device), batch.target.to(device)
        output = model(layers, speaker, phones, num_valid)
        loss = cross_entropy(output.logits, target)
        loss = loss + masked_mse(output.mel_first, mel, num_valid) + masked_mse(output.mel, mel, num_valid)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return update


def crops(folder: Path, settings: Settings) -> DrawDataset:
    """Crops from stores on the disk, of which emotion and mel can be learnt; every side sees the same."""
    generator = torch.Generator().manual_seed(SEED)
    labels, width, mels = tuple(settings["labels"]), settings["encoder_dim"], settings["num_mels"]
    shape = (settings["num_layers"], width)
    emotions = torch.randn(len(labels), *shape, generator=generator)
    voices, mixing = torch.randn(40, mels, generator=generator), torch.randn(mels, width, generator=generator)
    kinds = {"layers": (shape, "float16"), "mel": ((mels,), "float32"), "phones": ((), "uint8")}
    stores = [
        FeatureStore.open(folder, StoreHeader(name, {}, SAMPLE_RATE_HZ, FRAME_SHIFT_S, *kind))
        for name, kind in kinds.items()
    ]
    utterances, vectors = {}, {}
    for number, total in enumerate(torch.randint(*FRAMES, (UTTERANCES,), generator=generator).tolist()):
        item, emotion = f"u{number}", number % len(labels)
        phones = torch.randint(40, (total // 6 + 1,), generator=generator).repeat_interleave(6)[:total]
        mel = voices[phones] + 0.3 * torch.randn(total, mels, generator=generator)
        layers = emotions[emotion] + (mel @ mixing).unsqueeze(1) / mels**0.5
        layers = layers + torch.randn(total, *shape, generator=generator)
        for store, frames in zip(stores, (layers, mel, phones), strict=True):
            if item not in store:
                store.write(item, frames, audio_hash=item, source=(0, 0))
        utterances[item] = Utterance(item, "", total * FRAME_SHIFT_S, labels[emotion], labels[emotion])
        vectors[item] = normalize(torch.rand(settings["speaker_dim"], generator=generator), dim=0)
    normaliser = Normaliser(stores[0], utterances, "none")
    return SpeechData(utterances, labels, *stores, vectors, normaliser, settings["crop_frames"]).crops_dataset(
        list(utterances)
    )


WORKER: list[Worker] = []  # of a side's process


def begin(*given: Any) -> None:
    """Makes the worker of this process."""
    WORKER.append(Worker(*given))


def answer(method: str, *arguments: Any) -> Any:
    """Asks the worker of this process."""
    return getattr(WORKER[0], method)(*arguments)


def sides(stack: ExitStack, args: argparse.Namespace, folder: Path, batch_size: int) -> list[Side]:
    """The plain loop and the recipe's ways, not yet warm."""
    given = {"data_folder": "none", "output_folder": str(folder), "batch_size": batch_size, **args.set}
    settings, found = read_settings(HPARAMS, given), []
    for name, options in {PLAIN: None, **RECIPES, **(COMPILED if args.compile else {})}.items():
        # Forked, so that nothing is imported again; an accelerator works in no forked process.
        context = multiprocessing.get_context("fork" if args.device == "cpu" else "spawn")
        about = (folder, settings, options, args.device, args.threads)
        pool = ProcessPoolExecutor(1, context, initializer=begin, initargs=about)
        found.append(Side(name, stack.enter_context(pool)))
    return found


def step_table(batch_size: int, chosen: Sequence[Side]) -> None:
    """Times, ratios to the plain loop, and the hours that the paper's training would take."""
    print("\n| batch | who | ms | plain loop / it | CPU ms | plain loop / it | hours for 1 M updates |")
    print("|--:|---|--:|--:|--:|--:|--:|")
    plain_wall, plain_cpu = chosen[0].medians()
    for side in chosen:
        wall, cpu = side.medians()
        times = f"{wall:.0f} | {plain_wall / wall:.2f} | {cpu:.0f} | {plain_cpu / cpu:.2f}"
        print(f"| {batch_size} | {side.name} | {times} | {wall * UPDATES / 3.6e6:.0f} |", flush=True)


def loop_table(batch_size: int, side: Side, steps: int) -> None:
    """What the recipe's loop, with its loader, adds to an update."""
    print("\n| batch | who | ms of an update in the loop | ms until the next begins | share |\n|--:|---|--:|--:|--:|")
    inside, between = side.ask("loop", steps + 2)
    print(
        f"| {batch_size} | {side.name} | {inside * 1e3:.0f} | {between * 1e3:.2f} | {between / inside:.2%} |",
        flush=True,
    )


def loss_table(batch_size: int, chosen: Sequence[Side], updates: int) -> None:
    """How far losses go from the plain loop's, from the same weights on the same batches: on average, and at most of
    the running ones. The recipe at the plain loop's own precision shows what rounding alone does."""
    print(f"\n| batch | who | first {RUNNING} | last {RUNNING} of {updates} | mean | off | running, at most off |")
    print("|--:|---|--:|--:|--:|--:|--:|")
    reference = None
    for side in chosen:
        losses = np.array([loss for _, _, loss in side.measured + side.ask("updates", updates - len(side.measured))])
        running = np.convolve(losses, np.full(RUNNING, 1 / RUNNING), mode="valid")
        reference = (losses, running) if reference is None else reference
        off, most = abs(losses.mean() / reference[0].mean() - 1), np.abs(running / reference[1] - 1).max()
        means = f"{running[0]:.4f} | {running[-1]:.4f} | {losses.mean():.4f}"
        print(f"| {batch_size} | {side.name} | {means} | {off:.2%} | {most:.2%} |", flush=True)


def run(argv: Sequence[str] | None = None) -> int:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[2, 16])
    parser.add_argument("--steps", type=int, default=2, help="updates of which the median counts (default: 2)")
    parser.add_argument("--loss-updates", type=int, default=0, help="compares losses over so many updates, too")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default: cpu)")
    parser.add_argument("--compile", action="store_true", help="one more side, under torch.compile")
    parser.add_argument("--threads", type=int, help="of torch (default: its own choice)")
    parser.add_argument("--set", type=YAML(typ="safe").load, default={}, help="as '{conv_channels: 64}'")
    args = parser.parse_args(argv)
    if min(*args.batch_sizes, args.steps, args.threads or 1) < 1:
        raise ConfigError("`batch-sizes`, `steps` and `threads` must be 1 or more. Raise them.")
    if args.loss_updates and args.loss_updates < max(RUNNING, args.steps + 1):
        raise ConfigError(f"`loss-updates` must be 0, or {RUNNING} and more than `steps`. Raise it.")
    check_device(args.device)
    print(f"torch {torch.__version__}, {args.device}, {args.threads or torch.get_num_threads()} threads of ", end="")
    print(f"{os.cpu_count()}, load {os.getloadavg()[0]:.1f}, median of {args.steps}")
    for batch_size in args.batch_sizes:
        with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
            chosen = sides(stack, args, Path(folder), batch_size)
            for side in chosen * (args.steps + 1):  # in turn
                side.measured += side.ask("updates", 1)
            step_table(batch_size, chosen)
            if args.loss_updates:
                loss_table(batch_size, chosen, args.loss_updates)
            loop_table(batch_size, chosen[-1], args.steps)
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """The benchmark's exit code."""
    return exit_code_of("training_step", lambda: run(argv))


if __name__ == "__main__":
    sys.exit(main())
