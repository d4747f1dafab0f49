import pytest

from emorec_lobes.corpora.counts import check_counts
from emorec_lobes.errors import DataError

EXPECTED = {"session 1": 3, "angry": 2, "sad": 1}


def test_the_official_counts_are_no_warning():
    assert check_counts({**EXPECTED, "bored": 4}, EXPECTED, "X", allow_incomplete=False) == []


@pytest.mark.parametrize("found", [{}, {**EXPECTED, "sad": 2}, {**EXPECTED, "angry": 0}])
def test_any_other_count_is_refused_with_every_pair(refusal, found):
    message = refusal(DataError, check_counts, found, EXPECTED, "X", allow_incomplete=False)
    for group, number in EXPECTED.items():
        assert f"{group} {found.get(group, 0)}/{number}" in message
    assert "--allow-incomplete" in message


def test_an_incomplete_corpus_can_be_a_warning():
    (warning,) = check_counts({"session 1": 1, "angry": 1}, EXPECTED, "X", allow_incomplete=True)
    assert "session 1 1/3, angry 1/2, sad 0/1" in warning
    assert "--allow-incomplete" not in warning
