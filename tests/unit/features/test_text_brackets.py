import pytest

from emorec_lobes.errors import ConfigError, DataError
from emorec_lobes.features.text_brackets import BRACKETS, check_transcript, has_letters, replace_brackets


@pytest.mark.parametrize(
    ("text", "dropped", "mapped"),
    [
        ("[LAUGHTER]", "", "laughter"),
        ("[LAUGHTER] [BREATHING]", "", "laughter breathing"),
        ("Yeah[LAUGHTER]right.", "Yeah right.", "Yeah laughter right."),
        ("Oh. [LIPSMACK] [GARBAGE]", "Oh.", "Oh. lip smack noise"),
        ("[ laughs softly ] no", "no", "laughs softly no"),
        ("[DOOR_SLAM]  no", "no", "door slam no"),
        ("[NAME] told [NAME]", "told", "name told name"),
        ("[[LAUGHTER]]", "[ ]", "[ laughter ]"),
        ("No tokens here", "No tokens here", "No tokens here"),
        ("a[1], b[] and [", "a[1], b[] and [", "a[1], b[] and ["),
        ("[не]", "", "не"),
        ("[" * 9_000, "[" * 9_000, "[" * 9_000),
        ("[a" + " a" * 9_000, "[a" + " a" * 9_000, "[a" + " a" * 9_000),
    ],
)
def test_tokens_are_kept_dropped_or_mapped(text, dropped, mapped):
    assert [replace_brackets(text, option) for option in BRACKETS] == [text, dropped, mapped]


def test_text_that_is_kept_is_the_same_to_the_last_blank():
    assert replace_brackets(" [LAUGHTER]  no \n", "keep") == " [LAUGHTER]  no \n"


def test_another_option_is_refused():
    with pytest.raises(ConfigError, match="Did you mean 'drop'"):
        replace_brackets("no", "dropped")


@pytest.mark.parametrize(
    ("text", "found"), [("a", True), ("12 ж", True), ("?! 12 …", False), ("😀", False), ("", False)]
)
def test_letters_of_any_script_count(text, found):
    assert has_letters(text) is found


def test_a_transcript_is_given_back_as_it_is():
    assert check_transcript(" Zoë [LAUGHTER] ", "u1") == " Zoë [LAUGHTER] "


@pytest.mark.parametrize("text", [None, "", " ", "\n\t"])
def test_a_blank_transcript_is_refused_by_name(text):
    with pytest.raises(DataError, match=r"^`text` of 'u1' must be a transcript, but is empty"):
        check_transcript(text, "u1")


def test_bytes_that_were_not_utf8_are_refused_with_their_place():
    text = b"caf\xe9".decode("utf-8", "surrogateescape")
    with pytest.raises(DataError, match=r"character 4 is '\\udce9'.*Save the transcript as UTF-8"):
        check_transcript(text, "u1")
