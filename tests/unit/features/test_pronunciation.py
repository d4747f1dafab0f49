import string
from pathlib import Path

import pytest

from emorec_lobes.features.phone_table import ARPABET
from emorec_lobes.features.pronunciation import pronounce


@pytest.mark.parametrize(
    ("word", "phones"),
    [
        ("phish", "F IH SH"),
        ("knight", "N AY T"),
        ("blaze", "B L EY Z"),
        ("quickly", "K W IH K L IY"),
        ("wugs", "W AH G Z"),
        ("station", "S T AE SH AH N"),
        ("googled", "G UW G L D"),
        ("vlogging", "V L AA G IH NG"),
        ("rated", "R AE T AH D"),
    ],
)
def test_regular_spellings_are_read_as_english_does(word, phones):
    assert pronounce(word) == phones.split()


@pytest.mark.parametrize("word", ["", "'", "1984", "-", *string.ascii_letters, "zzzz", "aeiou", "ŵ", "x" * 500])
def test_anything_is_given_some_known_phones(word):
    phones = pronounce(word)
    assert phones
    assert set(phones) <= set(ARPABET)


def test_most_phones_of_a_dictionarys_words_are_right():
    pocketsphinx = pytest.importorskip("pocketsphinx")
    dictionary = Path(pocketsphinx.get_model_path("en-us/cmudict-en-us.dict")).read_text(encoding="utf-8")
    entries = [line.split() for line in dictionary.splitlines() if "(" not in line][::97]
    errors = sum(edits(pronounce(word), phones) for word, *phones in entries)
    assert errors / sum(len(phones) for _, *phones in entries) < 0.30


def edits(first, second):
    row = list(range(len(second) + 1))
    for i, one in enumerate(first, 1):
        above, row = row, [i]
        for j, other in enumerate(second, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (one != other)))
    return row[-1]
