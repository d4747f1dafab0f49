import shutil
from collections import Counter
from pathlib import Path

import pytest

from emorec_lobes.corpora import iemocap, synthetic
from emorec_lobes.errors import ConfigError, DataError

EVALUATION = "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt"
TRANSCRIPTION = "Session1/dialog/transcriptions/Ses01F_impro01.txt"


@pytest.fixture
def small_selections(monkeypatch):
    """The official counts are those of the miniature tree."""
    makiuchi = iemocap.Selection(
        improvised_only=False,
        merge_excited=True,
        num_per_emotion={"angry": 5, "neutral": 10, "happy": 5, "excited": 10, "sad": 5},
        num_per_session=dict.fromkeys("12345", 7),
    )
    xi = iemocap.Selection(True, False, {"angry": 5, "neutral": 5, "happy": 0, "excited": 5, "sad": 5})
    monkeypatch.setitem(iemocap.SELECTIONS, "makiuchi2021", makiuchi)
    monkeypatch.setitem(iemocap.SELECTIONS, "xi2022", xi)


def _read(root, **options):
    utterances, warnings = iemocap.read(root, **{"allow_incomplete": True, **options})
    return {item.id: item for item in utterances}, warnings


def _edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


# What is read


def test_an_utterance_carries_everything_the_release_says_of_it(iemocap_tree):
    item = _read(iemocap_tree)[0]["iemocap_Ses01F_impro01_M000"]
    assert item.wav == "{data_root}/Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_M000.wav"
    assert item.duration == (4_000 + 160) / 16_000
    assert (item.emotion, item.raw_emotion) == ("happy", "exc")
    assert (item.speaker, item.gender, item.session, item.kind) == ("iemocap_Ses01M", "male", "1", "improvised")
    assert item.text == "Words of M000."
    assert (item.valence, item.arousal, item.dominance) == (2.5, 3.0, 3.5)
    assert item.phones is None


def test_the_speaker_is_who_has_the_turn_and_not_who_names_the_dialog(iemocap_tree):
    utterances, _ = _read(iemocap_tree)
    assert utterances["iemocap_Ses03M_script01_1_F000"].speaker == "iemocap_Ses03F"
    assert utterances["iemocap_Ses03M_script01_1_MXX0"].speaker == "iemocap_Ses03M"
    assert len({item.speaker for item in utterances.values()}) == 10


def test_turns_of_a_dialog_are_counted_in_time_whoever_has_them_and_whatever_they_are(iemocap_tree):
    path = iemocap_tree / EVALUATION
    header, *blocks = path.read_text(encoding="utf-8").split("\n\n")
    path.write_text("\n\n".join([header, *sorted(blocks, key=lambda block: "_M0" in block)]), encoding="utf-8")
    utterances, _ = _read(iemocap_tree)
    found = {key: item.turn for key, item in utterances.items() if item.dialog == "iemocap_Ses01F_impro01"}
    names = {"F000": 1, "M000": 2, "F001": 3, "M001": 4}  # F002, which has no label, is the fifth
    assert found == {f"iemocap_Ses01F_impro01_{name}": turn for name, turn in names.items()}
    (scripted,) = {item.dialog for item in utterances.values() if "Ses02M" in item.id}
    assert scripted == "iemocap_Ses02M_script01_1"


def test_scripted_dialogs_are_told_from_improvised_ones(iemocap_tree):
    utterances, _ = _read(iemocap_tree)
    for item in utterances.values():
        assert item.kind == ("improvised" if "impro" in item.id else "scripted")


def test_every_rater_is_kept_with_all_labels_and_without_comments_and_the_actors_are_none(iemocap_tree):
    [turn, *_] = iemocap.read_turns(iemocap_tree / EVALUATION)
    assert turn.ratings == {"E2": ["Neutral"], "E3": ["Frustration", "Anger"], "E4": ["Other"], "F1": ["Neutral"]}
    item = _read(iemocap_tree)[0]["iemocap_Ses01F_impro01_F000"]
    assert item.ratings == {"E2": ["neutral"], "E3": ["frustrated", "angry"], "E4": ["other"]}


@pytest.mark.parametrize(("options", "heard"), [({}, ["happy"]), ({"selection": "xi2022"}, ["excited", "happy"])])
def test_an_emotion_that_counts_as_another_does_so_in_ratings_too(iemocap_tree, options, heard):
    _edit(iemocap_tree / EVALUATION, "C-E2:\tNeutral;", "C-E2:\tExcited; Happiness;")
    assert _read(iemocap_tree, **options)[0]["iemocap_Ses01F_impro01_F000"].ratings["E2"] == heard


def test_a_rating_that_is_no_known_emotion_counts_as_other_with_a_warning(iemocap_tree):
    _edit(iemocap_tree / EVALUATION, "C-E2:\tNeutral;", "C-E2:\tBemused;")
    utterances, warnings = _read(iemocap_tree)
    assert utterances["iemocap_Ses01F_impro01_F000"].ratings["E2"] == ["other"]
    assert "1 ratings name no emotion that is known ('Bemused') and count as other." in warnings


def test_turns_without_agreement_or_of_other_classes_are_left_out(iemocap_tree):
    utterances, _ = _read(iemocap_tree)
    assert "iemocap_Ses01F_impro01_F002" not in utterances  # xxx
    assert "iemocap_Ses01M_script01_1_F001" not in utterances  # fru
    assert len(utterances) == 5 * 7


def test_phones_are_named_where_they_exist(iemocap_tree):
    name = "Session2/sentences/ForcedAlignment/Ses02F_impro01/Ses02F_impro01_F000.phseg"
    (iemocap_tree / name).parent.mkdir(parents=True)
    (iemocap_tree / name).write_text("SFrm EFrm SegAScr Phone\n")
    utterances, _ = _read(iemocap_tree)
    assert [item.phones for item in utterances.values() if item.phones] == ["{data_root}/" + name]


def test_a_token_is_a_transcript_like_any_other(iemocap_tree):
    _edit(iemocap_tree / TRANSCRIPTION, "Words of F000.", "[LAUGHTER]")
    assert _read(iemocap_tree)[0]["iemocap_Ses01F_impro01_F000"].text == "[LAUGHTER]"


def test_transcription_lines_without_an_utterance_are_skipped(iemocap_tree):
    path = iemocap_tree / TRANSCRIPTION
    path.write_text("M: [GARBAGE]\n\n" + path.read_text() + "F: [LAUGHTER]\nSes01F_impro01\n")
    assert set(iemocap.read_transcripts(path)) == {
        f"Ses01F_impro01_{n}" for n in ("F000", "M000", "F001", "M001", "F002")
    }


def test_an_utterance_without_transcript_is_kept_with_a_warning(iemocap_tree):
    _edit(iemocap_tree / TRANSCRIPTION, "Ses01F_impro01_F000 [", "Ses01F_impro01_F009 [")
    utterances, warnings = _read(iemocap_tree)
    assert utterances["iemocap_Ses01F_impro01_F000"].text is None
    assert "1 of 35 utterances have no transcript." in warnings


def test_stray_files_are_passed_by(iemocap_tree):
    before = _read(iemocap_tree)
    for folder in ("EmoEvaluation", "transcriptions"):
        (iemocap_tree / f"Session1/dialog/{folder}/._Ses01F_impro01.txt").write_bytes(
            b"\x00\x05\x16\x07Mac OS X\xff\n[0 - 1]"
        )
        (iemocap_tree / f"Session1/dialog/{folder}/.DS_Store").write_bytes(b"\xff\x00")
        (iemocap_tree / f"Session1/dialog/{folder}/Ses01F_impro01.anvil").write_text("[0 - 1]\tnonsense\n")
    (iemocap_tree / "Session1/dialog/EmoEvaluation/Categorical").mkdir()
    assert _read(iemocap_tree) == before


def test_bytes_that_are_not_utf8_break_neither_the_turn_nor_the_next(iemocap_tree):
    path = iemocap_tree / TRANSCRIPTION
    # 0x92 and 0x85 are Windows' apostrophe and dots; 0x81 means nothing anywhere, and 0x1c no new line.
    path.write_bytes(path.read_bytes().replace(b"Words of F000.", b"It\x92s late\x85 caf\xe9 \x81\x1c."))
    utterances, _ = _read(iemocap_tree)
    assert utterances["iemocap_Ses01F_impro01_F000"].text == "It’s late… café \N{REPLACEMENT CHARACTER}\x1c."
    assert utterances["iemocap_Ses01F_impro01_M000"].text == "Words of M000."


def test_windows_line_ends_change_nothing(iemocap_tree):
    before = _read(iemocap_tree)
    for path in (iemocap_tree / EVALUATION, iemocap_tree / TRANSCRIPTION):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert _read(iemocap_tree) == before


# Selections and counts


def test_the_official_counts_add_up():
    makiuchi, xi = iemocap.SELECTIONS["makiuchi2021"], iemocap.SELECTIONS["xi2022"]
    assert sum(makiuchi.num_per_session.values()) == sum(makiuchi.num_per_emotion.values()) == 5_531
    assert makiuchi.num_per_emotion["happy"] + makiuchi.num_per_emotion["excited"] == 1_636
    assert sum(xi.num_per_emotion.values()) == 2_943
    assert sum(xi.num_per_emotion.values()) - xi.num_per_emotion["excited"] == 2_280


def test_makiuchi2021_merges_excited_into_happy(iemocap_tree, small_selections):
    utterances, warnings = _read(iemocap_tree, allow_incomplete=False)
    assert warnings == []
    assert Counter(item.emotion for item in utterances.values()) == {"angry": 5, "neutral": 10, "happy": 15, "sad": 5}
    assert Counter(item.raw_emotion for item in utterances.values() if item.emotion == "happy") == {"hap": 5, "exc": 10}


@pytest.mark.parametrize("merged", [False, True])
def test_xi2022_is_improvised_and_leaves_excited_out_or_merges_it(iemocap_tree, small_selections, merged):
    utterances, warnings = _read(iemocap_tree, allow_incomplete=False, selection="xi2022", merge_excited=merged)
    assert warnings == []
    assert {item.kind for item in utterances.values()} == {"improvised"}
    found = Counter(item.emotion for item in utterances.values())
    assert found == Counter({"angry": 5, "neutral": 5, "sad": 5, "happy": 5 if merged else 0})


def test_labels_keep_a_subset_and_only_it_is_counted(iemocap_tree, small_selections, monkeypatch):
    monkeypatch.setitem(iemocap.SELECTIONS["makiuchi2021"].num_per_emotion, "angry", 99)
    utterances, warnings = _read(iemocap_tree, allow_incomplete=False, labels=["happy", "sad"])
    assert Counter(item.emotion for item in utterances.values()) == {"happy": 15, "sad": 5}
    assert warnings == []


def test_all_labels_by_name_are_counted_as_without_names(iemocap_tree, refusal):
    message = refusal(DataError, iemocap.read, iemocap_tree, labels=["angry", "neutral", "happy", "sad"])
    assert message == refusal(DataError, iemocap.read, iemocap_tree)


def test_a_wrong_count_is_refused_per_session_and_class(iemocap_tree, refusal):
    message = refusal(DataError, iemocap.read, iemocap_tree)
    for pair in (
        "session 1 7/1085",
        "session 5 7/1241",
        "angry 5/1103",
        "happy 15/1636",
        "neutral 10/1708",
        "sad 5/1084",
    ):
        assert pair in message


@pytest.mark.parametrize(("merged", "pair"), [(False, "happy 0/284"), (True, "happy 5/947")])
def test_a_wrong_count_of_xi2022_is_refused_per_class(iemocap_tree, refusal, merged, pair):
    assert pair in refusal(DataError, iemocap.read, iemocap_tree, selection="xi2022", merge_excited=merged)


def test_one_turn_too_few_is_noticed(iemocap_tree, small_selections, refusal):
    _edit(iemocap_tree / EVALUATION, "\tang\t", "\tfru\t")
    message = refusal(DataError, iemocap.read, iemocap_tree)
    assert "session 1 6/7" in message
    assert "angry 4/5" in message
    (warning,) = _read(iemocap_tree)[1]
    assert "angry 4/5" in warning


def test_an_unknown_selection_lists_the_known_ones(iemocap_tree, refusal):
    message = refusal(ConfigError, iemocap.read, iemocap_tree, selection="xi2021")
    assert "makiuchi2021, xi2022" in message


# Half a corpus


@pytest.mark.parametrize(
    "part", ["Session3", "Session3/dialog/EmoEvaluation", "Session3/dialog/transcriptions", "Session3/sentences/wav"]
)
def test_a_missing_part_is_named_and_can_be_left_out(iemocap_tree, refusal, part):
    shutil.rmtree(iemocap_tree / part)
    message = refusal(DataError, iemocap.read, iemocap_tree)
    assert str(iemocap_tree / part) in message
    assert "--allow-incomplete" in message
    utterances, warnings = _read(iemocap_tree)
    assert {item.session for item in utterances.values()} == {"1", "2", "4", "5"}
    assert any("Session3 is left out" in warning for warning in warnings)


def test_missing_audio_of_a_selected_utterance_is_named(iemocap_tree, small_selections, refusal):
    wav = iemocap_tree / "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F001.wav"
    wav.unlink()
    message = refusal(DataError, iemocap.read, iemocap_tree)
    assert "1 of 35 audio files" in message
    assert str(wav) in message
    utterances, warnings = _read(iemocap_tree)
    assert "iemocap_Ses01F_impro01_F001" not in utterances
    assert any("angry 4/5" in warning for warning in warnings)


def test_missing_audio_of_another_utterance_is_no_matter(iemocap_tree, small_selections):
    (iemocap_tree / "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F002.wav").unlink()
    assert len(_read(iemocap_tree, allow_incomplete=False)[0]) == 35


def test_the_parent_folder_is_answered_with_the_right_one(iemocap_tree, refusal):
    assert f"Pass {iemocap_tree}." in refusal(DataError, iemocap.read, iemocap_tree.parent)


def test_a_folder_of_something_else_is_refused(tmp_path, refusal):
    assert "Session1 to Session5" in refusal(DataError, iemocap.read, tmp_path)


# Files that are not as released


def test_a_turn_of_another_session_is_refused(iemocap_tree, refusal):
    _edit(iemocap_tree / EVALUATION, "\tSes01F_impro01_F000\t", "\tSes02F_impro01_F000\t")
    message = refusal(DataError, _read, iemocap_tree)
    assert "Ses02F_impro01_F000" in message
    assert str(iemocap_tree / EVALUATION) in message


@pytest.mark.parametrize(
    "name", ["Ses01F_imprv01_F000", "Ses01F_impro01_X000", "impro01_F000", "Ses01F_impro01_F000/../x"]
)
def test_a_turn_that_is_not_named_like_iemocap_is_refused(iemocap_tree, refusal, name):
    _edit(iemocap_tree / EVALUATION, "\tSes01F_impro01_F000\t", f"\t{name}\t")
    assert name in refusal(DataError, _read, iemocap_tree)


def test_an_unknown_label_is_refused_with_file_and_line(iemocap_tree, refusal):
    _edit(iemocap_tree / EVALUATION, "\tneu\t", "\tnue\t")
    message = refusal(DataError, _read, iemocap_tree)
    assert f"{iemocap_tree / EVALUATION}, line 3" in message
    assert "Did you mean 'neu'?" in message


@pytest.mark.parametrize("brackets", ["", "[2.5, 3, 3] x", "[2.5000, 3.0000]", "[2.5, x, 3]", "2.5 3 3"])
def test_a_turn_line_without_three_attributes_is_refused(iemocap_tree, refusal, brackets):
    _edit(iemocap_tree / EVALUATION, "[2.5000, 3.0000, 3.5000]", brackets)
    assert f"{iemocap_tree / EVALUATION}, line 3" in refusal(DataError, _read, iemocap_tree)


def test_unreadable_audio_is_named(iemocap_tree, small_selections, refusal):
    wav = iemocap_tree / "Session4/sentences/wav/Ses04F_impro01/Ses04F_impro01_F000.wav"
    wav.write_bytes(b"garbage" * 99)
    assert str(wav) in refusal(DataError, iemocap.read, iemocap_tree)


# The synthetic corpus is the same tree under its own name


def test_the_synthetic_corpus_has_its_own_prefix_and_no_official_counts(iemocap_tree):
    (iemocap_tree / iemocap.SYNTHETIC_MARKER).touch()
    utterances, warnings = _read(iemocap_tree, prefix="synthetic", allow_incomplete=False)
    assert warnings == []
    assert utterances["synthetic_Ses05F_impro01_F000"].speaker == "synthetic_Ses05F"


def test_synthetic_speech_does_not_pass_for_iemocap_nor_the_other_way_round(iemocap_tree, refusal):
    assert "`emorec prepare iemocap`" in refusal(DataError, _read, iemocap_tree, prefix="synthetic")
    (iemocap_tree / iemocap.SYNTHETIC_MARKER).touch()
    assert "`emorec prepare synthetic`" in refusal(DataError, _read, iemocap_tree)


def test_the_marker_is_the_one_that_the_synthetic_corpus_leaves():
    assert synthetic.MARKER == iemocap.SYNTHETIC_MARKER
