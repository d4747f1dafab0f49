"""`emorec prepare`: what it prints, and that bad input ends in one line, exit code 2 and nothing written."""

import argparse
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from emorec_lobes.cli import prepare
from emorec_lobes.cli.main import main
from emorec_lobes.errors import ConfigError, DataError


def _run(*words):
    parser = argparse.ArgumentParser()
    prepare.add_arguments(parser)
    return prepare.run(parser.parse_args([str(word) for word in words]))


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Four files and a table of them."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 8_000)
    rows = ["file;who;emo".replace(";", "\t")]
    for name, speaker, label in (("1", "a", "W"), ("2", "a", "T"), ("3", "b", "W"), ("4", "b", "x")):
        soundfile.write(folder / f"{name}.wav", noise, 16_000)
        rows.append(f"{name}.wav\t{speaker}\t{label}")
    (folder / "list.tsv").write_text("\n".join(rows) + "\n")
    return folder


@pytest.fixture
def words(corpus: Path, tmp_path: Path) -> list[str]:
    """A command line that works."""
    line = f"table --data-folder {corpus} --manifest {tmp_path / 'out' / 'm.json'} --table list.tsv --corpus-name mine"
    line += " --path-column file --label-column emo --speaker-column who --label-map W=angry,T=sad,x=other"
    return line.split()


def test_the_command_line_reaches_the_reader(words, tmp_path):
    assert _run(*words, "--labels", "sad, angry") == 0
    rows = json.loads((tmp_path / "out" / "m.json").read_text())
    assert list(rows) == ["mine_1", "mine_2", "mine_3"]
    assert rows["mine_3"] == {
        "wav": "{data_root}/3.wav",
        "duration": 0.5,
        "emotion": "angry",
        "raw_emotion": "W",
        "speaker": "mine_b",
    }


def test_the_summary_shows_counts_warnings_and_where_the_manifest_went(words, corpus, tmp_path, capsys):
    (corpus / "4.wav").unlink()
    assert _run(*words, "--allow-incomplete") == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[:6] == [
        "mine: 3 utterances, 2 speakers, 0.00 h",
        "",
        "speaker  angry  sad  total",
        "mine_a       1    1      2",
        "mine_b       1    0      1",
        "total        2    1      3",
    ]
    assert printed[7].startswith("warning: 1 of 4 audio files are missing")
    assert printed[-2:] == [f"wrote {tmp_path / 'out/m.json'}", f"      {tmp_path / 'out/m.info.json'}"]


def test_every_column_option_reaches_the_reader(words, corpus, tmp_path):
    header = "file\temo\tk1\tk2\tk3\tk4\tk5\tk6\tk7\n"
    (corpus / "list.tsv").write_text(header + "1.wav\tW\tname\tann\tf\t2\tHello.\t3\tscripted\n")
    names = ("id", "speaker", "gender", "session", "text", "fold", "kind")
    columns = [word for number, name in enumerate(names, 1) for word in (f"--{name}-column", f"k{number}")]
    assert _run(*words, *columns) == 0
    row = json.loads((tmp_path / "out" / "m.json").read_text())["mine_name"]
    assert (row["speaker"], row["gender"], row["session"]) == ("mine_ann", "female", "2")
    assert (row["text"], row["fold"], row["kind"]) == ("Hello.", "3", "scripted")


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (["--label-map", "W"], ConfigError),
        (["--label-map", "W=angry"], DataError),
        (["--labels", "joy"], ConfigError),
        (["--labels", ""], ConfigError),
        (["--labels", "sad,"], ConfigError),
        (["--labels", "bored"], DataError),
        (["--selection", "xi2022"], ConfigError),
        (["--merge-excited"], ConfigError),
        (["--path-column", "wav"], ConfigError),
        (["--table", "none.tsv"], DataError),
        (["--corpus-name", "a b"], ConfigError),
        (["--data-folder", "/no/such/folder"], DataError),
    ],
)
def test_bad_input_is_one_line_with_exit_code_2_and_leaves_nothing(words, tmp_path, capsys, change, error):
    before = set(tmp_path.rglob("*"))
    with pytest.raises(error) as caught:
        _run(*words, *change)
    assert main(["prepare", *words, *change]) == 2
    printed = capsys.readouterr()
    assert printed.err == f"emorec: {caught.value}\n"
    assert printed.err.count("\n") == 1
    assert printed.out == ""
    assert set(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("content", [b"", b"no audio at all", None])
def test_bad_audio_names_the_file_with_exit_code_2_and_leaves_nothing(words, corpus, tmp_path, capsys, content):
    (corpus / "2.wav").unlink()
    if content is not None:
        (corpus / "2.wav").write_bytes(content)
    before = set(tmp_path.rglob("*"))
    assert main(["prepare", *words]) == 2
    complaint = capsys.readouterr().err
    assert str(corpus / "2.wav") in complaint
    assert complaint.count("\n") == 1
    assert set(tmp_path.rglob("*")) == before


def test_the_next_run_goes_on_after_bad_input_is_mended(words, corpus, tmp_path):
    audio = (corpus / "2.wav").read_bytes()
    (corpus / "2.wav").write_bytes(b"")
    assert main(["prepare", *words]) == 2
    (corpus / "2.wav").write_bytes(audio)
    assert main(["prepare", *words]) == 0
    assert len(json.loads((tmp_path / "out" / "m.json").read_text())) == 4


def test_an_unknown_corpus_is_one_line_with_exit_code_2(tmp_path, capsys):
    assert main(["prepare", "imocap", "--data-folder", str(tmp_path), "--manifest", str(tmp_path / "m.json")]) == 2
    assert "Did you mean 'iemocap'?" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_corpus_of_text_alone_is_prepared_with_its_option(tmp_path, capsys):
    (tmp_path / "labels.txt").write_text("anger\ndisgust\nfear\njoy\nneutral\nsadness\nsurprise\n")
    (tmp_path / "train.tsv").write_text("Well.\t4\ta\nGlad, sad.\t3,5\tb\n")
    words = ["goemotions", "--data-folder", tmp_path, "--manifest", tmp_path / "m.json", "--allow-incomplete"]
    assert _run(*words, "--multi-label") == 0
    rows = json.loads((tmp_path / "m.json").read_text())
    assert rows["goemotions_b"]["emotions"] == ["happy", "sad"]
    printed = capsys.readouterr().out
    assert "goemotions: 2 utterances, speakers unknown, text alone" in printed
    assert "warning: GoEmotions differs from the official release (found/expected): train 2/43410" in printed
    assert _run(*words) == 0
    assert list(json.loads((tmp_path / "m.json").read_text())) == ["goemotions_a"]


def test_the_real_corpus_is_prepared(real_data, tmp_path, capsys):
    folder = real_data("emodb")
    words = ["prepare", "emodb", "--data-folder", str(folder), "--manifest", str(tmp_path / "m.json")]
    assert main(words) == 2
    assert "fearful 1/69" in capsys.readouterr().err
    assert main([*words, "--labels", "angry,neutral,happy,sad"]) == 0
    printed = capsys.readouterr().out
    assert "339 utterances, 10 speakers, 0.26 h" in printed
    assert "warning" not in printed
