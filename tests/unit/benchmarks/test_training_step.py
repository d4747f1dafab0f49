"""The benchmark of an update runs as documented, and trains every side on the same batches from the same weights."""

import re
import subprocess
import sys

import pytest
import torch

from emorec_lobes.experiments.settings import read_settings

SCRIPT = "training_step.py"
TINY = "{conv_channels: 16, decoder_channels: 16, phone_dim: 8, encoder_dim: 16, num_layers: 2, speaker_dim: 4}"


def test_its_help_is_printed(benchmark):
    done = subprocess.run([sys.executable, benchmark.__file__, "--help"], capture_output=True, text=True, check=True)
    assert "--loss-updates" in done.stdout and done.stderr == ""


@pytest.mark.parametrize(
    "words", [["--batch-sizes", "2", "0"], ["--steps", "0"], ["--loss-updates", "19"], ["--device", "warp"]]
)
def test_bad_input_is_one_line_and_exit_code_2(benchmark, capsys, words):
    assert benchmark.main(words) == 2
    out, err = capsys.readouterr()
    assert out == "" and words[0][2:] in err and err.count("\n") == 1


@pytest.mark.slow
def test_a_small_run_shows_the_recipe_beside_the_plain_loop_with_the_same_losses(benchmark, capsys):
    words = ["--batch-sizes", "2", "--steps", "1", "--loss-updates", "20", "--threads", "1", "--set", TINY]
    assert benchmark.main(words) == 0
    rows = [row.strip("| ").split(" | ") for row in capsys.readouterr().out.splitlines() if row.startswith("| 2 |")]
    assert [row[1] for row in rows] == [
        "plain loop, fp32", "recipe, fp32", "recipe, bf16",  # time
        "plain loop, fp32", "recipe, fp32", "recipe, bf16",  # loss
        "recipe, bf16",  # loop
    ]  # fmt: skip
    assert rows[0][3] == rows[0][5] == "1.00" and rows[3][5] == "0.00%"
    assert float(rows[4][5].rstrip("%")) < 0.1 and float(rows[5][5].rstrip("%")) < 2
    assert re.fullmatch(r"\d+\.\d+%", rows[6][4])


@pytest.fixture()
def workers(benchmark, tmp_path):
    """The plain loop and the recipe in single precision, in this process."""
    sizes = {"conv_channels": 8, "decoder_channels": 8, "phone_dim": 4, "encoder_dim": 8, "num_layers": 2}
    given = {"data_folder": "none", "output_folder": str(tmp_path), "batch_size": 2, "num_workers": 0, **sizes}
    settings, threads = read_settings(benchmark.HPARAMS, given), torch.get_num_threads()
    yield lambda options: benchmark.Worker(tmp_path, settings, options, "cpu", threads)


def test_the_recipe_in_single_precision_has_the_losses_of_the_plain_loop(workers):
    losses = [[loss for _, _, loss in workers(options).updates(4)] for options in (None, {})]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5) and len(set(losses[0])) == 4


def test_an_update_in_the_loop_is_timed_apart_from_what_is_between_two(workers):
    inside, between = workers({}).loop(4)
    assert 0 < inside < 60 and 0 < between < inside
