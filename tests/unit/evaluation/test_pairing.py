"""Two systems matched by id."""

from pathlib import Path

import pytest

from emorec_lobes.errors import DataError, ProtocolError
from emorec_lobes.evaluation.answers import Answers
from emorec_lobes.evaluation.pairing import pair

TRUTH = {"1": "angry", "2": "sad", "3": "happy"}


def answers(name="a.csv", predictions=TRUTH, targets=None, speakers=None, labels=None):
    return Answers(Path(name), predictions, targets or {}, speakers or {}, labels)


def ours(name="a.csv", **options):
    return answers(name, targets=TRUTH, **options)


def test_rows_are_matched_by_id_whatever_their_order():
    theirs = answers("b.csv", {"3": "sad", "1": "angry", "2": "sad"})
    matched = pair([ours()], [theirs])
    assert matched.ids.tolist() == ["1", "2", "3"] and matched.labels == ("angry", "happy", "sad")
    assert matched.targets.tolist() == [0, 2, 1]
    assert [side.tolist() for side in matched.answers] == [[[0, 2, 1]], [[0, 2, 2]]]


@pytest.mark.parametrize(("mine", "theirs"), [("emodb_", "emodb-"), ("emodb_", ""), ("", "emodb_"), ("", "")])
def test_the_name_of_the_corpus_in_front_of_ids_does_not_matter(mine, theirs):
    first = answers("a", {mine + key: value for key, value in TRUTH.items()})
    first = answers("a", first.predictions, first.predictions, {mine + "1": "x"})
    second = answers("b", {theirs + key: value for key, value in TRUTH.items()})
    matched = pair([first], [second])
    assert len(matched.ids) == 3 and sorted(matched.speakers) == ["", "", "x"]


def test_a_word_that_is_part_of_the_ids_is_no_corpus():
    """All of one speaker: `Ses05F` begins every id, but the other file has it too."""
    theirs = {f"Ses05F_{key}": value for key, value in TRUTH.items()}
    mine = {f"iemocap_{key}": value for key, value in theirs.items()}
    assert len(pair([answers("a", mine, mine)], [answers("b", theirs)]).ids) == 3


def test_targets_may_come_from_a_file_of_their_own_that_has_more_of_them():
    truth = answers("truth", {}, TRUTH | {"4": "angry"})
    matched = pair([answers()], [answers("b")], truth)
    assert matched.targets.tolist() == [0, 2, 1] and matched.left_out == (0, 0)


def test_common_ids_are_compared_on_request_and_the_others_counted():
    short = answers("b", {"1": "angry", "9": "sad"})
    matched = pair([ours()], [short], common=True)
    assert matched.ids.tolist() == ["1"] and matched.left_out == (2, 1)


def refusal(error, *args, **options):
    with pytest.raises(error) as caught:
        pair(*args, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("theirs", "said"),
    [
        (answers("b.csv", {"1": "sad", "2": "sad"}), "b.csv must have the 3 ids of a.csv, but lacks 1: '3'"),
        (answers("b.csv", TRUTH | {"4": "sad"}), "b.csv must have the 3 ids of a.csv, but has 1 more: '4'"),
        (answers("b.csv", {"x": "sad"}), "b.csv must have ids of a.csv, but they share none: the first has 'x'"),
        (answers("b.csv", TRUTH | {"2": "bored"}), "b.csv (id '2'): `prediction` must be one of angry, happy, sad"),
        (
            answers("b.csv", targets=TRUTH | {"3": "sad"}),
            "b.csv (id '3'): `target` must be happy, as in a.csv, but is sad",
        ),
    ],
)
def test_what_cannot_be_matched_is_one_line_that_names_file_and_id(theirs, said):
    assert said in refusal(DataError, [ours()], [theirs])


def test_our_files_of_other_classes_are_refused_unless_the_classes_are_named():
    mine = ours(labels=("angry", "happy", "sad"))
    theirs = ours("b.csv", labels=("angry", "happy", "sad", "bored"))
    assert "b.csv must have the labels of a.csv" in refusal(ProtocolError, [mine], [theirs])
    assert pair([mine], [theirs], labels=theirs.labels).labels == ("angry", "happy", "sad", "bored")


def test_a_class_without_an_utterance_can_be_named():
    theirs = answers("b.csv", TRUTH | {"2": "bored"})
    assert pair([ours()], [theirs], labels=("angry", "happy", "sad", "bored")).answers[1].tolist() == [[0, 3, 1]]


def test_without_targets_the_cure_is_named():
    assert "--targets" in refusal(DataError, [answers()], [ours("b.csv")])


def test_seeds_are_rows_and_each_must_answer_everything():
    matched = pair([ours("s1"), ours("s2")], [answers("b", dict.fromkeys(TRUTH, "sad"))])
    assert [side.shape for side in matched.answers] == [(2, 3), (1, 3)]
    short = answers("s2.csv", {"1": "sad"})
    assert "s2.csv must have the 3 ids" in refusal(DataError, [ours("s1"), short], [answers("b")])
