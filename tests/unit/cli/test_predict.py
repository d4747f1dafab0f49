"""`emorec predict`: answers as they come, failures at the end, and a list that is gone on with."""

import csv
import io
import json
import shutil
import sys

import fsspec
import numpy as np
import pytest
import soundfile

from emorec_lobes.cli.main import main
from emorec_lobes.inference.answer_rows import AnswerFile
from emorec_lobes.inference.recognizer import EmotionRecognizer

LABELS = ("angry", "sad")


class Fake(EmotionRecognizer):
    """Says how loud an utterance is; counts how often it is asked."""

    takes_audio, takes_text = True, False
    asked: list

    def __init__(self):
        self.__dict__.update(labels=LABELS, asked=[], _max_duration_s=60.0, _max_timeline_s=60.0)
        self.__dict__["_engine"] = self
        self.__dict__["_temperature"] = 1.0

    def scores(self, waves, texts, names):
        from emorec_lobes.errors import DataError
        from emorec_lobes.inference.engine import Score

        self.asked += names
        if any("deaf" in name for name in names):
            bad = next(name for name in names if "deaf" in name)
            raise DataError(f"{bad} cannot be judged. Leave it out.")
        return [Score(self.row(wave), np.zeros(1)) for wave in waves]

    def rows(self, waves):
        return np.stack([self.row(wave) for wave in waves])

    def row(self, wave):
        level = min(1.0, float(wave.abs().max()))
        return np.array([level, 1 - level])


@pytest.fixture()
def fake(monkeypatch):
    recognizer = Fake()

    def opened(source, **options):
        recognizer.source, recognizer.options = source, options
        return recognizer

    monkeypatch.setattr(EmotionRecognizer, "from_hparams", opened)
    return recognizer


@pytest.fixture()
def folder(tmp_path, monkeypatch):
    """Three recordings, a text and a broken file."""
    for name, level in {"a": 0.9, "b": 0.2, "c": 0.7}.items():
        soundfile.write(tmp_path / f"{name}.wav", level * np.sin(np.arange(16_000) / 9), 16_000)
    (tmp_path / "notes.txt").write_text("no audio")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def rows(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_each_file_has_a_line(fake, folder, capsys):
    assert main(["predict", "a.wav", "b.wav", "--model", "m"]) == 0
    out, err = capsys.readouterr()
    assert out == "a.wav: angry  (angry 0.90  sad 0.10)\nb.wav: sad  (angry 0.20  sad 0.80)\n" and err == ""
    assert fake.source == "m"


@pytest.mark.parametrize("words", [".", "*.wav", "a.wav b.wav c.wav a.wav", "--list list.txt", "-"])
def test_folders_patterns_lists_and_stdin_name_files(fake, folder, capsys, monkeypatch, words):
    (folder / "list.txt").write_text("a.wav\n\nb.wav\nc.wav\n")
    monkeypatch.setattr("sys.stdin", io.StringIO("a.wav\nb.wav\nc.wav\n"))
    assert main(["predict", *words.split(), "--model", "m", "--format", "csv"]) == 0
    found = rows(capsys.readouterr().out)
    assert [row["name"] for row in found] == ["a.wav", "b.wav", "c.wav"]
    assert [row["label"] for row in found] == ["angry", "sad", "angry"] and float(found[0]["p_angry"]) > 0.89


@pytest.mark.parametrize("form", ["csv", "rttm"])
def test_urls_are_heard_as_files_are(fake, folder, capsys, form):
    memory = fsspec.filesystem("memory")
    for name in ("a.wav", "notes.txt"):
        memory.pipe(f"/{folder.name}/{name}", (folder / name).read_bytes())
    timeline = ["--timeline"] if form == "rttm" else []
    urls = [f"memory://{folder.name}/{name}" for name in ("a.wav", "notes.txt", "none.wav")]
    assert main(["predict", *urls, "--model", "m", "--format", form, *timeline]) == 1
    found, err = capsys.readouterr()
    assert main(["predict", "a.wav", "--model", "m", "--format", form, *timeline]) == 0
    assert found.replace(urls[0], "a.wav") == capsys.readouterr().out
    assert [url in line for url, line in zip(urls[1:], err.splitlines(), strict=True)] == [True, True]


def test_json_lines_have_everything(fake, folder, capsys):
    main(["predict", "a.wav", "--model", "m", "--format", "json", "--threshold", "0.95"])
    answer = json.loads(capsys.readouterr().out)
    assert answer["name"] == "a.wav" and answer["label"] is None and answer["warnings"] == []
    assert answer["probabilities"] == pytest.approx({"angry": 0.9, "sad": 0.1}, abs=0.01) and answer["duration_s"] == 1


def test_failed_files_stop_no_other_and_stand_at_the_end(fake, folder, capsys):
    shutil.copy("b.wav", "deaf.wav")
    assert main(["predict", "a.wav", "none.wav", "deaf.wav", "notes.txt", "c.wav", "--model", "m"]) == 1
    out, err = capsys.readouterr()
    assert [line.split(":")[0] for line in out.splitlines()] == ["a.wav", "c.wav"]
    lines = err.splitlines()
    assert len(lines) == 3 and all(line.startswith("emorec: ") for line in lines)
    assert "none.wav" in lines[0] and "notes.txt" in lines[1] and "deaf.wav" in lines[2]


@pytest.mark.parametrize("form", ["csv", "json"])
def test_a_list_is_gone_on_with_where_it_stopped(fake, folder, capsys, form):
    words = ["predict", "a.wav", "b.wav", "c.wav", "--model", "m", "--format", form, "--to", "answers"]
    assert main(words) == 0 and capsys.readouterr().out == ""
    whole = (folder / "answers").read_text()
    lines = whole.splitlines(keepends=True)
    (folder / "answers").write_text("".join(lines[:-2]) + lines[-2][:5])  # killed in the middle of a line
    fake.asked.clear()

    assert main(words) == 0

    assert (folder / "answers").read_text() == whole and fake.asked == ["b.wav", "c.wav"]


def test_a_file_of_other_answers_is_not_added_to(fake, folder, capsys):
    (folder / "answers.csv").write_text("name,label\na.wav,angry\n")
    assert main(["predict", "a.wav", "--model", "m", "--format", "csv", "--to", "answers.csv"]) == 2
    assert "must hold answers with the same labels" in capsys.readouterr().err
    assert AnswerFile(folder / "new.csv", "csv", LABELS).done == set()


def test_timelines_are_written_in_every_format(fake, folder, capsys):
    words = ["predict", "a.wav", "--model", "m", "--timeline", "--window-s", "0.5", "--shift-s", "0.5", "--format"]
    found = {}
    for form in ("table", "json", "csv", "rttm", "audacity"):
        assert main([*words, form]) == 0
        found[form] = capsys.readouterr().out
    assert "0.00 -     1.00 s  angry" in found["table"]
    assert len(json.loads(found["json"])["segments"]) == 2
    assert [row["stop_s"] for row in rows(found["csv"])] == ["0.500", "1.000"]
    assert found["rttm"].startswith("SPEAKER a.wav 1 0.000 1.000") and found["audacity"].endswith("\tangry\n")


def test_without_ray_its_engine_is_one_line_with_what_installs_it(fake, folder, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    assert main(["predict", "a.wav", "--model", "m", "--engine", "ray"]) == 2
    assert capsys.readouterr().err == "emorec: `ray` is not installed. Run pip install 'emorec[scale]'.\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model", "m"], "Some audio or `--text` must be given"),
        (["*.flac", "--model", "m"], "must stand for files"),
        (["a.wav", "--model", "m", "--format", "xml"], "`format` must be one of table, json, csv"),
        (["a.wav", "--model", "m", "--format", "rttm"], "`format` must be one of table, json, csv"),
        (["a.wav", "--model", "m", "--to", "x.txt"], "--format json or csv"),
        (["a.wav", "--model", "m", "--labels", "bored"], "`labels` must be one of angry, sad"),
        (["a.wav", "b.wav", "--model", "m", "--text", "hello"], "one for each of 2 files"),
        (["a.wav", "--model", "m", "--timeline", "--to", "x.csv"], "must stand without --to"),
        (["--list", "none.txt", "--model", "m"], "must be a list of files"),
        (["a.wav", "--model", "m", "--jobs", "0"], "`--jobs` must be 1 or more, but is 0"),
        (["a.wav", "--model", "m", "--engine", "spark"], "`engine` must be one of local, ray"),
    ],
)
def test_what_cannot_be_asked_is_one_line_and_exit_code_2(fake, folder, capsys, words, message):
    assert main(["predict", *words]) == 2
    out, err = capsys.readouterr()
    assert out == "" and message in err and err.count("\n") == 1


def test_two_processes_answer_as_one_does(folder, capsys):
    (folder / "broken.wav").write_bytes(b"RIFF")
    found = []
    for words in ([], ["--jobs", "2"]):
        assert main(["predict", str(folder), "--format", "csv", "--batch-size", "1", *words]) == 1
        out, err = capsys.readouterr()
        found.append((rows(out), err))
    (alone, said_alone), (together, said_together) = found
    assert said_alone == said_together and "emorec: " in said_alone
    assert [row["name"] for row in together] == [row["name"] for row in alone] and len(alone) == 3
    for one, other in zip(alone, together, strict=True):
        assert one["label"] == other["label"] and abs(float(one["p_sad"]) - float(other["p_sad"])) < 1e-4
