"""`emorec report`: to the terminal, into a file, and as a check that the file is what the records say."""

import numpy as np
import pytest
import soundfile
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


@pytest.fixture
def whole_run(tmp_path, write_whole_run):
    """A run with its answers and manifest, and the corpus it was made of: sines, louder from file to file."""
    run = write_whole_run(tmp_path / "whole/seed_1")
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    wave = np.sin(np.arange(800) / 8)
    for number in range(240):
        soundfile.write(corpus / f"{number}.wav", wave * (number + 1) / 241, 16_000)
    return run


def test_a_whole_report_is_written_and_its_place_is_told(whole_run, tmp_path, capsys):
    assert report(tmp_path / "whole", "--to", tmp_path / "deep/out", "--data-folder", tmp_path / "corpus") == 0
    out, err = capsys.readouterr()
    assert "| `ser_small` |" in out and f"Report: {tmp_path}/deep/out/index.html" in err
    names = sorted(path.name for path in (tmp_path / "deep/out").iterdir())
    assert names == ["index.html", "results.csv", "results.md", "results.tex"]
    page = (tmp_path / "deep/out/index.html").read_text()
    assert "Level: UAR" in page and "Duration: UAR" in page and "Session: UAR" in page


def test_a_manifest_elsewhere_is_named_and_without_one_the_report_says_what_it_lacks(whole_run, tmp_path, capsys):
    words = [whole_run, "--to", tmp_path / "out"]
    (whole_run / "manifest.json").rename(tmp_path / "other.json")
    assert report(*words) == 0 and "there is no manifest with durations" in (tmp_path / "out/index.html").read_text()
    assert report(*words, "--manifest", tmp_path / "other.json") == 0
    assert "Duration: UAR" in (tmp_path / "out/index.html").read_text()


def test_runs_that_are_not_finished_are_named(whole_run, tmp_path, capsys):
    (tmp_path / "whole/seed_2/fold_1").mkdir(parents=True)
    assert report(tmp_path / "whole", "--to", tmp_path / "out") == 0
    assert f"Left out, not all folds are finished: {tmp_path}/whole/seed_2\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("spoil", "words", "says"),
    [
        (lambda run: (run / "results.json").unlink(), [], "holds no results.json of all folds"),
        (lambda run: (run / "predictions.csv").unlink(), [], "predictions.csv must be there"),
        (lambda run: (run / "manifest.json").write_text("{"), [], "manifest.json is not valid JSON"),
        (lambda run: (run / "manifest.json").unlink(), ["--data-folder", "x"], "must come with a manifest"),
        (lambda run: None, ["--data-folder", "x"], "0.wav must be an audio file, but does not exist"),
        (
            lambda run: (run / "manifest.json").write_text((run / "manifest.json").read_text().replace("_0007", "_9")),
            [],
            "must hold the tested utterance 'emodb_0007'",
        ),
    ],
)
def test_what_cannot_be_reported_is_one_line_and_nothing_is_written(whole_run, tmp_path, capsys, spoil, words, says):
    spoil(whole_run)
    assert report(whole_run, *words, "--to", tmp_path / "out") == 2
    err = capsys.readouterr().err
    assert says in err and err.startswith("emorec: ") and err.count("\n") == 1 and not (tmp_path / "out").exists()


@pytest.mark.parametrize("words", [["--manifest", "x.json"], ["--data-folder", "x"]])
def test_options_of_the_whole_report_need_its_place(two_systems, capsys, words):
    assert report(two_systems, *words) == 2
    assert "must come with `--to`" in capsys.readouterr().err
