"""A corpus's official utterance counts against what was found."""

from collections.abc import Mapping

from emorec_lobes.errors import DataError


def check_counts(
    found: Mapping[str, int], expected: Mapping[str, int], corpus: str, allow_incomplete: bool
) -> list[str]:
    """Compares counts, group by group.

    Arguments
    ---------
    found : mapping
        Group (a session, a class) -> utterances found.
    expected : mapping
        Group -> utterances of the official release; only these groups are looked at.
    corpus : str
        What is counted, for the message.
    allow_incomplete : bool
        Whether a difference is a warning rather than an error.

    Returns
    -------
    list of str
        The warning, if there is one.

    Raises
    ------
    DataError
        If a count differs and `allow_incomplete` is off.

    Example
    -------
    >>> check_counts({"angry": 2, "sad": 5}, {"angry": 3, "sad": 5}, "Corpus", allow_incomplete=True)
    ['Corpus differs from the official release (found/expected): angry 2/3, sad 5/5.']
    """
    if all(found.get(group, 0) == number for group, number in expected.items()):
        return []
    pairs = ", ".join(f"{group} {found.get(group, 0)}/{number}" for group, number in expected.items())
    difference = f"{corpus} differs from the official release (found/expected): {pairs}."
    if not allow_incomplete:
        raise DataError(f"{difference} Complete the corpus, or pass --allow-incomplete to go on with what is there.")
    return [difference]
