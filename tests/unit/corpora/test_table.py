import csv
import json
import os
import re
from dataclasses import replace

import pytest

from emorec_lobes.corpora import emodb, table
from emorec_lobes.corpora.manifest import locate
from emorec_lobes.errors import ConfigError, DataError

LETTERS = "W=angry,N=neutral,F=happy,T=sad,A=fearful,E=disgusted,L=bored"


@pytest.fixture
def corpus(tmp_path, make_wav):
    """Two files and a writer of tables about them."""
    for name in ("a", "b"):
        make_wav(tmp_path / "audio" / f"{name}.wav")

    def write(*rows, name="labels.json"):
        (tmp_path / name).write_text(json.dumps(rows))
        return tmp_path

    return write


def _row(**cells):
    return {"path": "audio/a.wav", "label": "sad", **cells}


def _read_one(folder, **options):
    ((utterance,), warnings) = table.read(folder, table="labels.json", **options)
    assert warnings == []
    return utterance


# What is read


def test_path_and_label_are_enough(corpus):
    item = _read_one(corpus(_row()))
    assert (item.id, item.wav, item.duration) == ("table_a", "{data_root}/audio/a.wav", 0.5)
    assert (item.emotion, item.raw_emotion) == ("sad", "sad")
    for field in ("speaker", "gender", "session", "text", "kind", "fold"):
        assert getattr(item, field) is None


def test_columns_with_the_usual_names_are_found(corpus):
    cells = {"id": "7", "speaker": "03", "gender": "W", "session": 2, "text": " Ja. ", "fold": 1, "kind": "Scripted"}
    item = _read_one(corpus(_row(**cells)), corpus_name="mine")
    assert (item.id, item.speaker, item.gender, item.session) == ("mine_7", "mine_03", "female", "2")
    assert (item.text, item.fold, item.kind) == ("Ja.", "1", "scripted")


def test_ratings_are_a_label_a_rater_spelled_like_the_tables_own(corpus):
    item = _read_one(corpus(_row(ratings="sad; Trauer;anger")), label_map={"Trauer": "sad"})
    assert item.ratings == {"1": ["sad"], "2": ["sad"], "3": ["angry"]}
    assert _read_one(corpus(_row(ratings=None))).ratings is None
    assert _read_one(corpus(_row(heard="sad")), ratings_column="heard").ratings == {"1": ["sad"]}


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("sad;;sad", "row 1: rating 2 of 'sad;;sad' must be a label, but is empty. Write one a rater, separated by ;."),
        ("sad;", "row 1: rating 2 of 'sad;' must be a label, but is empty"),
        ("sad;glum", "row 1, rating 2: `emotion` must be one of angry"),
    ],
)
def test_a_rating_that_is_empty_or_no_emotion_names_row_and_rater(corpus, cell, message):
    with pytest.raises(DataError, match=re.escape(message)):
        _read_one(corpus(_row(ratings=cell)))


def test_columns_can_have_any_name(corpus):
    cells = {"wav": "audio/a.wav", "emo": "Trauer", "key": "k", "who": "03", "sex": "m"}
    cells |= {"day": "1", "words": "Ja.", "split": "2", "how": "impro"}
    item = _read_one(
        corpus(cells),
        path_column="wav",
        label_column="emo",
        label_map={"Trauer": "sad"},
        id_column="key",
        speaker_column="who",
        gender_column="sex",
        session_column="day",
        text_column="words",
        fold_column="split",
        kind_column="how",
    )
    assert (item.id, item.emotion, item.raw_emotion) == ("table_k", "sad", "Trauer")
    assert (item.speaker, item.gender, item.session) == ("table_03", "male", "1")
    assert (item.text, item.fold, item.kind) == ("Ja.", "2", "improvised")


def test_an_id_that_carries_the_corpus_already_is_left_alone(corpus):
    item = _read_one(corpus(_row(id="mine_1", speaker="mine_x")), corpus_name="mine")
    assert (item.id, item.speaker) == ("mine_1", "mine_x")


def test_an_empty_id_is_the_files_stem(corpus):
    assert _read_one(corpus(_row(id=None))).id == "table_a"


def test_labels_keep_a_subset_in_the_tables_order(corpus):
    rows = [_row(id=str(n), label=label) for n, label in enumerate(["sad", "bored", "Anger", "sad"])]
    utterances, _ = table.read(corpus(*rows), table="labels.json", labels=["sad", "angry"])
    assert [item.id for item in utterances] == ["table_0", "table_2", "table_3"]


@pytest.mark.parametrize(
    "spelling", ["audio/a.wav", "./audio/a.wav", "audio\\a.wav", "{data_root}/audio/a.wav", "x/../audio/a.wav"]
)
def test_a_path_inside_the_folder_starts_from_the_data_root(corpus, spelling):
    assert _read_one(corpus(_row(path=spelling))).wav == "{data_root}/audio/a.wav"


def test_an_absolute_path_inside_the_folder_starts_from_the_data_root(corpus, tmp_path):
    assert _read_one(corpus(_row(path=str(tmp_path / "audio/a.wav")))).wav == "{data_root}/audio/a.wav"


def test_audio_elsewhere_stays_absolute(corpus, tmp_path, tmp_path_factory, make_wav):
    elsewhere = make_wav(tmp_path_factory.mktemp("elsewhere") / "c.wav")
    for spelling in (str(elsewhere), os.path.relpath(elsewhere, tmp_path)):
        item = _read_one(corpus(_row(path=spelling)))
        assert item.wav == str(elsewhere)
        assert locate(item.wav, "/another/root") == elsewhere


def test_a_link_inside_the_folder_is_not_followed(corpus, tmp_path, tmp_path_factory, make_wav):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    make_wav(elsewhere / "c.wav")
    (tmp_path / "linked").symlink_to(elsewhere)
    assert _read_one(corpus(_row(path="linked/c.wav"))).wav == "{data_root}/linked/c.wav"


def test_the_table_may_stand_anywhere(corpus, tmp_path, tmp_path_factory):
    folder = corpus(_row())
    moved = tmp_path_factory.mktemp("tables") / "mine.json"
    (folder / "labels.json").rename(moved)
    assert len(table.read(folder, table=moved)[0]) == 1


def test_the_table_itself_may_be_the_data_folder(corpus, tmp_path):
    corpus(_row())
    (item,), _ = table.read(tmp_path / "labels.json")
    assert item.wav == "{data_root}/audio/a.wav"


def test_a_relative_data_folder_gives_the_same_rows(corpus, tmp_path, monkeypatch):
    absolute = table.read(corpus(_row()), table="labels.json")
    monkeypatch.chdir(tmp_path)
    assert table.read(tmp_path.relative_to(tmp_path), table="labels.json") == absolute


# The same corpus, read as itself and as a table


def _write_emodb_table(folder, path):
    """Writes what EmoDB's file names say, by slicing them and by its published lists of speakers and sentences."""
    men = {"03", "10", "11", "12", "15"}
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, delimiter="\t")
        writer.writerow(["file", "emotion letter", "speaker", "gender", "text"])
        for wav in sorted((folder / "wav").glob("*.wav")):
            name = wav.stem
            gender = "m" if name[:2] in men else "f"
            writer.writerow([f"wav/{wav.name}", name[5], name[:2], gender, emodb.SENTENCES[name[2:5]]])


def _read_twice(folder, tsv):
    _write_emodb_table(folder, tsv)
    columns = {"path_column": "file", "label_column": "emotion letter"}
    mapped = table.parse_label_map(LETTERS)
    as_table = table.read(folder, table=tsv, corpus_name="emodb", label_map=mapped, **columns)[0]
    return emodb.read(folder, allow_incomplete=True)[0], as_table


def test_emodb_as_a_table_gives_the_same_rows_in_miniature(emodb_tree, tmp_path):
    as_corpus, as_table = _read_twice(emodb_tree, tmp_path / "emodb.tsv")
    assert len(as_corpus) == 6
    assert as_corpus == as_table


def test_emodb_as_a_table_gives_the_same_rows(real_data, tmp_path):
    as_corpus, as_table = _read_twice(real_data("emodb"), tmp_path / "emodb.tsv")
    assert len(as_corpus) == 342
    assert as_corpus == as_table


def test_the_list_that_lies_beside_emodb_differs_only_in_how_it_spells_emotions(real_data):
    folder = real_data("emodb")
    columns = {"path_column": "file", "label_column": "emotion"}
    as_table, _ = table.read(folder, table="manifest.tsv", corpus_name="emodb", **columns)
    as_corpus, _ = emodb.read(folder, allow_incomplete=True)
    spelt = {item.id: item.raw_emotion for item in as_table}
    assert [replace(item, raw_emotion=spelt[item.id]) for item in as_corpus] == as_table


# Lists of another benchmark


def test_its_folds_are_read_where_the_audio_lies(real_data, tmp_path, make_wav):
    source = real_data("emobox") / "emodb/fold_1/emodb_test_fold_1.jsonl"
    listed = [json.loads(line) for line in source.read_text().splitlines()]
    for row in listed:
        make_wav(tmp_path / row["wav"], 400)
    utterances, _ = table.read(tmp_path, table=source, path_column="wav", label_column="emo", id_column="key")
    assert [item.id for item in utterances] == [f"table_{row['key']}" for row in listed]
    names = {"anger": "angry", "boredem": "bored", "disgust": "disgusted", "fear": "fearful"}
    assert [item.emotion for item in utterances] == [names.get(row["emo"], row["emo"].lower()) for row in listed]


@pytest.mark.parametrize("corpus_name", ["emodb", "cafe", "ravdess"])
def test_its_lists_without_audio_name_the_first_file_and_how_many(real_data, tmp_path, refusal, corpus_name):
    source = real_data("emobox") / corpus_name / f"{corpus_name}.jsonl"
    listed = [json.loads(line) for line in source.read_text().splitlines()]
    french = table.parse_label_map("c=angry,d=disgusted,j=happy,n=neutral,p=fearful,s=surprised,t=sad")
    columns = {"path_column": "wav", "label_column": "emo", "id_column": "key"}
    message = refusal(DataError, table.read, tmp_path, table=source, label_map=french, **columns)
    assert f"{len(listed)} of {len(listed)} audio files" in message
    assert str(tmp_path / listed[0]["wav"]) in message


# What is refused


def test_a_column_that_is_not_there_lists_those_that_are(corpus, refusal):
    message = refusal(ConfigError, table.read, corpus({"wav": "a", "label": "sad"}), table="labels.json")
    assert "`--path-column` must be one of wav, label, but is 'path'" in message
    message = refusal(ConfigError, table.read, corpus(_row(spk="x")), table="labels.json", speaker_column="spkr")
    assert "Did you mean 'spk'?" in message


@pytest.mark.parametrize(
    ("cells", "complaint"),
    [
        ({"label": "W"}, "Map it with --label-map"),
        ({"label": ""}, "must have a label"),
        ({"path": None}, "must have a path"),
        ({"gender": "x"}, "`gender` must be one of"),
        ({"kind": "read"}, "`kind` must be one of"),
    ],
)
def test_a_row_that_cannot_be_used_is_named(corpus, refusal, tmp_path, cells, complaint):
    folder = corpus(_row(), _row(**{"gender": "m", "kind": "impro", **cells}))
    message = refusal(DataError, table.read, folder, table="labels.json")
    assert f"{tmp_path / 'labels.json'}, row 2" in message
    assert complaint in message


def test_missing_audio_names_the_first_file_and_how_many(corpus, refusal, tmp_path):
    folder = corpus(_row(), _row(path="audio/y.wav"), _row(path="audio/x.wav"))
    message = refusal(DataError, table.read, folder, table="labels.json")
    assert "2 of 3 audio files" in message
    assert str(tmp_path / "audio/y.wav") in message
    utterances, warnings = table.read(folder, table="labels.json", allow_incomplete=True)
    assert len(utterances) == len(warnings) == 1


def test_missing_audio_of_other_labels_is_no_matter(corpus):
    folder = corpus(_row(), _row(path="audio/x.wav", label="bored"))
    assert len(table.read(folder, table="labels.json", labels=["sad"])[0]) == 1


def test_no_table_is_refused(tmp_path, refusal):
    assert "--table" in refusal(ConfigError, table.read, tmp_path)


def test_a_table_that_is_missing_is_named(tmp_path, refusal):
    assert "none.csv" in refusal(DataError, table.read, tmp_path, table="none.csv")


def test_a_table_beside_a_data_folder_that_is_a_file_is_refused(corpus, tmp_path, refusal):
    corpus(_row())
    assert "must be a folder" in refusal(ConfigError, table.read, tmp_path / "labels.json", table="labels.json")


@pytest.mark.parametrize("name", ["", "my corpus", "a/b", "{data_root}"])
def test_a_corpus_name_that_could_not_stand_in_an_id_is_refused(corpus, refusal, name):
    assert "`corpus_name`" in refusal(ConfigError, table.read, corpus(_row()), table="labels.json", corpus_name=name)


def test_a_map_onto_no_emotion_is_refused(corpus, refusal):
    message = refusal(ConfigError, table.read, corpus(_row()), table="labels.json", label_map={"W": "angri"})
    assert "`label_map[W]`" in message
    assert "Did you mean 'angry'?" in message


def test_a_label_map_is_read_as_the_command_line_writes_it():
    assert table.parse_label_map(" W = angry ,very sad=sad") == {"W": "angry", "very sad": "sad"}


@pytest.mark.parametrize("text", ["W", "W=", "=angry", "W=angry,", ""])
def test_a_label_map_that_is_none_shows_one(refusal, text):
    assert re.search(r"W=angry,L=bored.*Write it so", refusal(ConfigError, table.parse_label_map, text))
