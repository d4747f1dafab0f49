"""`emorec report`: to the terminal, into a file, and as a check that the file is what the records say."""

import pytest
from matplotlib.image import imread

from emorec_lobes.cli.main import main

MARKS = "<!-- results:emodb:begin -->\n{}<!-- results:emodb:end -->\n"


@pytest.fixture
def readme(tmp_path):
    path = tmp_path / "README.md"
    path.write_text("# Title\n\n" + MARKS.format("No results yet.\n"))
    return path


def report(*words):
    return main(["report", *map(str, words)])


def test_without_a_file_the_table_goes_to_the_terminal(two_systems, capsys):
    assert report(two_systems) == 0
    assert "| `ser_small --refit True` | 1, 2, 3 | strict |" in capsys.readouterr().out


def test_another_score_is_asked_for_by_name(two_systems, capsys):
    assert report(two_systems, "--score", "weighted_f1") == 0
    assert "| protocol | weighted F1 | ± sd | 95 % interval | accuracy | UAR | macro F1 |" in capsys.readouterr().out
    assert report(two_systems, "--score", "f1") == 2
    assert capsys.readouterr().err.startswith("emorec: `score` must be one of accuracy, uar")


def test_into_a_file_it_replaces_what_stands_between_the_marks(two_systems, readme, capsys):
    assert report(two_systems) == 0
    table = capsys.readouterr().out
    assert report(two_systems, "--into", readme, "--name", "emodb") == 0
    assert readme.read_text() == "# Title\n\n" + MARKS.format(table)
    assert capsys.readouterr().out == "" and not list(readme.parent.glob(".*.tmp"))


def test_the_check_writes_nothing_and_tells_a_stale_file_by_its_exit_code(two_systems, readme, capsys):
    words = [two_systems, "--into", readme, "--name", "emodb"]
    before = readme.read_text()
    assert report(*words, "--check", "--keep", readme.parent / "kept", "--figure", readme.parent / "f.png") == 1
    assert readme.read_text() == before and sorted(path.name for path in readme.parent.iterdir()) == [
        "README.md",
        "runs",
    ]
    assert "emodb is not made of these records" in capsys.readouterr().err
    assert report(*words) == 0 and report(*words, "--check") == 0


def test_the_kept_records_alone_make_the_file_again(two_systems, readme, tmp_path):
    into = ["--into", readme, "--name", "emodb"]
    assert report(two_systems, "--base", two_systems / "plain", *into, "--keep", tmp_path / "kept") == 0
    assert report(tmp_path / "kept", *into, "--check") == 0
    next((tmp_path / "kept").glob("*-3.results.json")).unlink()
    assert report(tmp_path / "kept", *into, "--check") == 1


def test_a_figure_is_drawn(two_systems, tmp_path):
    assert report(two_systems, "--base", two_systems / "plain", "--figure", tmp_path / "deep/forest.png") == 0
    assert min(imread(tmp_path / "deep/forest.png").shape[:2]) >= 300


@pytest.mark.parametrize("words", [["--into", "x.md"], ["--name", "emodb"], ["--check"]])
def test_options_that_need_each_other_are_asked_for_in_one_line(two_systems, capsys, words):
    assert report(two_systems, *words) == 2
    err = capsys.readouterr().err
    assert err.startswith("emorec: `--into` must come with `--name`") and err.count("\n") == 1


def test_a_file_without_the_marks_is_refused_before_anything_is_kept(two_systems, readme, tmp_path, capsys):
    words = ["--into", readme, "--name", "other", "--keep", tmp_path / "kept"]
    assert report(two_systems, *words) == 2
    assert "<!-- results:other:begin -->" in capsys.readouterr().err and not (tmp_path / "kept").exists()
