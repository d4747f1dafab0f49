import numpy as np
import pytest

from emorec_lobes.evaluation.slices import NUM_BINS, Facts, binned, cuts, parts


def test_every_row_is_in_exactly_one_part_of_each_cut(answers):
    tested = answers(num_utterances=97)
    facts = {
        item: Facts(session=str(place % 3) if place % 5 else None, duration_s=place / 7, level_db=-float(place % 11))
        for place, item in enumerate(tested.ids.tolist()[:90])
    }
    for cut in cuts(tested, facts):
        if cut.title == "Kind of speech":
            assert not cut.parts
        else:
            assert np.array_equal(sum(rows.astype(int) for rows in cut.parts.values()), np.ones(97))


def test_parts_are_those_of_a_slow_loop(answers):
    tested = answers()
    speakers = next(iter(cuts(tested, {}))).parts
    for name, rows in speakers.items():
        for place, speaker in enumerate(tested.speakers):
            assert rows[place] == (speaker == name)


def test_names_with_numbers_stand_in_their_order_and_the_unknown_last():
    assert list(parts(["s10", None, "s9", "a"])) == ["a", "s9", "s10", "not stated"]
    assert parts([None, None]) == {}


@pytest.mark.parametrize("number", [4, 5, 97, 100])
def test_bins_of_different_numbers_are_of_like_size_and_rise(number):
    values = np.random.default_rng(number).permutation(number).astype(float)
    found = binned(values.tolist(), "{:.0f} to {:.0f}")
    sizes = [int(rows.sum()) for rows in found.values()]
    assert len(sizes) == NUM_BINS and max(sizes) - min(sizes) <= 1 and sum(sizes) == number
    ends = [tuple(map(int, name.split(" to "))) for name in found]
    assert [end for pair in ends for end in pair] == sorted(end for pair in ends for end in pair)
    for (low, high), rows in zip(ends, found.values(), strict=True):
        assert [low <= value <= high for value in values] == rows.tolist()


def test_equal_numbers_share_a_bin_and_bins_that_look_alike_become_one():
    assert [rows.sum() for rows in binned([1.0] * 9 + [2.0], "{} to {}").values()] == [9, 1]
    assert list(binned([1.001, 1.002, 1.003, 1.004], "{:.1f} to {:.1f}")) == ["1.0 to 1.0"]


def test_what_is_not_known_is_a_part_of_its_own():
    assert list(binned([1.0, None], "{:.0f} to {:.0f}")) == ["1 to 1", "not stated"]
    assert binned([None], "{}") == {}
