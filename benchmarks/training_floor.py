"""What an update of ser_small needs at the rates that this machine reaches, and what it takes, part by part."""

import argparse
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from emorec_lobes.errors import ConfigError, exit_code_of
from emorec_lobes.experiments.memory import keep_freed_memory
from emorec_lobes.experiments.settings import Settings, read_settings
from emorec_lobes.features.speech import check_device
from emorec_lobes.models.losses import masked_mse

HPARAMS = Path(__file__).parents[1] / "hparams/ser_small.yaml"
SIDE, LONG = 2048, 2**26  # of a matrix, and numbers that no cache of a core holds
ADAM_BYTES = 4 * 7  # reads weight, gradient and two moments; writes all but the gradient
TIMES = 5
ADAM, ELSE = "Adam", "all else"

# Layers of a part, and words in the names of their operations; in half precision few frames make convolutions products.
PARTS = {"convolutions": (nn.Conv1d, ("conv", "aten::mm", "addmm", "unfold")), "LSTMs": (nn.LSTM, ("lstm", "rnn"))}
MOVES = "casts and copies", ("copy", "Memcpy", "aten::cat")


def rates(device: str) -> dict[str, float]:
    """Gflop/s of matrix products in single and half precision, and GB/s to and from memory, at their best."""
    matrix, numbers = torch.ones(SIDE, SIDE, device=device), torch.zeros(LONG, device=device)
    found = {}
    for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        factor = matrix.to(dtype)
        found[name] = 2 * SIDE**3 / quickest(lambda factor=factor: factor @ factor, device) / 1e9
    return {**found, "memory": 2 * numbers.nbytes / quickest(lambda: numbers.add_(1), device) / 1e9}


def quickest(work: Callable[[], Any], device: str) -> float:
    """Seconds, after one time to warm up."""
    found = []
    for _ in range(TIMES + 1):
        begin = time.perf_counter()
        work()
        if device != "cpu":
            torch.accelerator.synchronize()
        found.append(time.perf_counter() - begin)
    return min(found[1:])


def gflop(model: nn.Module, kind: type[nn.Module], num_frames: int) -> float:
    """Of all layers of a kind: output, gradient of the input and gradient of the weights, a product and a sum each."""
    layers = [module for module in model.modules() if isinstance(module, kind)]
    return (
        6e-9 * num_frames * sum(weight.numel() for layer in layers for weight in layer.parameters() if weight.dim() > 1)
    )


def needs(model: nn.Module, num_frames: int, rate: Mapping[str, float], precision: str) -> dict[str, float]:
    """Seconds that a part cannot do without."""
    found = {part: gflop(model, kind, num_frames) / rate[precision] for part, (kind, _) in PARTS.items()}
    return {**found, ADAM: 1e-9 * ADAM_BYTES * sum(weight.numel() for weight in model.parameters()) / rate["memory"]}


def takes(model: nn.Module, batch: Mapping[str, Tensor], mel: Tensor, precision: str) -> dict[str, float]:
    """Seconds that each part took, of the second update."""
    device, optimizer = mel.device.type, torch.optim.Adam(model.parameters(), fused=True)
    kinds = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * (device == "cuda")
    for _ in range(2):
        with profile(activities=kinds, acc_events=True) as profiled:
            with torch.autocast(device, torch.bfloat16, enabled=precision == "bf16"):
                output = model(**batch)
                loss = output.logits.float().square().mean() + masked_mse(output.mel_first, mel)
                loss = loss + masked_mse(output.mel, mel)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
    return by_part(profiled.key_averages(), "device" if device == "cuda" else "cpu")


def by_part(events: Sequence[Any], where: str) -> dict[str, float]:
    """Seconds of each part in a profile."""
    words = {part: names for part, (_, names) in PARTS.items()} | dict([MOVES])
    found = dict.fromkeys([*PARTS, ADAM, MOVES[0], ELSE], 0.0)
    for event in events:
        if event.key.startswith("Optimizer.step"):  # with all that is inside
            found[ADAM] += getattr(event, f"{where}_time_total") / 1e6
        own = getattr(event, f"self_{where}_time_total") / 1e6
        found[next((part for part in words if any(word in event.key for word in words[part])), ELSE)] += own
    found[ELSE] -= found[ADAM]  # counted twice
    return found


def rows(model: nn.Module, batch_size: int, rate: Mapping[str, float], device: str, sizes: Settings) -> list[str]:
    """The table's lines for a batch size."""
    frames, length = batch_size * sizes["crop_frames"], (batch_size, sizes["crop_frames"])
    batch = {
        "layers": torch.randn(*length, sizes["num_layers"], sizes["encoder_dim"]).half(),
        "speaker": torch.rand(batch_size, sizes["speaker_dim"]),
        "phones": torch.randint(sizes["num_phones"], length),
        "num_valid": torch.full((batch_size,), sizes["crop_frames"]),
    }
    batch, mel = (
        {name: value.to(device) for name, value in batch.items()},
        torch.randn(*length, sizes["num_mels"], device=device),
    )
    columns = []
    for precision in ("fp32", "bf16"):
        columns += [needs(model, frames, rate, precision), takes(model, batch, mel, precision)]
    cells = [[f"{1e3 * column[part]:.0f}" if part in column else "" for column in columns] for part in columns[1]]
    return [f"| {batch_size} | {part} | {' | '.join(row)} |" for part, row in zip(columns[1], cells, strict=True)]


def run(argv: Sequence[str] | None = None) -> int:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[2, 16])
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default: cpu)")
    parser.add_argument("--threads", type=int, help="of torch (default: its own choice)")
    args = parser.parse_args(argv)
    if min(*args.batch_sizes, args.threads or 1) < 1:
        raise ConfigError("`batch-sizes` and `threads` must be 1 or more. Raise them.")
    check_device(args.device)
    torch.set_num_threads(args.threads or torch.get_num_threads())
    rate, settings = rates(args.device), read_settings(HPARAMS, {"data_folder": "none"})
    if args.device == "cpu":
        keep_freed_memory()  # as a recipe does
    model = settings.build()["model"].to(args.device).train()
    print(f"torch {torch.__version__}, {args.device}, {torch.get_num_threads()} threads of {os.cpu_count()}", end="")
    print(f", load {os.getloadavg()[0]:.1f}: {rate['fp32']:.0f} Gflop/s in fp32, {rate['bf16']:.0f} in bf16, ", end="")
    print(f"{rate['memory']:.1f} GB/s\n\n| batch | part | fp32 needs, ms | takes | bf16 needs | takes |")
    print("|--:|---|--:|--:|--:|--:|")
    for batch_size in args.batch_sizes:
        for row in rows(model, batch_size, rate, args.device, settings):
            print(row, flush=True)
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """The benchmark's exit code."""
    return exit_code_of("training_floor", lambda: run(argv))


if __name__ == "__main__":
    sys.exit(main())
