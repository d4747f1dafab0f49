import pytest

from emorec_lobes.corpora import meld
from emorec_lobes.errors import DataError

HEADER = "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime\n"
TIMES = '"00:16:16,059","00:16:21,731"\n'
# The training file of the first release, with codes of Windows where there should be characters.
FIRST = (
    f"1,also my company\x92s \x93system\x94\x85,Chandler,neutral,neutral,0,0,8,21,{TIMES}"
    f'2,"No\xa0way\x97stop, ""Bob""",The Interviewer,disgust,negative,0,1,8,21,{TIMES}'
    f"4,What?,Chandler,surprise,positive,1,0,9,23,{TIMES}"
)
SECOND = FIRST.translate({0x92: "’", 0x93: "“", 0x94: "”", 0x85: "…", 0x97: "—", 0xA0: " "})


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Five turns in three files, which are all that the release has."""
    rows = {
        "train": FIRST,
        "dev": f"1,What?,Rachel,fear,negative,0,0,1,1,{TIMES}",
        "test": f"1,Oh!,Mark,joy,positive,0,0,3,19,{TIMES}",
    }
    for split, lines in rows.items():
        (tmp_path / f"{split}_sent_emo.csv").write_text(HEADER + lines, encoding="utf-8")
    monkeypatch.setattr(meld, "OFFICIAL_COUNTS", {"train": 3, "valid": 1, "test": 1})
    return tmp_path


def test_a_row_gives_text_speaker_dialogue_and_turn(folder):
    utterances, warnings = meld.read(folder)
    second = utterances[1]
    assert warnings == []
    assert (second.id, second.dialog, second.turn) == ("meld_train_dia0_utt1", "meld_train_dia0", 1)
    assert (second.speaker, second.emotion, second.raw_emotion) == ("meld_The Interviewer", "disgusted", "disgust")
    assert (second.wav, second.duration, second.fold) == ("", 0.0, "train")
    emotions = [item.emotion for item in utterances]
    assert emotions == ["neutral", "disgusted", "surprised", "fearful", "happy"]


def test_dialogues_of_two_files_are_two_though_both_have_the_number_0(folder):
    found = {item.fold: item.dialog for item in meld.read(folder)[0] if item.turn == 0 and item.dialog.endswith("0")}
    assert found == {"train": "meld_train_dia0", "valid": "meld_valid_dia0", "test": "meld_test_dia0"}


def test_codes_of_windows_become_the_characters_they_stand_for(folder):
    first, second, *_ = meld.read(folder)[0]
    assert first.text == "also my company’s “system”…"
    assert second.text == 'No way—stop, "Bob"'


def test_both_releases_give_the_same_texts(folder):
    before = meld.read(folder)
    (folder / "train_sent_emo.csv").write_text(HEADER + SECOND, encoding="utf-8")
    assert meld.read(folder) == before


def test_the_official_counts_are_those_of_the_paper():
    assert meld.OFFICIAL_COUNTS == {"train": 9989, "valid": 1109, "test": 2610}
    assert sum(meld.OFFICIAL_COUNTS.values()) == 13_708


def test_labels_are_kept_after_everything_was_counted(folder):
    utterances, warnings = meld.read(folder, labels=["surprised"])
    assert [item.text for item in utterances] == ["What?"]
    assert warnings == []


def test_other_counts_than_the_official_ones_are_refused_or_recorded(folder, refusal):
    (folder / "test_sent_emo.csv").unlink()
    assert "test_sent_emo.csv" in refusal(DataError, meld.read, folder)
    assert "test 0/1" in meld.read(folder, allow_incomplete=True)[1][0]


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("Dialogue_ID", "Dialog", "column Dialogue_ID"),
        ("What?", "", "row 3 must have a text"),
        (",surprise,", ",suprise,", "row 3: `Emotion` must be one of anger"),
        (",0,1,8", ",0,x,8", "row 2: `Utterance_ID` must be a whole number"),
        (",0,1,8", ",0,0,8", "row 2 must have an id of its own"),
        (",The Interviewer,", ",,", "row 2 must have a text in `Speaker`"),
    ],
)
def test_a_row_that_is_not_as_released_is_named(folder, refusal, old, new, complaint):
    path = folder / "train_sent_emo.csv"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    message = refusal(DataError, meld.read, folder, allow_incomplete=True)
    assert str(path) in message
    assert complaint in message


def test_a_file_of_windows_itself_is_refused(folder, refusal):
    path = folder / "train_sent_emo.csv"
    path.write_bytes((HEADER + FIRST).encode("latin-1"))
    message = refusal(DataError, meld.read, folder)
    assert str(path) in message and "UTF-8" in message
