"""Two processes under torchrun train one model and leave one result."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from emorec_lobes.evaluation.predictions import read_predictions

RECIPE = Path(__file__).parents[2] / "recipes/IEMOCAP/train_ser.py"


@pytest.mark.parametrize("mel_weight", [1, 0])
def test_two_processes_train_evaluate_and_write_once(tones, features, command_line, tmp_path, mel_weight):
    """Also where no loss reaches the decoder."""
    weights = {"mel_first_weight": mel_weight, "mel_weight": mel_weight}
    changes = {"fold": 1, "number_of_updates": 4, "updates_per_validation": 2, "batch_size": 2, **weights}
    words = command_line("ser_mel.yaml", tones, features, tmp_path / "run", **changes)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    command = [*launcher, str(RECIPE), *words, "--distributed_backend=gloo"]
    done = subprocess.run(
        command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Results: ") == 1
    record = json.loads((tmp_path / "run/fold_1/results.json").read_text())
    assert record["fingerprint"]["run"]["num_processes"] == "2"
    assert len(read_predictions(tmp_path / "run/fold_1/predictions.csv").only("test")) == 8
    history = json.loads((tmp_path / "run/fold_1/history.json").read_text())
    assert [row["update"] for row in history["rows"]] == [2, 4]
