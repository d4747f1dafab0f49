"""Two processes under torchrun train one model, as one process does with both batches, and leave one result."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from emorec_lobes.evaluation.predictions import read_predictions

RECIPE = Path(__file__).parents[2] / "recipes/IEMOCAP/train_ser.py"
LAUNCHER = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2")

# The recipe without what two processes cannot share: dropout is off, and batch statistics are either those of both
# processes or frozen. Each process writes its losses, and the weights that it ends with.
WITNESS = """
import json, os, sys
from functools import partial
from pathlib import Path

import torch
from torch import nn

from emorec_lobes.brains.ser import SERBrain
from emorec_lobes.experiments.run import main
from emorec_lobes.experiments.speech import SpeechTask

STATISTICS, FOLDER = sys.argv[1], Path(sys.argv[2])


class Witness(SERBrain):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.losses = []
        self.norms = [each for each in self.modules.modules() if isinstance(each, nn.BatchNorm1d)]
        for each in self.modules.modules():
            each.p = 0.0 if isinstance(each, nn.Dropout) else getattr(each, "p", None)
        if STATISTICS == "synchronised":
            # Batch statistics cancel the bias before them: Adam would step by the rounding errors of its gradient.
            self.opt_class = partial(torch.optim.SGD, lr=0.03)

    def _wrap_distributed(self):
        super()._wrap_distributed()
        if STATISTICS == "synchronised" and self.distributed_launch:
            nn.SyncBatchNorm.convert_sync_batchnorm(self.modules)  # not before: DDP refuses such a layer on a CPU

    def on_fit_batch_start(self, batch, should_step):
        super().on_fit_batch_start(batch, should_step)
        for norm in self.norms if STATISTICS == "frozen" else ():
            norm.eval()

    def on_fit_batch_end(self, batch, outputs, loss, should_step):
        self.losses.append(float(loss))
        rank = os.environ.get("RANK", "alone")
        (FOLDER / f"{rank}.json").write_text(json.dumps(self.losses))
        torch.save(self.hparams.model.state_dict(), FOLDER / f"{rank}.pt")


sys.exit(main(Witness, SpeechTask, sys.argv[3:]))
"""


def run(*command):
    done = subprocess.run(
        list(map(str, command)), env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=400
    )
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.parametrize(
    ("statistics", "tolerance"), [("frozen", 2e-6), pytest.param("synchronised", 1e-4, marks=pytest.mark.slow)]
)
def test_two_processes_with_half_a_batch_each_are_one_with_all_of_it(
    tones, features, command_line, tmp_path, statistics, tolerance
):
    """Though the halves have other shares of padding and of the classes, which have other weights."""
    (tmp_path / "witness.py").write_text(WITNESS)
    changes = {"fold": 1, "number_of_updates": 6, "updates_per_validation": 3, "class_weights": "[1.0, 4.0]"}
    for name, batch_size, launcher in (("one", 4, [sys.executable]), ("two", 2, LAUNCHER)):
        words = command_line("ser_mel.yaml", tones, features, tmp_path / name, batch_size=batch_size, **changes)
        backend = ["--distributed_backend=gloo"] if name == "two" else []
        run(*launcher, tmp_path / "witness.py", statistics, tmp_path, *words, *backend)
    losses = {name: json.loads((tmp_path / f"{name}.json").read_text()) for name in ("alone", "0", "1")}
    together = [(one + other) / 2 for one, other in zip(losses["0"], losses["1"], strict=True)]
    assert together == pytest.approx(losses["alone"], rel=tolerance)
    assert max(abs(one - other) for one, other in zip(losses["0"], losses["1"], strict=True)) > 0.01
    alone, first, second = (torch.load(tmp_path / f"{name}.pt") for name in ("alone", "0", "1"))
    assert list(alone) == list(first)
    for name, expected in alone.items():
        torch.testing.assert_close(first[name], expected, rtol=tolerance, atol=tolerance)
        assert torch.equal(first[name], second[name]), name


@pytest.mark.parametrize("mel_weight", [pytest.param(1, marks=pytest.mark.slow), 0])
def test_two_processes_train_evaluate_and_write_once(tones, features, command_line, tmp_path, mel_weight):
    """Also where no loss reaches the decoder."""
    weights = {"mel_first_weight": mel_weight, "mel_weight": mel_weight}
    changes = {"fold": 1, "number_of_updates": 4, "updates_per_validation": 2, "batch_size": 2, **weights}
    words = command_line("ser_mel.yaml", tones, features, tmp_path / "run", **changes)
    done = run(*LAUNCHER, RECIPE, *words, "--distributed_backend=gloo")
    assert done.stdout.count("Results: ") == 1
    record = json.loads((tmp_path / "run/fold_1/results.json").read_text())
    assert record["fingerprint"]["run"]["num_processes"] == "2"
    assert len(read_predictions(tmp_path / "run/fold_1/predictions.csv").only("test")) == 8
    history = json.loads((tmp_path / "run/fold_1/history.json").read_text())
    assert [row["update"] for row in history["rows"]] == [2, 4]
