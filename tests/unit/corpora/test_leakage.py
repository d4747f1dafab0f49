from dataclasses import replace
from unicodedata import normalize

import numpy as np
import pytest

from emorec_lobes.corpora.leakage import check_leakage
from emorec_lobes.corpora.protocol import make_folds
from emorec_lobes.errors import ProtocolError


@pytest.fixture
def fold(manifest):
    return make_folds(manifest, "sessions")[0]  # tests session 1, validates on 2, trains on 3 to 5


SIDES = {"train": "training", "valid": "validation", "test": "test"}
PAIRS = [("train", "valid"), ("train", "test"), ("valid", "test")]


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_an_id_on_two_sides_is_refused(manifest, fold, refusal, one, other):
    shared = getattr(fold, one)[0]
    leaky = replace(fold, **{other: (*getattr(fold, other), shared)})
    message = refusal(ProtocolError, check_leakage, leaky, manifest, {})
    assert repr(shared) in message
    assert f"in both {SIDES[one]} and {SIDES[other]} of fold 1" in message


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_a_speaker_on_two_sides_is_refused(manifest, fold, refusal, one, other):
    moved = getattr(fold, one)[0]
    halves = {one: getattr(fold, one)[1:], other: (*getattr(fold, other), moved)}
    message = refusal(ProtocolError, check_leakage, replace(fold, **halves), manifest, {})
    assert repr(manifest[moved].speaker) in message
    assert f"in both {SIDES[one]} and {SIDES[other]} of fold 1" in message


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_the_same_audio_on_two_sides_is_refused_with_both_files(manifest, fold, refusal, one, other):
    twins = getattr(fold, one)[1], getattr(fold, other)[2]
    hashes = {each: "same" if each in twins else each for each in manifest}
    message = refusal(ProtocolError, check_leakage, fold, manifest, hashes)
    assert f"in both {SIDES[one]} and {SIDES[other]} of fold 1" in message
    for twin in twins:
        assert manifest[twin].wav in message


def test_the_same_audio_on_one_side_is_no_leak(manifest, fold):
    hashes = {each: "test" if each in fold.test else each for each in manifest}
    check_leakage(fold, manifest, hashes)


def test_audio_without_a_hash_is_not_compared(manifest, fold):
    check_leakage(fold, manifest, {})


def test_validation_on_the_test_has_its_own_message(manifest, fold, refusal):
    message = refusal(ProtocolError, check_leakage, replace(fold, valid=fold.test[::-1]), manifest, {})
    assert "each of the 4 it validates on" in message and "chosen on the test" in message


def test_validation_on_a_part_of_the_test_has_the_same_message(manifest, fold, refusal):
    message = refusal(ProtocolError, check_leakage, replace(fold, valid=fold.test[2:3]), manifest, {})
    assert "each of the 1 it validates on" in message and "chosen on the test" in message


def test_a_test_on_a_part_of_the_validation_is_refused(manifest, fold, refusal):
    message = refusal(ProtocolError, check_leakage, replace(fold, test=fold.valid[:1]), manifest, {})
    assert f"{fold.valid[0]!r} must not be in both validation and test" in message


@pytest.mark.parametrize("side", ["train", "test"])
def test_an_empty_side_is_refused(manifest, fold, refusal, side):
    message = refusal(ProtocolError, check_leakage, replace(fold, **{side: ()}), manifest, {})
    assert f"must have {SIDES[side]} utterances" in message


def test_a_fold_of_another_manifest_is_refused(manifest, fold, refusal):
    del manifest[fold.valid[0]]
    assert repr(fold.valid[0]) in refusal(ProtocolError, check_leakage, fold, manifest, {})


@pytest.mark.parametrize("change", [str.upper, "{} ".format, "  {}".format, lambda name: normalize("NFD", name)])
def test_a_speaker_spelt_in_two_ways_on_two_sides_is_refused_with_both(manifest, fold, refusal, change):
    trained, tested = fold.train[0], fold.test[0]
    manifest[trained] = replace(manifest[trained], speaker="x_J\u00fcrgen  B.")
    manifest[tested] = replace(manifest[tested], speaker=change("x_J\u00fcrgen B."))
    message = refusal(ProtocolError, check_leakage, fold, manifest, {})
    for each in (trained, tested):
        assert ascii(manifest[each].speaker) in message
    assert "in both training and test of fold 1" in message and "Spell" in message


@pytest.mark.parametrize("pair", [("x_1", "x_11"), ("x_1F", "x_1M"), ("x_a b", "x_ab")])
def test_speakers_whose_names_differ_in_more_are_two(manifest, fold, pair):
    for each, speaker in zip((fold.train[0], fold.test[0]), pair, strict=True):
        manifest[each] = replace(manifest[each], speaker=speaker)
    check_leakage(fold, manifest, {})


def test_ids_that_differ_in_case_are_two_utterances(manifest, fold):
    # Names of videos, and the ids made from them, tell case apart; whether the audio is the same, its hash says.
    twin = fold.train[0].upper()
    manifest[twin] = replace(manifest[fold.test[0]], id=twin)
    check_leakage(replace(fold, test=(*fold.test, twin)), manifest, {each: each for each in manifest})


def test_a_leak_of_many_twins_counts_them(manifest, fold, refusal):
    hashes = {each: each[-1] for each in manifest}  # two recordings, under 20 names
    message = refusal(ProtocolError, check_leakage, fold, manifest, hashes)
    assert "the first of 2 such pairs" in message and "1.00 s each" in message and "silent" in message


@pytest.fixture
def cut(manifest, fold):
    """Makes one of the training and one of the test parts of one file: (bounds, bounds) -> manifest."""

    def make(trained, tested):
        for each, (start, stop) in ((fold.train[0], trained), (fold.test[0], tested)):
            manifest[each] = replace(manifest[each], wav="{data_root}/long.wav", start=start, stop=stop)
        return manifest

    return make


@pytest.mark.parametrize(
    ("trained", "tested", "at_s"),
    [
        ((0.0, 2.0), (0.5, 2.5), 0.5),
        ((1.0, 3.0), (0.0, 1.5), 1.0),
        ((0.0, 9.0), (4.0, 4.3), 4.0),
        ((None, None), (3.0, 4.0), 3.0),
        ((3.0, None), (5.0, 6.0), 5.0),
        ((2.0, 3.0), (None, 2.5), 2.0),
    ],
)
def test_parts_of_one_file_that_overlap_on_two_sides_are_refused(fold, cut, refusal, trained, tested, at_s):
    message = refusal(ProtocolError, check_leakage, fold, cut(trained, tested), {})
    for part in ("{data_root}/long.wav", fold.train[0], fold.test[0], f"from {at_s} s on", "training", "test"):
        assert part in message


@pytest.mark.parametrize("tested", [(2.0, 3.0), (1.99, 3.0), (0.0, 1.0), (5.0, None)])
def test_parts_that_only_touch_are_no_leak(fold, cut, tested):
    check_leakage(fold, cut((1.0, 2.0), tested), {})


def test_parts_that_overlap_on_one_side_are_no_leak(manifest, fold):
    for each in fold.train:
        manifest[each] = replace(manifest[each], wav="long.wav", start=0.0, stop=5.0)
    check_leakage(fold, manifest, {})


def test_overlaps_are_found_as_a_slow_loop_over_all_pairs_finds_them(manifest, fold):
    generator = np.random.default_rng(3)
    found = []
    for _ in range(200):
        for each in manifest:
            start = float(generator.uniform(0, 100))
            stop = start + float(generator.uniform(0.5, 2))
            manifest[each] = replace(manifest[each], wav=f"{generator.integers(2)}.wav", start=start, stop=stop)
        sides = {each: side for side in SIDES for each in getattr(fold, side)}
        expected = any(
            sides[one] != sides[other]
            and manifest[one].wav == manifest[other].wav
            and min(manifest[one].stop, manifest[other].stop) - max(manifest[one].start, manifest[other].start) >= 0.025
            for one in manifest
            for other in manifest
        )
        found.append(expected)
        if expected:
            with pytest.raises(ProtocolError, match="overlap"):
                check_leakage(fold, manifest, {})
        else:
            check_leakage(fold, manifest, {})
    assert 20 < sum(found) < 180
