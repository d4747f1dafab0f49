import ast
import csv
from collections import Counter

import pytest

from emorec_lobes.corpora import emorynlp
from emorec_lobes.corpora.protocol import make_folds
from emorec_lobes.errors import DataError

HEADER = "Utterance,Speaker,Emotion,Scene_ID,Utterance_ID,Season,Episode,Start_Time,End_Time\n"
TIMES = "00:00:03.795,00:00:05.004\n"
TRAIN = (
    f"Coffee.,['Rachel Green'],Neutral,1,1,1,15,{TIMES}"
    f"\"Yeah, right!\",\"['Monica Geller', 'Phoebe Buffay']\",Mad,1,3,1,15,{TIMES}"
    f'4:30.,"[""Phoebe\'s Assistant""]",Scared,12,1,1,15,{TIMES}'
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Five turns in three files, which are all that the release has."""
    root = tmp_path / "corpus"
    root.mkdir()
    rows = {
        "train": TRAIN,
        "dev": f"coffee.,['Rachel Green'],Joyful,1,1,2,3,{TIMES}",
        "test": f"Sad.,['Ross Geller'],Peaceful,1,7,10,4,{TIMES}",
    }
    for split, lines in rows.items():
        (root / f"emorynlp_{split}_final.csv").write_text(HEADER + lines, encoding="utf-8")
    monkeypatch.setattr(emorynlp, "OFFICIAL_COUNTS", {"train": 3, "valid": 1, "test": 1})
    return root


@pytest.fixture
def edit(folder):
    """Replaces a part of the training file, once."""

    def replace(old, new):
        path = folder / emorynlp.FILES["train"]
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new, 1), encoding="utf-8")
        return path

    return replace


def test_a_row_gives_text_speaker_scene_and_turn(folder):
    utterances, warnings = emorynlp.read(folder)
    first, second, third, *_ = utterances
    assert warnings == []
    assert (first.id, first.dialog, first.turn) == ("emorynlp_s01_e15_c01_u001", "emorynlp_s01_e15_c01", 1)
    assert (first.text, first.speaker, first.fold) == ("Coffee.", "emorynlp_Rachel Green", "train")
    assert (first.wav, first.duration, first.session) == ("", 0.0, None)
    assert (second.text, second.turn) == ("Yeah, right!", 3)
    assert second.speaker == "emorynlp_Monica Geller & Phoebe Buffay"
    assert (third.speaker, third.dialog) == ("emorynlp_Phoebe's Assistant", "emorynlp_s01_e15_c12")


def test_emotions_are_canonical_and_the_corpus_spelling_is_kept(folder):
    found = {item.raw_emotion: item.emotion for item in emorynlp.read(folder)[0]}
    assert found == {
        "Neutral": "neutral",
        "Mad": "angry",
        "Scared": "fearful",
        "Joyful": "happy",
        "Peaceful": "peaceful",
    }


def test_the_files_are_the_official_split(folder):
    utterances, _ = emorynlp.read(folder)
    (fold,) = make_folds({item.id: item for item in utterances}, "official")
    assert [len(ids) for ids in (fold.train, fold.valid, fold.test)] == [3, 1, 1]
    assert fold.test == ("emorynlp_s10_e04_c01_u007",)


def test_labels_are_kept_after_everything_was_counted(folder):
    utterances, warnings = emorynlp.read(folder, labels=["happy", "angry"])
    assert [item.emotion for item in utterances] == ["angry", "happy"]
    assert warnings == []


def test_other_counts_than_the_official_ones_are_refused_or_recorded(folder, edit, refusal):
    edit(TRAIN.splitlines(keepends=True)[0], "")
    assert "train 2/3, valid 1/1, test 1/1" in refusal(DataError, emorynlp.read, folder)
    utterances, (warning,) = emorynlp.read(folder, allow_incomplete=True)
    assert len(utterances) == 4
    assert "EmoryNLP" in warning and "train 2/3" in warning


def test_a_missing_file_is_refused_or_counted(folder, refusal):
    (folder / emorynlp.FILES["valid"]).unlink()
    assert "emorynlp_dev_final.csv" in refusal(DataError, emorynlp.read, folder)
    assert "valid 0/1" in emorynlp.read(folder, allow_incomplete=True)[1][0]


def test_a_folder_without_the_files_is_refused_even_if_it_may_be_incomplete(tmp_path, refusal):
    assert str(tmp_path) in refusal(DataError, emorynlp.read, tmp_path, allow_incomplete=True)


def test_the_folder_above_is_answered_with_the_one_that_holds_the_files(folder, refusal):
    assert f"Pass {folder}." in refusal(DataError, emorynlp.read, folder.parent)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("Scene_ID", "Scene", "column Scene_ID"),
        ("Coffee.", "", "row 1 must have a text"),
        ("Coffee.", "  ", "row 1 must have a text"),
        (",Mad,", ",Angry,", "row 2: `Emotion` must be one of Mad"),
        (",Mad,", ",mad,", "row 2: `Emotion`"),
        (",Mad,1,3,", ",Mad,1,third,", "row 2: `Utterance_ID` must be a whole number"),
        (",Mad,1,3,", ",Mad,1,1,", "row 2 must have an id of its own"),
        ("['Rachel Green']", "Rachel Green", "row 1: `Speaker` must be like"),
        ("['Rachel Green']", "[]", "row 1: `Speaker` must be like"),
        (",Neutral,1,1", ",Neutral,1", "row 1 must have 9 cells"),
    ],
)
def test_a_row_that_is_not_as_released_is_named(folder, edit, refusal, old, new, complaint):
    path = edit(old, new)
    message = refusal(DataError, emorynlp.read, folder, allow_incomplete=True)
    assert str(path) in message
    assert complaint in message


def test_an_id_in_two_files_is_named_in_both(folder, refusal):
    path = folder / emorynlp.FILES["test"]
    path.write_text(HEADER + TRAIN, encoding="utf-8")
    message = refusal(DataError, emorynlp.read, folder)
    for part in (f"{path}, row 1", "emorynlp_train_final.csv, row 1", "'emorynlp_s01_e15_c01_u001'"):
        assert part in message


def test_a_file_that_is_not_utf8_is_named(folder, refusal):
    path = folder / emorynlp.FILES["train"]
    path.write_bytes(path.read_bytes().replace(b"Coffee.", b"Caf\xe9."))
    message = refusal(DataError, emorynlp.read, folder)
    assert str(path) in message and "UTF-8" in message


def test_the_real_corpus_is_read_as_python_reads_its_files(real_data):
    folder = real_data("emorynlp")
    utterances, warnings = emorynlp.read(folder)
    assert warnings == []
    rows = []
    for name in emorynlp.FILES.values():
        with (folder / name).open(encoding="utf-8", newline="") as stream:
            rows += csv.DictReader(stream)
    assert Counter(item.fold for item in utterances) == {"train": 7551, "valid": 954, "test": 984}
    for item, row in zip(utterances, rows, strict=True):
        assert (item.text, item.raw_emotion) == (row["Utterance"].strip(), row["Emotion"])
        assert item.speaker == "emorynlp_" + " & ".join(ast.literal_eval(row["Speaker"]))
        assert item.turn == int(row["Utterance_ID"])
    splits = {}
    for item in utterances:
        splits.setdefault(item.dialog, set()).add(item.fold)
    assert all(len(found) == 1 for found in splits.values())
