import random
from collections import Counter
from itertools import product

import pytest

from emorec_lobes.corpora import emodb
from emorec_lobes.corpora.manifest import Utterance
from emorec_lobes.corpora.speaker_groups import balanced_groups, listed_groups
from emorec_lobes.errors import ProtocolError

SPEAKERS = ["emodb_03", "emodb_08", "emodb_09", "emodb_10"]


def _manifest(speakers):
    """From speaker -> (gender, utterances per emotion)."""
    rows = {}
    for speaker, (gender, counts) in speakers.items():
        for emotion, number in counts.items():
            for _ in range(number):
                name = f"u{len(rows)}"
                rows[name] = Utterance(name, "", 1.0, emotion, emotion, speaker=speaker, gender=gender)
    return rows


# Listed groups


def test_groups_are_listed_with_or_without_the_corpus_prefix():
    expected = [("emodb_03", "emodb_08"), ("emodb_09", "emodb_10")]
    assert listed_groups(SPEAKERS, [["03", "08"], ["09", "10"]]) == expected
    assert listed_groups(SPEAKERS, [["emodb_03", "08"], ["emodb_09", "10"]]) == expected


def test_a_prefix_may_hold_an_underscore():
    assert listed_groups(["my_corpus_a", "my_corpus_b"], [["a"], ["b"]]) == [("my_corpus_a",), ("my_corpus_b",)]


@pytest.mark.parametrize(
    ("lists", "complaint"),
    [
        ([["03", "08"], ["09", "11"]], "'11'"),
        ([[3, 8], [9, 10]], "Quote names that are numbers"),
        ([["03", "08"], ["09"]], "emodb_10 in no group"),
        ([["03", "08"], ["09", "10", "03"]], "emodb_03 twice"),
        ([["03", "03"], ["08", "09", "10"]], "emodb_03 twice"),
        ([["03", "08", "09", "10"], []], "one is empty"),
        ([], "in no group"),
    ],
)
def test_lists_that_are_no_partition_are_refused(refusal, lists, complaint):
    assert complaint in refusal(ProtocolError, listed_groups, SPEAKERS, lists)


def test_a_name_that_two_speakers_end_in_must_be_written_in_full(refusal):
    message = refusal(ProtocolError, listed_groups, ["x_1_a", "x_2_a"], [["a"], ["x_2_a"]])
    assert "x_1_a or x_2_a" in message


# Balanced groups


def test_balanced_groups_are_a_partition_without_an_empty_group():
    manifest = _manifest({f"s{n}": ("fm"[n % 2], {"sad": n + 1}) for n in range(7)})
    for number in range(2, 8):
        groups = balanced_groups(manifest, number)
        assert len(groups) == number
        assert all(groups)
        assert sorted(speaker for group in groups for speaker in group) == [f"s{n}" for n in range(7)]


def test_balanced_groups_do_not_depend_on_the_manifests_order():
    manifest = _manifest({f"s{n}": ("fm"[n % 2], {"sad": 3 + n % 3, "angry": 2}) for n in range(9)})
    shuffled = list(manifest.items())
    random.Random(1).shuffle(shuffled)
    assert balanced_groups(dict(shuffled), 4) == balanced_groups(manifest, 4)


def test_women_and_men_are_spread_over_the_groups():
    # Dealt out in turn, the fifth speaker would join the first: two women.
    manifest = _manifest({f"s{n}": (("female", "male")[n % 2], {"sad": 10}) for n in range(8)})
    gender = {item.speaker: item.gender for item in manifest.values()}
    for group in balanced_groups(manifest, 4):
        assert {gender[speaker] for speaker in group} == {"female", "male"}


def test_emotions_are_spread_over_the_groups():
    # Pairs that complement each other are the only even split.
    manifest = _manifest(
        {"a": (None, {"sad": 9}), "b": (None, {"sad": 9}), "c": (None, {"angry": 9}), "d": (None, {"angry": 9})}
    )
    emotions = {item.speaker: item.emotion for item in manifest.values()}
    for group in balanced_groups(manifest, 2):
        assert {emotions[speaker] for speaker in group} == {"sad", "angry"}


def test_a_rare_emotion_is_spread_as_carefully_as_a_common_one():
    # By numbers alone the common emotion would decide, and put both who have the rare one together.
    counts = {"a": {"sad": 28, "fearful": 3}, "b": {"sad": 33}, "c": {"sad": 27, "fearful": 3}, "d": {"sad": 29}}
    groups = balanced_groups(_manifest({name: (None, count) for name, count in counts.items()}), 2)
    assert not any({"a", "c"} <= set(group) for group in groups)


def test_one_speaker_with_very_many_utterances_stays_alone():
    manifest = _manifest({"big": (None, {"sad": 100}), **{f"s{n}": (None, {"sad": 10}) for n in range(5)}})
    assert ("big",) in balanced_groups(manifest, 2)


def _unevenness(manifest, groups):
    """Mean squared share of a group in each emotion and gender: what a slow search would minimise."""
    features = [Counter() for _ in groups]
    place = {speaker: number for number, group in enumerate(groups) for speaker in group}
    for item in manifest.values():
        features[place[item.speaker]].update(["all", item.emotion, item.gender])
    totals = sum(features, Counter())
    return sum((feature[key] / totals[key]) ** 2 for feature in features for key in totals)


def test_balanced_groups_are_nearly_as_even_as_the_best_of_all_splits():
    counts = [(8, 3), (5, 5), (2, 9), (7, 1), (4, 4), (6, 2), (1, 6)]
    manifest = _manifest({f"s{n}": ("fm"[n % 2], {"sad": a, "angry": b}) for n, (a, b) in enumerate(counts)})
    splits = (
        [[f"s{n}" for n, chosen in enumerate(choice) if chosen == group] for group in range(3)]
        for choice in product(range(3), repeat=7)
    )
    best, worst = 10.0, 0.0
    for split in splits:
        found = _unevenness(manifest, split)
        best, worst = min(best, found), max(worst, found)
    assert _unevenness(manifest, balanced_groups(manifest, 3)) < best + 0.02 * (worst - best)


def test_the_real_corpus_falls_into_five_pairs_of_a_woman_and_a_man(real_data):
    utterances, _ = emodb.read(real_data("emodb"), labels=["angry", "neutral", "happy", "sad"])
    groups = balanced_groups({item.id: item for item in utterances}, 5)
    for group in groups:
        assert sorted(emodb.GENDERS[speaker.removeprefix("emodb_")] for speaker in group) == ["female", "male"]
    sizes = Counter(next(n for n, group in enumerate(groups) if item.speaker in group) for item in utterances)
    for size in sizes.values():
        assert size == pytest.approx(len(utterances) / 5, rel=0.1)


@pytest.mark.parametrize("number", [-1, 0, 1, 5])
def test_a_number_of_groups_that_cannot_be_is_refused(refusal, number):
    manifest = _manifest({f"s{n}": ("f", {"sad": 1}) for n in range(4)})
    assert "from 2 to 4" in refusal(ProtocolError, balanced_groups, manifest, number)
