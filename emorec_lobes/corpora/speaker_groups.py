"""Groups of speakers for cross-validation: as the user lists them, or formed so that they are alike."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from functools import cache
from unicodedata import normalize

from emorec_lobes.corpora.manifest import Utterance
from emorec_lobes.errors import ProtocolError, not_one_of

Group = tuple[str, ...]


def listed_groups(speakers: Sequence[str], lists: Sequence[Sequence[str]]) -> list[Group]:
    """The user's lists as groups of the manifest's speakers.

    Arguments
    ---------
    speakers : sequence of str
        Every speaker of the manifest.
    lists : sequence of sequences of str
        Speakers of each group, with or without the corpus prefix; together all, each once.

    Returns
    -------
    list of tuple of str

    Raises
    ------
    ProtocolError
        If a listed speaker is unknown or listed twice, a group is empty, or a speaker is in none.

    Example
    -------
    >>> listed_groups(["emodb_03", "emodb_08"], [["03"], ["emodb_08"]])
    [('emodb_03',), ('emodb_08',)]
    """
    formed = [tuple(_find(str(name), speakers) for name in names) for names in lists]
    counts = Counter(speaker for group in formed for speaker in group)
    twice = next((speaker for speaker, number in counts.items() if number > 1), None)
    if twice:
        raise ProtocolError(f"`speaker_groups` must list each speaker once, but lists {twice} twice. Remove one.")
    if not all(formed):
        raise ProtocolError("`speaker_groups` must have a speaker in each group, but one is empty. Remove it.")
    left_out = [speaker for speaker in speakers if speaker not in counts]
    if left_out:
        raise ProtocolError(
            f"`speaker_groups` must list every speaker, but lists {', '.join(left_out)} in no group. Add them to one."
        )
    return formed


def balanced_groups(utterances: Mapping[str, Utterance], num_groups: int) -> list[Group]:
    """Groups with about as many utterances of each emotion and each gender, the same on every call.

    The speakers with most utterances choose first, each the group whose shares of the corpus overlap least with
    their own.

    Arguments
    ---------
    utterances : mapping
        A manifest whose utterances all have a speaker.
    num_groups : int
        At least 2, at most the number of speakers.

    Returns
    -------
    list of tuple of str
        No group is empty.

    Raises
    ------
    ProtocolError
        If there cannot be so many groups.
    """
    counts: dict[str, Counter[tuple[str, str | None]]] = defaultdict(Counter)
    alike = Counter((str(item.speaker), item.emotion, item.gender) for item in utterances.values())
    for (speaker, emotion, gender), number in alike.items():
        counts[speaker].update({("all", None): number, ("emotion", emotion): number, ("gender", gender): number})
    if not 2 <= num_groups <= len(counts):
        raise ProtocolError(
            f"`num_groups` must be from 2 to {len(counts)}, the number of speakers, but is {num_groups} instead."
            " Change it."
        )
    totals: Counter[tuple[str, str | None]] = sum(counts.values(), Counter())
    shares = {name: {key: n / totals[key] for key, n in count.items()} for name, count in counts.items()}
    formed: list[list[str]] = [[] for _ in range(num_groups)]
    loads: list[Counter[tuple[str, str | None]]] = [Counter() for _ in range(num_groups)]
    for speaker in sorted(counts, key=lambda name: (-counts[name]["all", None], name)):
        overlaps = [sum(load[key] * share for key, share in shares[speaker].items()) for load in loads]
        chosen = overlaps.index(min(overlaps))
        formed[chosen].append(speaker)
        loads[chosen].update(shares[speaker])
    return sorted(tuple(sorted(group)) for group in formed)


@cache
def person(speaker: str | None) -> str | None:
    """A speaker's name without what a typist or a file system may change: case, blanks, Unicode form.

    Example
    -------
    >>> person(" J\u00fcrgen B.") == person("ju\u0308rgen  b.")
    True
    """
    return speaker and " ".join(normalize("NFKC", speaker).casefold().split())


def _find(name: str, speakers: Sequence[str]) -> str:
    matches = [speaker for speaker in speakers if speaker == name or speaker.endswith(f"_{name}")]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise ProtocolError(f"`speaker_groups` names {name}, which may be {' or '.join(matches)}. Write it in full.")
    raise ProtocolError(not_one_of("speaker_groups", name, speakers) + " Quote names that are numbers.")
