"""The benchmark of answering runs as it is documented, and shows the others beside us."""

import subprocess
import sys

import pytest

SCRIPT = "inference.py"


def test_its_help_is_printed(benchmark):
    done = subprocess.run([sys.executable, benchmark.__file__, "--help"], capture_output=True, text=True, check=True)
    assert "--large" in done.stdout and done.stderr == ""


def test_bad_input_is_one_line_and_exit_code_2(benchmark, capsys):
    assert benchmark.main(["--files", "0"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and "must be 1 or more" in err and err.count("\n") == 1


@pytest.mark.slow
def test_a_small_run_shows_every_side_with_about_the_same_answers(benchmark, capsys):
    assert benchmark.main(["--files", "2", "--rounds", "1"]) == 0
    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines() if line.startswith("| 2 |")]
    assert [row[1] for row in rows[:4]] == [row[1] for row in rows[4:8]] and len(rows[:8]) == 8
    assert [row[1:3] for row in rows[8:]] in ([], [["emorec", "int8"]])
    assert all(float(row[-1].strip(" |")) < 0.02 for row in rows)
    unpadded = [row for row in rows if row[1] != benchmark.PADDED]  # whose answers depend on the company
    assert all(float(row[-1].strip(" |")) < 1e-4 for row in unpadded if row[2] == "fp32")
