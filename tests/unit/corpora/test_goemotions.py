from collections import Counter

import pytest

from emorec_lobes.corpora import goemotions
from emorec_lobes.errors import DataError
from emorec_lobes.labels import CANONICAL, EKMAN, canonical

TRAIN = (
    "I’m fine.\t4\tee1\n"
    '"Quoted, and never closed\t0\tee2\n'
    "So glad, so sad!\t5,3\tee3\n"
    "Wow. \t6\tee4\n"
    "Hm, odd.\t4,6\tee5\n"
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Nine comments, which are all that the release has; in each file one has several labels, in train two have."""
    root = tmp_path / "corpus"
    root.mkdir()
    (root / "labels.txt").write_text("anger\ndisgust\nfear\njoy\nneutral\nsadness\nsurprise")
    (root / "train.tsv").write_text(TRAIN, encoding="utf-8")
    (root / "dev.tsv").write_text("Wow.\t2\ted1\nAnd?\t1,2\ted2\n", encoding="utf-8")
    (root / "test.tsv").write_text("Ew.\t1\tet1\nOh, well.\t3,5\tet2", encoding="utf-8")
    monkeypatch.setattr(goemotions, "OFFICIAL_COUNTS", {"train": 5, "valid": 2, "test": 2})
    return root


def _read(folder, **options):
    utterances, warnings = goemotions.read(folder, **options)
    return {item.id: item for item in utterances}, warnings


def test_a_row_gives_text_label_and_id(folder):
    utterances, _ = _read(folder)
    first, quoted = utterances["goemotions_ee1"], utterances["goemotions_ee2"]
    assert (first.text, first.emotion, first.raw_emotion, first.fold) == ("I’m fine.", "neutral", "neutral", "train")
    assert (first.wav, first.duration, first.speaker, first.dialog) == ("", 0.0, None, None)
    assert (quoted.text, quoted.emotion) == ('"Quoted, and never closed', "angry")
    assert utterances["goemotions_et1"].fold == "test"


def test_rows_of_several_labels_are_left_out_and_counted(folder):
    utterances, warnings = _read(folder)
    assert len(utterances) == 5
    assert all(item.emotions is None for item in utterances.values())
    assert warnings == ["4 of 9 rows have several labels and are left out (train 2, valid 1, test 1)."]


def test_training_rows_of_several_labels_can_stay_with_all_of_them(folder):
    utterances, warnings = _read(folder, multi_label=True)
    assert len(utterances) == 7
    item = utterances["goemotions_ee3"]
    assert (item.emotions, item.emotion, item.raw_emotion) == (["happy", "sad"], "happy", "sadness|joy")
    assert utterances["goemotions_ee5"].emotions == ["neutral", "surprised"]
    assert warnings == ["2 of 9 rows have several labels and are left out (train 0, valid 1, test 1)."]


def test_a_row_of_several_labels_stays_if_all_of_them_are_kept(folder):
    assert set(_read(folder, multi_label=True, labels=["sad", "happy", "neutral"])[0]) == {
        "goemotions_ee1",
        "goemotions_ee3",
    }


def test_the_ekman_labels_stand_in_class_order():
    names = [canonical(name) for name in EKMAN]
    assert names == sorted(names, key=CANONICAL.index)
    assert len(set(names)) == 7


def test_labels_are_numbered_as_the_list_of_the_release_has_them(folder):
    (folder / "labels.txt").write_text("neutral\nsurprise\nanger\ndisgust\nfear\njoy\nsadness\n")
    assert _read(folder)[0]["goemotions_ee1"].emotion == "fearful"


@pytest.mark.parametrize("names", ["anger\njoy", "admiration\n" * 7, ""])
def test_a_list_of_other_labels_is_refused(folder, refusal, names):
    (folder / "labels.txt").write_text(names)
    message = refusal(DataError, goemotions.read, folder)
    assert str(folder / "labels.txt") in message and "Ekman" in message


def test_a_missing_list_of_labels_is_named(folder, refusal):
    (folder / "labels.txt").unlink()
    assert str(folder / "labels.txt") in refusal(DataError, goemotions.read, folder)


def test_other_counts_than_the_official_ones_are_refused_or_recorded(folder, refusal):
    (folder / "train.tsv").write_text(TRAIN.partition("\n")[2], encoding="utf-8")
    assert "train 4/5, valid 2/2, test 2/2" in refusal(DataError, goemotions.read, folder)
    assert "train 4/5" in _read(folder, allow_incomplete=True)[1][0]


def test_the_folder_above_is_answered_with_the_one_that_holds_the_files(folder, refusal):
    assert f"Pass {folder}." in refusal(DataError, goemotions.read, folder.parent)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("\t4\tee1", "\tee1", "row 1 must be text, label numbers and id"),
        ("Wow. \t6", "Wow.\tx\t6", "row 4 must be text, label numbers and id"),
        ("Wow. ", " ", "row 4 must have a text"),
        ("ee4", "", "row 4 must have a text in `id`"),
        ("\t6\t", "\t7\t", "row 4: `label number` must be one of 0"),
        ("\t6\t", "\t\t", "row 4: `label number`"),
        ("\t5,3\t", "\t5;3\t", "row 3: `label number`"),
        ("ee4", "ee2", "row 4 must have an id of its own"),
    ],
)
def test_a_row_that_is_not_as_released_is_named(folder, refusal, old, new, complaint):
    assert old in TRAIN
    (folder / "train.tsv").write_text(TRAIN.replace(old, new), encoding="utf-8")
    message = refusal(DataError, goemotions.read, folder, allow_incomplete=True)
    assert str(folder / "train.tsv") in message
    assert complaint in message


def test_a_file_that_is_not_utf8_is_named(folder, refusal):
    (folder / "dev.tsv").write_bytes(b"Caf\xe9\t2\ted1\n")
    message = refusal(DataError, goemotions.read, folder)
    assert str(folder / "dev.tsv") in message and "UTF-8" in message


def test_the_real_corpus_has_the_rows_a_plain_split_of_its_lines_has(real_data):
    folder = real_data("goemotions") / "ekman"
    utterances, (warning,) = goemotions.read(folder)
    rows = []
    for name in ("train.tsv", "dev.tsv", "test.tsv"):
        rows += [line.split("\t") for line in (folder / name).read_text(encoding="utf-8").split("\n") if line]
    single = [(text.strip(), number, each) for text, number, each in rows if "," not in number]
    assert f"{len(rows) - len(single)} of 54263 rows" in warning
    assert [(item.text, item.id) for item in utterances] == [(text, f"goemotions_{each}") for text, _, each in single]
    counted = Counter(number for _, number, _ in single)
    assert Counter(item.emotion for item in utterances)["happy"] == counted["3"]
    several = [item for item in goemotions.read(folder, multi_label=True)[0] if item.emotions]
    assert len(several) == sum("," in number for _, number, _ in rows[:43410])
