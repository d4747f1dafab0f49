"""A stamp in sentences says what the test chose, and what nobody has said."""

import pytest

from emorec_lobes.evaluation.protocol_words import in_words, remaining_entries

STAMP = {
    "corpus": "emodb",
    "protocol": "strict",
    "scheme": "speakers",
    "num_folds": 5,
    "speaker_independent": True,
    "checkpoint_chosen_on": "validation uar",
    "hyperparameters_chosen_on": "unknown",
    "pretrained_on": "Libri-Light",
    "normalise": "speaker",
    "enrolment": "none",
    "speaker_statistics_over": "nothing",
}


def test_every_kind_of_choice_and_of_foreknowledge_is_told():
    told = in_words(STAMP)
    assert "The hyper-parameters were chosen on: unknown." in told
    assert "Features are normalised by: speaker. A speaker vector is taken of: none." in told
    assert "Before, its network or encoder was trained on: Libri-Light." in told
    assert remaining_entries({1: STAMP}) == []


def test_a_network_from_scratch_is_told_so():
    assert "Before, its network or encoder was trained on: nothing." in in_words({**STAMP, "pretrained_on": None})


@pytest.mark.parametrize(
    ("peeked", "words"),
    [
        (True, "ORACLE: something was chosen on the test. This is an upper bound, not a result."),
        ("speakers shared", "INFLATED (speakers shared): this shows what a bad habit adds, and is not a result."),
    ],
)
def test_what_peeked_is_not_told_as_chosen_on_validation(peeked, words):
    told = in_words({**STAMP, "protocol": "peeked", "peeked": peeked})
    assert words in told and not any("not on the test" in each for each in told)


def test_a_random_split_is_told_as_one():
    told = in_words({**STAMP, "scheme": "random_shared_speakers", "speaker_independent": False})
    assert "5 folds: each tests a part of the utterances drawn at random, whoever speaks." in told
