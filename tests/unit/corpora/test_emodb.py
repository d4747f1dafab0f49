import csv
from collections import Counter

import pytest

from emorec_lobes.corpora import emodb
from emorec_lobes.errors import DataError


def test_a_name_gives_speaker_gender_sentence_and_emotion(emodb_tree):
    utterances, _ = emodb.read(emodb_tree, allow_incomplete=True)
    first, last = utterances[0], utterances[-1]
    assert (first.id, first.speaker, first.gender) == ("emodb_03a01Fa", "emodb_03", "male")
    assert (first.emotion, first.raw_emotion, first.duration) == ("happy", "F", 0.25)
    assert first.wav == "{data_root}/wav/03a01Fa.wav"
    assert (last.gender, last.text) == ("female", "Heute abend könnte ich es ihm sagen.")
    assert [item.emotion for item in utterances] == ["happy", "neutral", "angry", "sad", "bored", "disgusted"]


def test_the_official_counts_are_those_of_535_files():
    assert sum(emodb.OFFICIAL_COUNTS.values()) == 535
    assert Counter(emodb.GENDERS.values()) == {"female": 5, "male": 5}
    assert set(emodb.EMOTIONS.values()) == set(emodb.OFFICIAL_COUNTS)


def test_an_incomplete_corpus_is_refused_class_by_class(emodb_tree, refusal):
    message = refusal(DataError, emodb.read, emodb_tree)
    assert "angry 1/127" in message
    assert "bored 1/81" in message


def test_only_the_kept_labels_are_counted(emodb_tree, refusal):
    message = refusal(DataError, emodb.read, emodb_tree, labels=["sad", "angry"])
    assert "angry 1/127, sad 1/62" in message
    assert "bored" not in message


def test_kept_labels_that_are_complete_need_no_excuse(emodb_tree, monkeypatch):
    monkeypatch.setitem(emodb.OFFICIAL_COUNTS, "sad", 1)
    utterances, warnings = emodb.read(emodb_tree, labels=["sad"])
    assert [item.id for item in utterances] == ["emodb_08b03Tb"]
    assert warnings == []


@pytest.mark.parametrize("name", ["hello", "03a01Xa", "04a01Fa", "03a99Fa", "03a01F", "03a01Fa (1)"])
def test_a_file_that_is_not_named_like_emodb_is_refused(emodb_tree, make_wav, refusal, name):
    path = make_wav(emodb_tree / "wav" / f"{name}.wav")
    assert str(path) in refusal(DataError, emodb.read, emodb_tree, allow_incomplete=True)


def test_stray_files_are_passed_by(emodb_tree):
    for name in ("._03a01Fa.wav", ".DS_Store", "readme.txt"):
        (emodb_tree / "wav" / name).write_bytes(b"\x00\xff")
    assert len(emodb.read(emodb_tree, allow_incomplete=True)[0]) == 6


def test_the_folder_wav_itself_is_answered_with_its_parent(emodb_tree, refusal):
    assert f"Pass its parent, {emodb_tree}." in refusal(DataError, emodb.read, emodb_tree / "wav")


def test_a_folder_without_wav_is_refused(tmp_path, refusal):
    assert str(tmp_path) in refusal(DataError, emodb.read, tmp_path)


def test_broken_audio_is_named(emodb_tree, refusal):
    (emodb_tree / "wav" / "08b03Tb.wav").write_bytes(b"")
    assert "08b03Tb.wav" in refusal(DataError, emodb.read, emodb_tree, allow_incomplete=True)


def test_the_real_corpus_is_read_as_its_own_list_says(real_data):
    folder = real_data("emodb")
    utterances, warnings = emodb.read(folder, allow_incomplete=True)
    with (folder / "manifest.tsv").open(encoding="utf-8", newline="") as stream:
        listed = {row["file"]: row for row in csv.DictReader(stream, delimiter="\t")}
    names = {"fear": "fearful", "boredom": "bored", "disgust": "disgusted"}
    assert len(utterances) == len(listed)
    assert len(warnings) == 1
    for item in utterances:
        row = listed[item.wav.removeprefix("{data_root}/")]
        assert item.emotion == names.get(row["emotion"], row["emotion"])
        assert (item.speaker, item.gender[0], item.text) == (f"emodb_{row['speaker']}", row["gender"], row["text"])
        assert item.duration == pytest.approx(float(row["duration_s"]), abs=1e-4)


def test_the_four_complete_classes_of_the_real_corpus_need_no_excuse(real_data):
    utterances, warnings = emodb.read(real_data("emodb"), labels=["angry", "neutral", "happy", "sad"])
    assert len(utterances) == 127 + 79 + 71 + 62
    assert warnings == []
