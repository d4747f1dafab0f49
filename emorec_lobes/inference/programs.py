"""A model without its code: as an ONNX file, and as a program of `torch.export`, from waves or features on."""

import copy
import logging
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx.experimental._config import patch as patch_export

from emorec_lobes.errors import DataError, UnavailableError
from emorec_lobes.inference.verify import ONNX, PROGRAM
from emorec_lobes.units import Seconds

# What a program may answer otherwise than the model.
MOST_MOVED = 1e-4
_STEADY = 1e-5
_NUM_BATCHES = 4
_NUM_TIMED = 5
_GATES = 4
_OPSET = 20
_OUTPUT = "probabilities"
# Inputs whose second axis is time.
_TIMED = ("waves", "layers", "spectrum", "tokens")

# (batch) -> probabilities, (B, K)
Program = Callable[..., Tensor]


def write_programs(graph: nn.Module, folder: Path, labels: Sequence[str]) -> Iterator[str]:
    """Writes model.pt2 and model.onnx, and compares both with the model.

    Arguments
    ---------
    graph : torch.nn.Module
        Of `graph.make_graph`, or a `waves.WaveGraph`.
    folder : Path
    labels : sequence of str
        In the order of the output.

    Yields
    ------
    str
        How far each is from the model, and how fast, as one line.

    Raises
    ------
    DataError
        If one answers otherwise by `MOST_MOVED` or more.
    UnavailableError
        If a library is missing.
    """
    yield compared(graph, write_program(graph, folder / PROGRAM), PROGRAM)
    yield compared(graph, write_onnx(graph, folder / ONNX, labels), ONNX)


def write_onnx(graph: nn.Module, path: Path, labels: Sequence[str]) -> Program:
    """Writes an ONNX file, with free numbers of utterances and of frames, and opens it.

    Arguments
    ---------
    graph : torch.nn.Module
        Of `graph.make_graph`, or a `waves.WaveGraph`.
    path : Path
    labels : sequence of str
        Kept in the file's metadata, in the order of the output.

    Returns
    -------
    Program
        Runs the file in ONNX Runtime on the CPU.

    Raises
    ------
    UnavailableError
        If a library is missing.
    """
    try:
        import onnxruntime
        from onnxscript import opset20 as op
    except ImportError as error:
        raise UnavailableError(f"`--onnx` needs {error.name}. Run pip install 'emorec[onnx]'.") from None

    def lstm(states: Any, inputs: Any, recurrent: Any, biases: Any) -> Any:
        """An LSTM layer in ONNX: (B, T, D) -> (B, T, directions * H)."""
        num_directions, _, hidden_dim = recurrent.shape
        direction = "bidirectional" if num_directions == 2 else "forward"
        frames = op.Transpose(states, perm=[1, 0, 2])  # (B, T, D) -> (T, B, D)
        hidden, *_ = op.LSTM(frames, inputs, recurrent, biases, direction=direction, hidden_size=hidden_dim)
        hidden = op.Transpose(hidden, perm=[2, 0, 1, 3])  # (T, directions, B, H) -> (B, T, directions, H)
        return op.Reshape(hidden, op.Constant(value_ints=[0, 0, -1]))

    with _silence():
        program = torch.onnx.export(
            _exported(graph),
            dynamo=True,
            verbose=False,
            opset_version=_OPSET,
            input_names=list(graph.inputs),
            output_names=[_OUTPUT],
            custom_translation_table={lstm_layer(): lstm},
        )
    program.model.metadata_props["labels"] = ",".join(labels)
    program.save(str(path))
    session = onnxruntime.InferenceSession(str(path), _quiet(onnxruntime))
    names = [each.name for each in session.get_inputs()]

    def run(*batch: Tensor) -> Tensor:
        given = dict(zip(graph.inputs, (each.numpy() for each in batch), strict=True))
        return torch.from_numpy(session.run([_OUTPUT], {name: given[name] for name in names})[0])

    return run


def write_program(graph: nn.Module, path: Path) -> Program:
    """Writes a `torch.export` program, and opens it as `load_program` does."""
    with _silence():
        torch.export.save(_exported(graph), path)
        return load_program(path)


def load_program(path: Path) -> Program:
    """A program that `write_program` wrote; PyTorch alone lacks its LSTM, which keeps free numbers of frames."""
    lstm_layer()
    # The guards would refuse a single utterance, or segment, of a program that was traced with several, and answers it.
    return torch.export.load(path).module(check_guards=False)


@torch.inference_mode()
def compared(graph: nn.Module, program: Program, name: str) -> str:
    """How far a program is from its model, and how fast, as one line.

    Utterances at which the model is at odds with itself are left out: a recurrent network may make of a difference in
    the last digit, which any other order of sums brings, another answer.

    Raises
    ------
    DataError
        If it answers otherwise by `MOST_MOVED` or more.
    """
    generator = torch.Generator().manual_seed(1)
    batches = [graph.example(generator) for _ in range(_NUM_BATCHES)]
    moves = torch.cat([_moves(graph(*batch), program(*batch)) for batch in batches])
    steady = torch.cat([_moves(graph(*batch), graph(*_shaken(batch, generator))) for batch in batches]) < _STEADY
    moved = float(moves[steady].max()) if steady.any() else float("nan")
    if not moved < MOST_MOVED:
        raise DataError(
            f"{name} must answer as the model does, but its probabilities differ by {moved:.2g}. Leave out --onnx."
        )
    eager_s, program_s = (_seconds(each, batches[0]) for each in (graph, program))
    return (
        f"{name}: largest |dp| {moved:.2g} over {int(steady.sum())} random utterances of {len(steady)}; "
        f"{1e3 * program_s:.1f} ms a batch of {len(batches[0][0])}, eager {1e3 * eager_s:.1f} ms"
    )


def _moves(one: Tensor, other: Tensor) -> Tensor:
    """The largest difference of each utterance: 2 x (B, K) -> (B,)."""
    return (one - other).abs().amax(dim=1)


def _shaken(batch: Sequence[Tensor], generator: torch.Generator) -> list[Tensor]:
    """The batch with its features changed by a few of their last digits."""
    scale = 8 * torch.finfo(torch.float32).eps
    return [
        each * (1 + scale * torch.randn(each.shape, generator=generator)) if each.is_floating_point() else each
        for each in batch
    ]


@contextmanager
def _silence() -> Iterator[None]:
    """Without what exporters say of libraries that nobody needs, and of attributes that they put back."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _seconds(run: Program, batch: Sequence[Tensor]) -> Seconds:
    """The shortest of a few runs."""
    found = []
    for _ in range(_NUM_TIMED):
        start = time.perf_counter()
        run(*batch)
        found.append(time.perf_counter() - start)
    return min(found)


def _exported(graph: nn.Module) -> torch.export.ExportedProgram:
    """The graph traced, with free numbers of utterances, and of what each is long."""
    graph = copy.deepcopy(graph)
    for parent in list(graph.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.LSTM):
                setattr(parent, name, TraceableLSTM(child))
    batch = graph.example(torch.Generator().manual_seed(0))
    free = torch.export.Dim.DYNAMIC
    shapes = tuple({0: free, 1: free} if name in _TIMED else {0: free} for name in graph.inputs)
    # Without the option, a batch whose number of segments is not 1 gives a program that refuses 1.
    with torch.no_grad(), patch_export(backed_size_oblivious=True):
        return torch.export.export(graph, batch, dynamic_shapes=shapes, strict=False)


class TraceableLSTM(nn.Module):
    """An LSTM that stays one operation when it is traced; PyTorch's becomes one for each frame of the example.

    Arguments
    ---------
    lstm : torch.nn.LSTM
        With biases, batch first.

    Example
    -------
    >>> lstm, states = nn.LSTM(3, 4, num_layers=2, batch_first=True, bidirectional=True), torch.rand(2, 5, 3)
    >>> bool(torch.allclose(TraceableLSTM(lstm)(states)[0], lstm(states)[0], atol=1e-6))
    True
    """

    def __init__(self, lstm: nn.LSTM) -> None:
        super().__init__()
        self.layers = nn.ModuleList()
        directions = ("", "_reverse") if lstm.bidirectional else ("",)
        for number in range(lstm.num_layers):
            parts = {}
            for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                each = [getattr(lstm, f"{kind}_l{number}{direction}").detach() for direction in directions]
                parts[kind] = torch.stack([_moved(one, (0, 3, 1, 2)) for one in each])  # i, f, g, o -> i, o, f, g
            layer = nn.Module()
            layer.register_buffer("inputs", parts["weight_ih"])
            layer.register_buffer("recurrent", parts["weight_hh"])
            layer.register_buffer("biases", torch.cat([parts["bias_ih"], parts["bias_hh"]], dim=1))
            self.layers.append(layer)

    def forward(self, states: Tensor) -> tuple[Tensor, None]:
        """(B, T, D) -> (B, T, directions * H), and no last state."""
        run = lstm_layer()
        for layer in self.layers:
            states = run(states, layer.inputs, layer.recurrent, layer.biases)
        return states, None


@cache
def lstm_layer() -> torch._ops.OpOverload:
    """PyTorch's operation `emorec::lstm_layer`, made known when it is first asked for; weights stand as in ONNX."""

    def compute(states: Tensor, inputs: Tensor, recurrent: Tensor, biases: Tensor) -> Tensor:
        num_directions, _, hidden_dim = recurrent.shape
        weights = []
        for direction in range(num_directions):
            bias = biases[direction].chunk(2)
            parts = (inputs[direction], recurrent[direction], *bias)
            weights += [_moved(part, (0, 2, 3, 1)) for part in parts]  # i, o, f, g -> i, f, g, o
        zeros = states.new_zeros(num_directions, len(states), hidden_dim)
        found = torch.lstm(states, (zeros, zeros), weights, True, 1, 0.0, False, num_directions == 2, True)
        return found[0].contiguous()

    def shape(states: Tensor, inputs: Tensor, recurrent: Tensor, biases: Tensor) -> Tensor:
        return states.new_empty(states.shape[0], states.shape[1], recurrent.shape[0] * recurrent.shape[2])

    torch.library.custom_op("emorec::lstm_layer", compute, mutates_args=()).register_fake(shape)
    return torch.ops.emorec.lstm_layer.default


def _moved(gates: Tensor, order: Sequence[int]) -> Tensor:
    """The gates of a weight, (4 * H, ...), in another order."""
    parts = gates.chunk(_GATES)
    return torch.cat([parts[index] for index in order])


def _quiet(onnxruntime: Any) -> Any:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return options
