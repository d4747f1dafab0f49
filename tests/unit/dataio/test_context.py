import pytest

from emorec_lobes.corpora.manifest import END_OF_CONTEXT, Utterance, without_labels
from emorec_lobes.dataio.context import check_dialogs, contexts, with_context
from emorec_lobes.errors import DataError, ProtocolError


def said(dialog, turn, text, emotion="sad"):
    return Utterance(f"{dialog}{turn}", "", 0.0, emotion, emotion, text=text, dialog=dialog, turn=turn)


def manifest(*items):
    return {item.id: item for item in items}


@pytest.fixture()
def talk():
    """Two dialogues, out of order and interleaved; d's turn 3 was left out of the corpus."""
    return manifest(
        said("d", 4, "four"), said("e", 1, "uno"), said("d", 1, "one"), said("d", 2, "two"), said("e", 2, "dos"),
        said("d", 5, "five"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("num_turns", "expected"),
    [
        (1, {"d1": "one", "d2": "one|two", "d4": "four", "d5": "four|five", "e1": "uno", "e2": "uno|dos"}),
        (2, {"d1": "one", "d2": "one|two", "d4": "two|four", "d5": "four|five", "e1": "uno", "e2": "uno|dos"}),
        (9, {"d1": "one", "d2": "one|two", "d4": "one two|four", "d5": "one two four|five", "e1": "uno",
             "e2": "uno|dos"}),
    ],
)  # fmt: skip
def test_an_utterance_comes_behind_the_turns_before_it_in_its_own_dialogue(talk, num_turns, expected):
    assert contexts(talk, num_turns) == {key: text.replace("|", END_OF_CONTEXT) for key, text in expected.items()}


def test_without_turns_there_is_no_context(talk):
    assert contexts(talk, 0) == {key: item.text for key, item in talk.items()}


def test_turns_without_text_leave_no_gap():
    assert contexts(manifest(said("d", 1, None), said("d", 2, ""), said("d", 3, "three")), 2)["d3"] == "three"


def test_labels_stay_covered_and_everything_else_as_it_was(talk):
    covered = with_context(without_labels(talk), 1)
    assert {key: item.text for key, item in covered.items()} == contexts(talk, 1)
    assert [(item.id, item.dialog, item.turn) for item in covered.values()] == [
        (item.id, item.dialog, item.turn) for item in talk.values()
    ]
    with pytest.raises(ProtocolError, match="`emotion` of 'd4' must stay unseen"):
        _ = covered["d4"].emotion


@pytest.mark.parametrize(("dialog", "turn"), [(None, 1), ("d", None)])
def test_a_corpus_without_dialogues_is_refused_with_the_option_to_set(talk, dialog, turn):
    talk["x"] = Utterance("x", "", 0.0, "sad", "sad", text="?", dialog=dialog, turn=turn)
    with pytest.raises(DataError, match=r"'x' has no dialog and turn. Use --context_turns 0"):
        contexts(talk, 1)


def test_a_dialogue_on_two_sides_is_refused_and_dialogues_on_one_side_each_are_not(talk):
    check_dialogs({"training": ("d1", "d2", "d4", "d5"), "validation": (), "test": ("e1", "e2")}, talk)
    with pytest.raises(ProtocolError, match="'e' must not be in both training and test"):
        check_dialogs({"training": ("d1", "e1"), "validation": (), "test": ("e2",)}, talk)
