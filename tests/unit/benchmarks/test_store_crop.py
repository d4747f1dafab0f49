"""The store's benchmark runs as it is documented, measures what it says, and leaves nothing behind."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = "store_crop.py"
needs_counters = pytest.mark.skipif(not Path("/proc/self/io").is_file(), reason="needs Linux's byte counters")


def test_its_help_is_printed(benchmark):
    done = subprocess.run([sys.executable, benchmark.__file__, "--help"], capture_output=True, text=True, check=True)
    assert "--utterances" in done.stdout and done.stderr == ""


@needs_counters
def test_a_small_run_shows_every_way_beside_ours_and_leaves_nothing(benchmark, tmp_path, capsys):
    assert benchmark.main(["--utterances", "2", "--rounds", "1", "--folder", str(tmp_path)]) == 0

    out, err = capsys.readouterr()
    assert err == "" and list(tmp_path.iterdir()) == []
    assert "numpy" in out and "2 utterances of 4.5 s, 226 x 25 x 1024" in out
    rows = {
        line.split(" | ")[0].strip("| "): line.split(" | ")
        for line in out.splitlines()
        if line[:3] in ("| o", "| n", "| s")
    }
    assert list(rows) == [
        "our store, float16", "our store, float16, to float32", "our store, int8, to float32", "numpy.load, float32",
        "numpy.load mapped, float32", "safetensors get_slice, float16",
    ]  # fmt: skip
    read = {name: float(cells[1].split()[0]) for name, cells in rows.items() if cells[1] != "-"}
    assert read["our store, float16"] == pytest.approx(96 * 25 * 1024 * 2 / 1e6, abs=0.01)
    assert read["our store, int8, to float32"] == pytest.approx(96 * 25 * (1024 + 4) / 1e6, abs=0.01)
    assert read["numpy.load, float32"] == pytest.approx(226 * 25 * 1024 * 4 / 1e6, abs=0.02)
    assert read["numpy.load, float32"] > 4.5 * read["our store, float16"]
    assert read["numpy.load, float32"] > 9 * read["our store, int8, to float32"]


@needs_counters
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--utterances", "0"], "`utterances` must be 1 or more, but is 0"),
        (["--duration-s", "1"], "`duration_s` must be 1.92 or more, but is 1.0"),
        (["--folder", "/nonexistent"], "/nonexistent"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(benchmark, capsys, words, expected):
    assert benchmark.main(words) == 2
    out, err = capsys.readouterr()
    assert out == "" and expected in err and err.count("\n") == 1
