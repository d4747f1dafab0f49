"""A corpus cut at random, whoever speaks, and how a fold of it is stamped and checked."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest

from emorec_lobes.corpora.leakage import check_leakage
from emorec_lobes.corpora.manifest import Utterance
from emorec_lobes.corpora.protocol import RANDOM, make_folds, stamp
from emorec_lobes.corpora.random_parts import random_parts
from emorec_lobes.errors import ProtocolError


@pytest.fixture
def corpus():
    """103 utterances of 4 speakers; a third is sad."""
    emotions = ("sad", "angry", "happy")
    return {
        f"x_{n}": Utterance(f"x_{n}", f"{n}.wav", 1.0, emotions[n % 3], "T", speaker=f"x_s{n // 3 % 4}")
        for n in range(103)
    }


@pytest.mark.parametrize("number", [2, 5, 10])
def test_parts_hold_every_utterance_once_and_are_of_equal_size_also_in_each_emotion(corpus, number):
    parts = random_parts(corpus, number)
    assert sorted(each for ids in parts.values() for each in ids) == sorted(corpus)
    assert max(map(len, parts.values())) - min(map(len, parts.values())) <= 1
    for emotion in ("sad", "angry", "happy"):
        counts = [sum(corpus[each].emotion == emotion for each in ids) for ids in parts.values()]
        assert max(counts) - min(counts) <= 1
    order = list(corpus)
    assert all(ids == sorted(ids, key=order.index) for ids in parts.values())


def test_parts_are_the_same_on_every_call_and_in_any_order_but_not_those_of_neighbours(corpus):
    parts = random_parts(corpus, 5)
    turned = random_parts(dict(reversed(corpus.items())), 5)
    assert {name: set(ids) for name, ids in parts.items()} == {name: set(ids) for name, ids in turned.items()}
    part_of = {each: name for name, ids in parts.items() for each in ids}
    sad = [part_of[each] for each, item in corpus.items() if item.emotion == "sad"]
    steps = Counter(int(b) - int(a) for a, b in pairwise(sad))
    assert len(steps) > 4  # dealt out unshuffled, one step and its wrap would be all


@pytest.mark.parametrize("number", [None, 1, 104])
def test_a_number_of_parts_that_cannot_be_is_one_line(corpus, number):
    with pytest.raises(ProtocolError, match=rf"^`num_groups` must be from 2 to 103 .* but is {number} instead"):
        random_parts(corpus, number)


def test_a_random_fold_is_stamped_peeked_and_may_share_speakers_but_no_audio(corpus):
    folds = make_folds(corpus, RANDOM, num_groups=5)
    said = stamp(folds, corpus, RANDOM, "strict")
    assert (said["protocol"], said["speaker_independent"], said["checkpoint_chosen_on"]) == (
        "peeked",
        False,
        "validation uar",
    )
    assert said["peeked"] == "speakers shared between training and test"
    check_leakage(folds[0], corpus, {each: each for each in corpus})
    twins = {each: "same" if each in (folds[0].train[0], folds[0].test[0]) else each for each in corpus}
    with pytest.raises(ProtocolError, match="The same audio"):
        check_leakage(folds[0], corpus, twins)


def test_without_its_own_scheme_no_fold_may_share_speakers(corpus):
    by_part = {each: name for name, ids in random_parts(corpus, 5).items() for each in ids}
    table = {each: replace(item, fold=by_part[each]) for each, item in corpus.items()}
    with pytest.raises(ProtocolError, match="The speaker 'x_s"):
        check_leakage(make_folds(table, "table")[0], table, {})


def test_under_the_protocol_paper_a_random_split_has_no_validation_either(corpus):
    folds = make_folds(corpus, RANDOM, "paper", num_groups=2)
    assert all(fold.valid == () for fold in folds)
    assert stamp(folds, corpus, RANDOM, "paper")["checkpoint_chosen_on"] == "last update"
