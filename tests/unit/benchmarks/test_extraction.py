"""The benchmark of extraction runs as it is documented, and shows transformers' loop beside ours."""

import pytest

SCRIPT = "extraction.py"


@pytest.mark.parametrize("option", ["utterances", "rounds", "threads"])
def test_bad_input_is_one_line_and_exit_code_2(benchmark, capsys, option):
    assert benchmark.main([f"--{option}", "0"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and f"`{option}` must be 1 or more, but is 0" in err and err.count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize("more", [[], ["--store"]])
def test_a_small_run_shows_every_way_with_about_the_same_layers(benchmark, capsys, more):
    assert benchmark.main(["--utterances", "2", "--rounds", "1", *more]) == 0
    rows = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines() if line.startswith("| ")][1:]
    cosines = {row[0]: float(row[-1]) for row in rows}
    assert [name.split(",")[0] for name in cosines] == [
        "transformers fp32",
        "emorec fp32",
        "emorec bf16",
        "emorec bf16",
    ]
    assert cosines["emorec fp32, one by one"] > 0.99999
    assert min(cosines.values()) > 0.999
