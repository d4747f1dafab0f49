"""The benchmark of one core shows every way, and times no more than it says."""

import soundfile

SCRIPT = "real_time.py"


def test_its_recordings_are_as_long_as_it_says(benchmark, tmp_path):
    paths, total_s = benchmark.write(tmp_path, 5, seed=0)
    lengths = [soundfile.info(path).duration for path in paths]
    assert len(set(lengths)) == 5 and abs(sum(lengths) - total_s) < 1e-6


def test_a_small_run_shows_every_way(benchmark, capsys, monkeypatch):
    calls = []
    monkeypatch.setattr(benchmark, "ways", lambda: {"ours": calls.append, "theirs": calls.append})
    assert benchmark.main(["--files", "2", "--rounds", "3"]) == 0
    assert [len(each) for each in calls] == [2] * 8
    assert [line.split(" | ")[0] for line in capsys.readouterr().out.splitlines()[3:]] == ["| ours", "| theirs"]


def test_bad_input_is_one_line_and_exit_code_2(benchmark, capsys):
    assert benchmark.main(["--files", "0"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
