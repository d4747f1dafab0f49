"""What benchmarks print is kept, and the page of results is made of what is kept."""

import json

import pytest

SCRIPT = "run.py"

GOOD = """
import sys
print("3 rounds")
print("| a | b |")
print("|--:|--:|")
print("| 1 |", len(sys.argv), "|")
"""


@pytest.fixture
def folder(benchmark, tmp_path, monkeypatch):
    (tmp_path / "good.py").write_text(GOOD)
    (tmp_path / "worse.py").write_text("print('half a'); raise SystemExit(2)")
    for name, path in {"HERE": ".", "RECORDS": "records", "RESULTS": "RESULTS.md"}.items():
        monkeypatch.setattr(benchmark, name, tmp_path / path)
    return tmp_path


def test_the_committed_page_is_made_of_the_committed_records(benchmark):
    if benchmark.kept():
        assert benchmark.RESULTS.read_text(encoding="utf-8") == benchmark.page(benchmark.kept())
    else:
        assert not benchmark.RESULTS.exists()


def test_what_a_benchmark_prints_is_shown_kept_and_on_the_page(benchmark, folder, capsys):
    assert benchmark.main(["good", "--size", "2"]) == 0
    assert "| 1 | 3 |" in capsys.readouterr().out
    record = json.loads((folder / "records/good.size-2.json").read_text())
    assert record["command"] == "python benchmarks/good.py --size 2"
    assert record["output"] == ["3 rounds", "| a | b |", "|--:|--:|", "| 1 | 3 |"]
    page = (folder / "RESULTS.md").read_text()
    assert "## good.py\n\n    python benchmarks/good.py --size 2\n\n3 rounds\n\n| a | b |\n" in page
    assert record["machine"]["processor"] in page and f"torch {record['versions']['torch']}" in page


def test_a_command_has_one_record_and_another_command_its_own(benchmark, folder):
    for options in ([], ["--size", "2"], ["--size", "2"]):
        assert benchmark.main(["good", *options]) == 0
    assert sorted(path.name for path in (folder / "records").iterdir()) == ["good.json", "good.size-2.json"]
    assert (folder / "RESULTS.md").read_text().count("## good.py") == 1


def test_a_benchmark_that_fails_leaves_no_record_and_keeps_those_before_it(benchmark, folder, capsys):
    assert benchmark.main([]) == 2
    assert capsys.readouterr().err == ("benchmarks: worse.py must end well, but its exit code is 2. Run it alone.\n")
    assert [path.name for path in (folder / "records").iterdir()] == ["good.json"]


def test_an_unknown_benchmark_is_one_line(benchmark, folder, capsys):
    assert benchmark.main(["god"]) == 2
    err = capsys.readouterr().err
    assert "good" in err and err.count("\n") == 1
