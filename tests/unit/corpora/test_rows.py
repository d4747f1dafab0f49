import csv
import json

import pytest

from emorec_lobes.corpora.rows import read_rows
from emorec_lobes.errors import DataError

ROWS = [
    {"path": "a.wav", "label": "sad", "text": 'He said, "no"\tand left'},
    {"path": "b ü.wav", "label": "W", "text": "two\nlines"},
    {"path": "c.wav", "label": "happy", "text": ""},
]


def _write_separated(path, separator, encoding="utf-8"):
    with path.open("w", encoding=encoding, newline="") as stream:
        writer = csv.DictWriter(stream, ROWS[0], delimiter=separator)
        writer.writeheader()
        writer.writerows(ROWS)


@pytest.fixture(params=[".csv", ".tsv", ".json", ".jsonl", "object.json", "bom.csv", ".CSV"])
def table(request, tmp_path):
    """The same rows in every form."""
    path = tmp_path / f"rows{request.param}"
    if request.param == ".json":
        path.write_text(json.dumps(ROWS))
    elif request.param == "object.json":
        path.write_text(json.dumps(dict(enumerate(ROWS))))
    elif request.param == ".jsonl":
        path.write_text("\n\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS) + "\n", encoding="utf-8")
    else:
        separator = "\t" if request.param == ".tsv" else ","
        _write_separated(path, separator, "utf-8-sig" if request.param == "bom.csv" else "utf-8")
    return path


def test_every_form_gives_the_same_rows(table):
    rows = [dict(row) for row in read_rows(table)]
    if table.name.endswith("object.json"):
        assert [row.pop("id") for row in rows] == ["0", "1", "2"]
    assert rows == ROWS


def test_cells_of_json_become_text(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('[{"path": "a.wav", "session": 3, "text": null, "label": " sad "}]')
    assert read_rows(path) == [{"path": "a.wav", "session": "3", "text": "", "label": "sad"}]


def test_the_key_of_an_object_is_an_id_unless_the_row_has_one(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"k1": {"label": "sad"}, "k2": {"label": "sad", "id": "mine"}}')
    assert [row["id"] for row in read_rows(path)] == ["k1", "mine"]


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("a.xlsx", b"x", "suffix"),
        ("a.csv", b"", "at least one row"),
        ("a.csv", b"path,label\n", "at least one row"),
        ("a.csv", b"path,label\na.wav\n", "row 1 must have 2 cells as the header has, but has 1"),
        ("a.csv", b"path,label\nb.wav,sad\n\na.wav,sad,x\n", "row 2 must have 2 cells as the header has, but has 3"),
        ("a.csv", b"path,path\na,b\n", "each column once"),
        ("a.csv", "path,label\nü,sad\n".encode("latin-1"), "UTF-8"),
        ("a.tsv", b"path\tlabel\n" + b"a" * 200_000 + b"\tsad\n", "field larger than"),
        ("a.json", b"[{]", "must be JSON"),
        ("a.json", b"3", "list of objects"),
        ("a.json", b"[]", "at least one row"),
        ("a.json", b'["a.wav"]', "row 1 must be an object"),
        ("a.json", b'{"k": "a.wav"}', "row 1 must be an object"),
        ("a.jsonl", b'{"path": "a"}\n{"path": \n', "row 2 must be JSON"),
        ("a.jsonl", b"\n\n", "at least one row"),
    ],
)
def test_a_table_that_is_none_is_named_with_what_is_wrong(tmp_path, refusal, name, content, complaint):
    (tmp_path / name).write_bytes(content)
    message = refusal(DataError, read_rows, tmp_path / name)
    assert str(tmp_path / name) in message
    assert complaint in message


def test_wrong_characters_are_repaired_before_blanks_are_cut(tmp_path):
    (tmp_path / "a.csv").write_text("text\nWell\x85\nIt\x92s\n", encoding="utf-8")
    rows = read_rows(tmp_path / "a.csv", {0x85: "…", 0x92: "’"})
    assert [row["text"] for row in rows] == ["Well…", "It’s"]


def test_a_missing_table_is_named(tmp_path, refusal):
    assert str(tmp_path / "a.csv") in refusal(DataError, read_rows, tmp_path / "a.csv")


def test_a_folder_is_no_table(tmp_path, refusal):
    (tmp_path / "a.csv").mkdir()
    assert "Is a directory" in refusal(DataError, read_rows, tmp_path / "a.csv")
