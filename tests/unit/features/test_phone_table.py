from collections import Counter

import pytest

from emorec_lobes.features.phone_table import ARPABET, NUM_PHONES, in_word, phone_id, phone_name

COMBINATIONS = [f"{phone}_{position}" for phone in ARPABET for position in "BIES"]


def test_the_table_is_the_published_one():
    # Ids are stored on disk; a change here needs a new TABLE_VERSION.
    assert len(ARPABET) == 39
    names = [phone_name(number) for number in range(NUM_PHONES)]
    assert names[:6] == ["SIL", "UNKNOWN", "LAUGHTER", "BREATHING", "GARBAGE", "LIPSMACK"]
    assert [names[6], names[44], names[45], names[81], names[82], names[115], names[116], names[127]] == [
        *("AA_I", "ZH_I", "AA_B", "Z_B", "AA_E", "ZH_E", "AA_S", "UW_S")
    ]


def test_all_128_ids_are_used_and_each_name_has_its_own():
    assert [phone_id(phone_name(number)) for number in range(NUM_PHONES)] == list(range(NUM_PHONES))


def test_122_ids_stand_for_phones_by_position_as_in_the_paper():
    assert {phone_id(name) for name in COMBINATIONS} == set(range(6, 128))
    positions = Counter(phone_name(number)[-1] for number in range(6, 128))
    assert positions == {"B": 37, "I": 39, "E": 34, "S": 12}


def test_no_combination_shares_an_id_with_another_phone():
    for name in COMBINATIONS:
        assert phone_name(phone_id(name)).split("_")[0] == name.split("_")[0]


@pytest.mark.parametrize(
    ("label", "name"),
    [("K_S", "K_B"), ("NG_S", "NG_I"), ("NG_B", "NG_I"), ("AE_E", "AE_I"), ("AY_S", "AY_S"), ("T_E", "T_E")],
)
def test_a_missing_combination_takes_its_nearest_neighbour(label, name):
    assert phone_name(phone_id(label)) == name


@pytest.mark.parametrize("label", ["ae_B", "AE1_B", " AE_B ", "AE0_b"])
def test_case_stress_and_spaces_do_not_matter(label):
    assert phone_id(label) == phone_id("AE_B")


def test_a_phone_without_a_position_counts_as_inside():
    assert phone_id("IY") == phone_id("IY_I")


@pytest.mark.parametrize("label", ["", "sil", "SIL", "<sil>", "sp", "<s>", "</s>", "<eps>"])
def test_every_aligners_silence_is_silence(label):
    assert phone_id(label) == 0


@pytest.mark.parametrize("label", ["[LAUGHTER]", "++LAUGHTER++", "+LAUGHTER+", "laughter"])
def test_every_spelling_of_a_bracket_token_is_that_token(label):
    assert phone_name(phone_id(label)) == "LAUGHTER"


@pytest.mark.parametrize("label", ["oov_S", "spn", "++NOISE++", "ɹ", "AE_Q", "AE9", "??", "AX", "S_B_B", "1"])
def test_any_other_label_is_unknown_and_no_error(label):
    assert phone_id(label) == 1


def test_positions_of_a_words_phones():
    assert in_word(["M"]) == ["M_S"]
    assert in_word(["G", "OW"]) == ["G_B", "OW_E"]
    assert in_word(["S", "T", "R", "IY", "T"]) == ["S_B", "T_I", "R_I", "IY_I", "T_E"]
