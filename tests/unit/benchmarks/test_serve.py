"""The benchmark of the server sends what it says, and sees an answer that is not its recording's."""

import io

import pytest
import soundfile

SCRIPT = "serve.py"


def test_bad_input_is_one_line_and_exit_code_2(benchmark, capsys):
    assert benchmark.main(["--requests", "0"]) == 2
    assert capsys.readouterr().err == "serve: All numbers must be more than 0. See `--help`.\n"


def test_recordings_are_wav_files_of_many_lengths(benchmark):
    forms = benchmark.recordings(4, duration_s=1.0, seed=0)
    waves = [form.partition(b"\r\n\r\n")[2].rpartition(b"\r\n--")[0] for form in forms]
    lengths = [soundfile.info(io.BytesIO(wave)).duration for wave in waves]
    assert len(set(lengths)) == 4 and all(0.5 <= length <= 1.5 for length in lengths)


def test_an_answer_to_another_recording_is_an_error(benchmark, monkeypatch):
    answers = iter([{"sad": 0.9}, {"sad": 0.2}])
    monkeypatch.setattr(benchmark, "ask", lambda connection, form: next(answers))
    monkeypatch.setattr(benchmark, "batches", lambda address: 0)
    with pytest.raises(benchmark.ConfigError, match=r"An answer is 0\.7 off"):
        benchmark.measure("localhost:1", [b"", b""], [{"sad": 0.9}, {"sad": 0.9}], clients=1, total=2)


@pytest.mark.slow
def test_a_small_run_shows_both_ways(benchmark, capsys):
    pytest.importorskip("uvicorn")
    assert benchmark.main(["--clients", "4", "--requests", "8", "--rounds", "1", "--seconds", "1"]) == 0
    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines() if line.startswith("| 4 |")]
    assert [row[1] for row in rows] == ["batches", "one by one"]
    assert float(rows[0][6]) >= float(rows[1][6]) == 1.0
