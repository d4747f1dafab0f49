import itertools

import numpy as np
import pytest

from emorec_lobes.errors import ConfigError
from emorec_lobes.evaluation.alignment import (
    Unit,
    compare,
    match_phones,
    match_words,
    p_of_random_ends,
    timit_units,
)


def units(text):
    """`AE 0 100, T 100 200` -> units; times in ms."""
    rows = (row.split() for row in text.split(","))
    return [Unit(label, float(start) / 1000, float(stop) / 1000) for label, start, stop in rows]


def brute_force_cost(reference, heard):
    """The least cost over every way to pair two sequences in order, each tried."""
    vowels = {"AH", "EH"}
    best = len(reference) + len(heard)
    for size in range(1, min(len(reference), len(heard)) + 1):
        for ours in itertools.combinations(range(len(reference)), size):
            for theirs in itertools.combinations(range(len(heard)), size):
                said = [(reference[a], heard[b]) for a, b in zip(ours, theirs, strict=True)]
                if all((a in vowels) == (b in vowels) for a, b in said):
                    changed = sum(a != b for a, b in said)
                    best = min(best, len(reference) + len(heard) - 2 * size + changed)
    return best


# ------------------------------------------------------------------------------------------ phones


def test_a_closure_and_its_stop_are_one_phone_that_ends_with_the_stop():
    found = timit_units(["s", "cl", "t", "ax"], [0.1, 0.15, 0.2, 0.3])
    assert found == [Unit("S", 0.0, 0.1), Unit("T", 0.1, 0.2), Unit("AH", 0.2, 0.3)]


def test_a_closure_without_a_stop_stays_and_a_silence_goes():
    assert timit_units(["aw", "cl", "sil", "m"], [0.1, 0.2, 0.5, 0.6]) == units("AW 0 100, CL 100 200, M 500 600")


def test_as_many_ends_as_labels_are_needed():
    with pytest.raises(ConfigError, match="`ends_s` must be 2 times"):
        timit_units(["s", "t"], [0.1])


@pytest.mark.parametrize(
    ("reference", "heard", "pairs"),
    [
        ("AE T", "AE T", [(0, 0), (1, 1)]),
        ("F ER M", "F R AH M", [(0, 0), (1, 2), (2, 3)]),
        ("M IH D AH", "M IH D AH L", [(0, 0), (1, 1), (2, 2), (3, 3)]),  # "middle" without its L
        ("AW CL", "AW T", [(0, 0), (1, 1)]),
        ("AW CL", "AW D", [(0, 0)]),  # the closure of no D
        ("AW CL", "AW S", [(0, 0)]),
        ("AE", "T", []),  # a vowel stands for no consonant
        ("", "T", []),
        ("T", "", []),
    ],
)
def test_what_the_speaker_said_otherwise_is_matched(reference, heard, pairs):
    assert match_phones(reference.split(), heard.split()) == pairs


def test_the_matching_costs_no_more_than_the_best_of_all_that_there_are():
    generator = np.random.default_rng(0)
    for _ in range(100):
        reference, heard = (list(generator.choice(["AH", "EH", "S", "T"], generator.integers(1, 6))) for _ in "ab")
        pairs = match_phones(reference, heard)
        changed = sum(reference[a] != heard[b] for a, b in pairs)
        cost = len(reference) + len(heard) - 2 * len(pairs) + changed
        assert cost == brute_force_cost(reference, heard)


# ------------------------------------------------------------------------------------------ words


def test_words_are_matched_by_their_normalised_spelling_in_order():
    assert match_words(["It's", "WELL-known"], ["it's", "a", "wellknown"]) == [(0, 0), (1, 2)]


def test_a_word_of_which_the_reference_has_all_is_matched_in_order():
    assert match_words(["so", "so"], ["so", "it", "so"]) == [(0, 0), (1, 2)]


def test_a_word_that_could_be_any_of_several_is_not_matched():
    assert match_words(["so", "it"], ["so", "it", "so"]) == [(1, 1)]
    assert match_words(["so"], ["it"]) == []


# ------------------------------------------------------------------------------------------ scores


def test_a_case_worked_by_hand():
    true = units("AE 0 100, T 100 200, S 200 300, M 300 400")
    found = units("AE 0 90, T 90 220, S 220 350, M 350 451")
    assert compare([(true, found)], match_phones) == {
        "utterances": 1,
        "unaligned": 0,
        "units": 4,
        "unmatched": 0,
        "boundaries": 4,
        "median_error_ms": 35.0,  # of 10, 20, 50, 51
        "within_20_ms": 0.5,
        "within_50_ms": 0.75,
        "bias_ms": 35.0,  # of -10, 20, 50, 51
    }


def test_words_are_compared_at_both_sides():
    scores = compare([(units("so 100 200"), units("so 90 230"))], match_words, ("start_s", "stop_s"))
    assert (scores["boundaries"], scores["median_error_ms"], scores["bias_ms"]) == (2, 20.0, 10.0)


def test_unaligned_utterances_and_unmatched_units_are_counted_and_not_compared():
    true = units("AE 0 100, T 100 200")
    scores = compare([(true, None), (true, units("AE 0 100")), (true, [])], match_phones)
    counts = [scores[key] for key in ("utterances", "unaligned", "units", "unmatched", "boundaries")]
    assert counts == [3, 1, 6, 3, 1]


def test_where_nothing_is_compared_there_is_no_score():
    scores = compare([(units("AE 0 100"), None)], match_phones)
    assert (scores["boundaries"], scores["median_error_ms"], scores["within_50_ms"]) == (0, None, None)


def test_random_ends_are_told_from_those_of_phones():
    generator = np.random.default_rng(2)
    random = [(np.sort(generator.uniform(0, 3, 30)), 3.0) for _ in range(8)]
    phones = [(np.cumsum(generator.gamma(4, 0.025, 30)), 3.5) for _ in range(8)]
    assert p_of_random_ends(random) > 0.05
    assert p_of_random_ends(phones) < 1e-6


def test_p_is_that_of_chance():
    """Under chance itself, p falls below 0.1 in about a tenth of the trials."""
    generator = np.random.default_rng(1)
    draws = [[(np.sort(generator.uniform(0, 2, 20)), 2.0) for _ in range(8)] for _ in range(200)]
    assert 0.02 < np.mean([p_of_random_ends(draw) < 0.1 for draw in draws]) < 0.16
