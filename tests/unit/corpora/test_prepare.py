import csv
import inspect
import json

import pytest

from emorec_lobes.corpora import iemocap
from emorec_lobes.corpora.manifest import read_info, read_manifest
from emorec_lobes.corpora.prepare import CORPORA, options_of, prepare
from emorec_lobes.errors import ConfigError, DataError


def test_every_corpus_takes_the_common_options():
    for name, reader in CORPORA.items():
        parameters = inspect.signature(reader).parameters
        assert {"data_folder", "labels", "allow_incomplete"} <= set(parameters), name


def test_each_corpus_lists_its_own_options():
    assert options_of("emodb") == {}
    assert options_of("synthetic") == options_of("iemocap") == {"selection": "makiuchi2021", "merge_excited": False}
    assert options_of("goemotions") == {"multi_label": False}
    assert {"table", "corpus_name", "label_map", "path_column", "fold_column"} <= set(options_of("table"))


def test_a_manifest_and_what_made_it_are_written(emodb_tree, tmp_path):
    path = tmp_path / "new" / "folder" / "emodb.json"
    info = prepare("emodb", emodb_tree, path, labels=["happy", "sad"], allow_incomplete=True)
    assert list(read_manifest(path)) == ["emodb_03a01Fa", "emodb_08b03Tb"]
    assert read_info(path) == info
    assert (info.corpus, info.selection) == ("emodb", None)
    assert info.options == {"labels": ["happy", "sad"], "allow_incomplete": True}
    assert "happy 1/71, sad 1/62" in info.warnings[0]
    assert sorted(each.name for each in path.parent.iterdir()) == ["emodb.info.json", "emodb.json"]


def test_the_selection_and_its_options_are_recorded(iemocap_tree, tmp_path):
    prepare("iemocap", str(iemocap_tree), str(tmp_path / "m.json"), allow_incomplete=True, selection="xi2022")
    info = read_info(tmp_path / "m.json")
    assert info.selection == "xi2022"
    assert info.options["merge_excited"] is False


def test_an_option_that_is_none_stays_at_its_default(iemocap_tree, tmp_path):
    info = prepare("iemocap", iemocap_tree, tmp_path / "m.json", allow_incomplete=True, selection=None)
    assert info.selection == "makiuchi2021"


def test_the_synthetic_corpus_is_called_synthetic(iemocap_tree, tmp_path):
    (iemocap_tree / iemocap.SYNTHETIC_MARKER).touch()
    info = prepare("synthetic", iemocap_tree, tmp_path / "m.json")
    assert (info.corpus, info.warnings) == ("synthetic", [])
    assert all(name.startswith("synthetic_Ses0") for name in read_manifest(tmp_path / "m.json"))


def test_the_same_corpus_under_another_root_gives_the_same_bytes(emodb_tree, tmp_path):
    prepare("emodb", emodb_tree, tmp_path / "one.json", allow_incomplete=True)
    emodb_tree.rename(tmp_path / "moved")
    prepare("emodb", tmp_path / "moved", tmp_path / "two.json", allow_incomplete=True)
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()


def test_a_table_has_the_name_of_its_corpus_and_the_manifest_of_its_reader(emodb_tree, tmp_path):
    names = {"F": "happy", "N": "neutral", "W": "angry", "T": "sad", "L": "bored", "E": "disgusted"}
    prepare("emodb", emodb_tree, tmp_path / "corpus.json", allow_incomplete=True)
    rows = json.loads((tmp_path / "corpus.json").read_text())
    with (emodb_tree / "list.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["path", "label", "speaker", "gender", "text"])
        for row in rows.values():
            wav = row["wav"].removeprefix("{data_root}/")
            writer.writerow([wav, wav[9], wav[4:6], row["gender"][0], row["text"]])
    options = {"table": emodb_tree / "list.csv", "corpus_name": "emodb", "label_map": names}
    info = prepare("table", emodb_tree, tmp_path / "table.json", **options)
    assert (tmp_path / "table.json").read_bytes() == (tmp_path / "corpus.json").read_bytes()
    assert info.corpus == "emodb"
    assert read_info(tmp_path / "table.json") == info
    assert info.options["table"] == str(emodb_tree / "list.csv")


# What is refused leaves nothing behind


@pytest.fixture
def refused(tmp_path, refusal):
    """Prepares what must be refused; the manifest's folder must stay as it was."""
    target = tmp_path / "out"
    target.mkdir()

    def ask(error, corpus, data_folder, **options):
        message = refusal(error, prepare, corpus, data_folder, target / "m.json", **options)
        assert list(target.iterdir()) == []
        return message

    return ask


def test_an_unknown_corpus_is_refused(emodb_tree, refused):
    message = refused(ConfigError, "emobd", emodb_tree)
    assert "iemocap, emodb, synthetic, emorynlp, goemotions, meld, table" in message
    assert "Did you mean 'emodb'?" in message


def test_an_option_of_another_corpus_is_refused(emodb_tree, refused):
    assert "emodb has none" in refused(ConfigError, "emodb", emodb_tree, selection="xi2022")
    assert "selection, merge_excited" in refused(ConfigError, "iemocap", emodb_tree, table="a.csv")


@pytest.mark.parametrize("option", ["prefix", "data_folder_", "expected"])
def test_what_a_corpus_fixes_is_no_option(iemocap_tree, refused, option):
    assert f"'{option}'" in refused(ConfigError, "iemocap", iemocap_tree, **{option: "x"})


def test_an_unknown_label_is_refused(emodb_tree, refused):
    assert "Did you mean 'angry'?" in refused(ConfigError, "emodb", emodb_tree, labels=["happy", "angri"])


def test_a_label_without_an_utterance_is_refused(emodb_tree, refused):
    message = refused(DataError, "emodb", emodb_tree, labels=["happy", "calm"], allow_incomplete=True)
    assert "(happy)" in message
    assert "calm is not" in message


def test_a_data_folder_that_is_missing_is_named(tmp_path, refused):
    for corpus in CORPORA:
        assert str(tmp_path / "none") in refused(DataError, corpus, tmp_path / "none")


def test_an_incomplete_corpus_leaves_no_manifest(emodb_tree, iemocap_tree, refused):
    assert "angry 1/127" in refused(DataError, "emodb", emodb_tree)
    assert "session 1 7/1085" in refused(DataError, "iemocap", iemocap_tree)


def test_an_empty_corpus_leaves_no_manifest(emodb_tree, refused):
    for path in (emodb_tree / "wav").iterdir():
        path.unlink()
    assert "No utterance is left" in refused(DataError, "emodb", emodb_tree, allow_incomplete=True)


def test_two_utterances_with_one_id_leave_no_manifest(tmp_path, make_wav, refused):
    for folder in ("x", "y"):
        make_wav(tmp_path / folder / "a.wav")
    (tmp_path / "list.csv").write_text("path,label\nx/a.wav,sad\ny/a.wav,sad\n")
    message = refused(DataError, "table", tmp_path / "list.csv")
    assert "{data_root}/x/a.wav and {data_root}/y/a.wav" in message


def test_an_older_manifest_survives_a_refusal(emodb_tree, tmp_path, refusal):
    path = tmp_path / "m.json"
    prepare("emodb", emodb_tree, path, allow_incomplete=True)
    before = path.read_bytes()
    refusal(DataError, prepare, "emodb", emodb_tree, path)
    assert path.read_bytes() == before


def test_a_manifest_that_is_a_folder_is_refused(emodb_tree, tmp_path, refusal):
    target = tmp_path / "m.json"
    target.mkdir()
    before = set(tmp_path.rglob("*"))
    message = refusal(ConfigError, prepare, "emodb", emodb_tree, target, allow_incomplete=True)
    assert str(target) in message
    assert set(tmp_path.rglob("*")) == before


def test_a_manifest_in_a_folder_that_cannot_be_made_is_refused(emodb_tree, tmp_path, refusal):
    (tmp_path / "file").touch()
    target = tmp_path / "file" / "m.json"
    assert str(target) in refusal(ConfigError, prepare, "emodb", emodb_tree, target, allow_incomplete=True)
    assert (tmp_path / "file").read_bytes() == b""
