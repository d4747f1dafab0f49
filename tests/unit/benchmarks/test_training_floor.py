"""The floor of an update counts what it says, and its benchmark runs as it is documented."""

import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

SCRIPT = "training_floor.py"


def test_its_help_is_printed(benchmark):
    done = subprocess.run([sys.executable, benchmark.__file__, "--help"], capture_output=True, text=True, check=True)
    assert "--batch-sizes" in done.stdout and done.stderr == ""


@pytest.mark.parametrize("words", [["--batch-sizes", "0"], ["--threads", "-1"], ["--device", "warp"]])
def test_bad_input_is_one_line_and_exit_code_2(benchmark, capsys, words):
    assert benchmark.main(words) == 2
    out, err = capsys.readouterr()
    assert out == "" and words[0][2:] in err and err.count("\n") == 1


def test_operations_of_a_convolution_are_those_that_pytorch_counts(benchmark):
    conv, x = nn.Conv1d(6, 8, 5, padding=2), torch.randn(3, 6, 20, requires_grad=True)
    with FlopCounterMode(display=False) as counter:
        conv(x).sum().backward()
    assert benchmark.gflop(conv, nn.Conv1d, 60) * 1e9 == pytest.approx(counter.get_total_flops())


def test_operations_of_an_lstm_are_counted_by_hand(benchmark):
    both = nn.ModuleDict({"lstm": nn.LSTM(6, 5), "conv": nn.Conv1d(6, 8, 5)})
    assert benchmark.gflop(both, nn.LSTM, 7) * 1e9 == pytest.approx(7 * 3 * 2 * 4 * 5 * (6 + 5))


def test_adam_needs_28_bytes_of_memory_a_weight(benchmark):
    rate = {"fp32": 1.0, "bf16": 2.0, "memory": 4.0}
    assert benchmark.needs(nn.Linear(9, 1), 7, rate, "fp32") == {"convolutions": 0, "LSTMs": 0, "Adam": 10 * 28 / 4e9}


def test_the_parts_of_a_profile_add_up_to_its_whole(benchmark):
    def event(key, own, whole):
        return SimpleNamespace(key=key, self_cpu_time_total=own * 1e6, cpu_time_total=whole * 1e6)

    events = [
        event("aten::convolution_backward", 4, 4),
        event("aten::addmm", 2, 2),
        event("aten::mkldnn_rnn_layer", 8, 8),
        event("aten::copy_", 1, 1),
        event("aten::mul", 3, 3),
        event("Optimizer.step#Adam.step", 1, 6),
        event("aten::_fused_adam_", 5, 5),
    ]
    found = benchmark.by_part(events, "cpu")
    assert found == {"convolutions": 6, "LSTMs": 8, "Adam": 6, "casts and copies": 1, "all else": 3}
