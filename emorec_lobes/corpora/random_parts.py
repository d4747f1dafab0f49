"""A corpus cut at random, whoever speaks: what many a published score was measured on."""

from collections.abc import Mapping
from hashlib import sha256

from emorec_lobes.corpora.manifest import Utterance
from emorec_lobes.errors import ProtocolError


def random_parts(utterances: Mapping[str, Utterance], num_parts: int | None) -> dict[str, list[str]]:
    """Parts of equal size with as many utterances of each emotion, to within one; the same on every call.

    Arguments
    ---------
    utterances : mapping
        A manifest.
    num_parts : int
        At least 2, at most the number of utterances.

    Returns
    -------
    dict
        "1", "2", ... -> ids in manifest order.

    Raises
    ------
    ProtocolError
        If there cannot be so many parts, or no number is given.

    Example
    -------
    >>> items = [Utterance(f"x_{n}", "", 1.0, "sad", "T") for n in range(5)]
    >>> [len(ids) for ids in random_parts({item.id: item for item in items}, 2).values()]
    [3, 2]
    """
    if num_parts is None or not 2 <= num_parts <= len(utterances):
        raise ProtocolError(
            f"`num_groups` must be from 2 to {len(utterances)} for a random split, but is {num_parts} instead. Set it."
        )
    # Cards are shuffled by the hash of their ids, sorted by emotion and dealt out one by one.
    cards = sorted(utterances, key=lambda each: (utterances[each].emotion, sha256(each.encode()).hexdigest()))
    part_of = {each: str(place % num_parts + 1) for place, each in enumerate(cards)}
    parts: dict[str, list[str]] = {str(number): [] for number in range(1, num_parts + 1)}
    for each in utterances:
        parts[part_of[each]].append(each)
    return parts
