"""Who trains, who validates and who is tested: folds as pure functions of the manifest."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from emorec_lobes.corpora.manifest import SPLITS, Utterance
from emorec_lobes.corpora.random_parts import random_parts
from emorec_lobes.corpora.speaker_groups import balanced_groups, listed_groups, person
from emorec_lobes.errors import ProtocolError, not_one_of
from emorec_lobes.names import natural

# Puts a speaker on several sides, to measure what that inflates; its name says so to whoever types it.
RANDOM, SHARED = "random_shared_speakers", "speakers shared between training and test"

# Scheme -> the manifest field that tells its groups apart.
SCHEMES = {
    "sessions": "session",
    "speakers": "speaker",
    "speaker_groups": "speaker",
    "session_speakers": "speaker",
    "first_session_speakers": "speaker",
    "table": "fold",
    "official": "fold",
    RANDOM: "emotion",
}

# Schemes in which the other speaker of the tested session validates -> how many speakers of a session are tested.
_PAIRED = {"session_speakers": 2, "first_session_speakers": 1}

_SHARING = ("official", RANDOM)  # schemes whose folds may share speakers

# Protocol -> the fewest groups it can be run on.
PROTOCOLS = {"strict": 3, "paper": 2}

_CURES = {
    "session": "Use the scheme speakers or speaker_groups",
    "speaker": "Prepare the corpus with its speakers (--speaker-column)",
    "fold": "Prepare the table with its folds (--fold-column), or use the scheme speakers",
}


@dataclass(frozen=True)
class Fold:
    """One split by utterance id. `valid` is empty under the protocol "paper"."""

    name: str  # counts from "1"
    train: tuple[str, ...]
    valid: tuple[str, ...]
    test: tuple[str, ...]
    shares_speakers: bool = False  # whether they may stand on several sides, which the stamp says

    @property
    def sides(self) -> dict[str, tuple[str, ...]]:
        """The ids on each side, by the name that messages give it."""
        return {"training": self.train, "validation": self.valid, "test": self.test}


def groups(
    utterances: Mapping[str, Utterance],
    scheme: str,
    num_groups: int | None = None,
    speaker_groups: Sequence[Sequence[str]] | None = None,
) -> dict[str, list[str]]:
    """Splits a manifest into the groups that folds leave out.

    Arguments
    ---------
    utterances : mapping
        A manifest.
    scheme : str
        "sessions" or "speakers" (one a group), "speaker_groups" (several speakers a group), "session_speakers" or
        "first_session_speakers" (as "speakers"; their folds differ), "table" (the manifest's own `fold`),
        "official" (the same, where it is train, valid or test), or "random_shared_speakers" (parts drawn at random).
    num_groups : int, optional
        For "speaker_groups": how many to form, balanced over emotion and gender. For a random split: its parts.
    speaker_groups : sequence of sequences of str, optional
        For "speaker_groups": the speakers of each, with or without the corpus prefix.

    Returns
    -------
    dict
        Group name -> ids in manifest order. Groups stand in natural order (2 before 10), or as listed.

    Raises
    ------
    ProtocolError
        If the scheme is unknown, does not go with the options, or needs what the manifest does not have.

    Example
    -------
    >>> items = [Utterance(f"x_{n}", "", 1.0, "sad", "T", session=str(n)) for n in (10, 2)]
    >>> groups({item.id: item for item in items}, "sessions")
    {'2': ['x_2'], '10': ['x_10']}
    """
    if scheme not in SCHEMES:
        raise ProtocolError(not_one_of("scheme", scheme, SCHEMES))
    if scheme == RANDOM and speaker_groups is None:
        return random_parts(utterances, num_groups)
    num_options = sum(option is not None for option in (num_groups, speaker_groups))
    if num_options != (scheme == "speaker_groups"):
        raise ProtocolError(
            f"`scheme` {scheme} must come with {'one' if scheme == 'speaker_groups' else 'none'} of num_groups and "
            f"speaker_groups, but comes with {num_options} instead. Set the other ones to null."
        )
    values = _field_values(utterances, scheme, SCHEMES[scheme])
    names = sorted(set(values.values()), key=natural)
    if scheme == "speaker_groups":
        teams = (
            listed_groups(names, speaker_groups)
            if speaker_groups is not None
            else balanced_groups(utterances, num_groups)
        )
        name_of = {speaker: "+".join(team) for team in teams for speaker in team}
        values = {utterance_id: name_of[speaker] for utterance_id, speaker in values.items()}
        names = ["+".join(team) for team in teams]
    members: dict[str, list[str]] = {name: [] for name in names}
    for utterance_id, name in values.items():
        members[name].append(utterance_id)
    return members


def make_folds(
    utterances: Mapping[str, Utterance],
    scheme: str,
    protocol: str = "strict",
    num_groups: int | None = None,
    speaker_groups: Sequence[Sequence[str]] | None = None,
    refit: bool = False,
) -> list[Fold]:
    """One fold a group: fold k tests group k. The scheme "official" makes one fold, the corpus's own.

    Under "session_speakers" the other speaker of the tested session validates, and all other sessions train.
    "first_session_speakers" has the half of these folds that test the first speaker of a session by name (in IEMOCAP,
    women).

    Source: Makiuchi 2021, section 6.1, for "paper": all other groups train, there is no validation. Xi 2022,
    section 4.1, for "session_speakers"; it does not say whether both speakers of a session are tested.

    Arguments
    ---------
    utterances, scheme, num_groups, speaker_groups
        As in `groups`.
    protocol : str
        "strict" validates on the group after the tested one (the first after the last) and trains on the others;
        "paper" trains on all others.
    refit : bool
        Whether who validates trains too in the end.

    Returns
    -------
    list of Fold
        Named "1", "2", ... in the order of the groups.

    Raises
    ------
    ProtocolError
        As `groups`; or if the protocol is unknown, there are too few groups for it, folds are no official split, a
        session has not two speakers, or the tested session would train.

    Example
    -------
    >>> items = [Utterance(f"x_{n}", "", 1.0, "sad", "T", session=str(n)) for n in (1, 2, 3)]
    >>> make_folds({item.id: item for item in items}, "sessions")[0]
    Fold(name='1', train=('x_3',), valid=('x_2',), test=('x_1',), shares_speakers=False)
    """
    if protocol not in PROTOCOLS:
        raise ProtocolError(not_one_of("protocol", protocol, PROTOCOLS))
    members = groups(utterances, scheme, num_groups, speaker_groups)
    is_official = scheme == "official"
    parts = _official_parts(members) if is_official else list(members.values())
    if len(parts) < PROTOCOLS[protocol]:
        raise ProtocolError(
            f"`protocol` {protocol} must have at least {PROTOCOLS[protocol]} groups, "
            f"but the scheme {scheme} gives {len(parts)} instead. Use another scheme or more data."
        )
    if scheme in _PAIRED:
        return _paired_folds(utterances, scheme, protocol, refit)
    folds = []
    for number, test in enumerate(parts[:1] if is_official else parts):
        valid = parts[(number + 1) % len(parts)] if protocol == "strict" else []
        train = chain.from_iterable(part for part in parts if part is not test and part is not valid)
        folds.append(Fold(str(number + 1), tuple(train), tuple(valid), tuple(test), scheme in _SHARING))
    return folds


def stamp(
    folds: Sequence[Fold], utterances: Mapping[str, Utterance], scheme: str, protocol: str, metric: str = "uar"
) -> dict[str, Any]:
    """What every result says about how it was won.

    Arguments
    ---------
    folds, utterances, scheme, protocol
        As given to or returned by `make_folds`.
    metric : str
        The validation score that chose the checkpoint.

    Returns
    -------
    dict
        For results.json. `speaker_independent` is None where a speaker is unknown, `test_texts_also_in_training`
        where no text is known; it counts tested utterances whose words somebody says in training or validation too.
    """
    return {
        "protocol": protocol,
        **({"protocol": "peeked", "peeked": SHARED} if scheme == RANDOM else {}),
        "scheme": scheme,
        **({"validated_on": "the other speaker of the tested session"} if scheme in _PAIRED else {}),
        "num_folds": len(folds),
        "speaker_independent": _speaker_independent(folds, utterances),
        "test_texts_also_in_training": _num_shared_texts(folds, utterances),
        "checkpoint_chosen_on": f"validation {metric}" if protocol == "strict" else "last update",
    }


def statistics_stamp(by_speaker: bool) -> dict[str, str]:
    """What every result says about statistics and vectors of whole speakers, if its inputs were made with any.

    They see no label (`manifest.without_labels`), but only utterances of the chosen classes are there to be pooled.

    Example
    -------
    >>> statistics_stamp(False)
    {'speaker_statistics_over': 'nothing'}
    """
    over = "a speaker's utterances with one of the labels, tested ones too" if by_speaker else "nothing"
    return {"speaker_statistics_over": over}


def _people(ids: Iterable[str], utterances: Mapping[str, Utterance]) -> set[str | None]:
    return set(map(person, {utterances[each].speaker for each in ids}))


def _speaker_independent(folds: Sequence[Fold], utterances: Mapping[str, Utterance]) -> bool | None:
    sides = [(_people(fold.train + fold.valid, utterances), _people(fold.test, utterances)) for fold in folds]
    if any(None in trained | tested for trained, tested in sides):
        return None
    return not any(trained & tested for trained, tested in sides)


def _num_shared_texts(folds: Sequence[Fold], utterances: Mapping[str, Utterance]) -> int | None:
    # As `person` has it for names, case and blanks make no other text.
    texts = {each: " ".join(item.text.casefold().split()) for each, item in utterances.items() if item.text}
    if not texts:
        return None
    trained = [{texts.get(each) for each in fold.train + fold.valid} - {None} for fold in folds]
    return sum(texts.get(each) in known for fold, known in zip(folds, trained, strict=True) for each in fold.test)


def _official_parts(members: Mapping[str, list[str]]) -> list[list[str]]:
    """The ids of test, valid and train, so that the first is tested and the next one validates."""
    if set(members) != set(SPLITS):
        raise ProtocolError(
            f"`scheme` official must have utterances of the folds {', '.join(SPLITS)}, but the manifest has "
            f"{', '.join(members)} instead. Use another scheme, or complete the corpus."
        )
    return [members[name] for name in reversed(SPLITS)]


def _paired_folds(utterances: Mapping[str, Utterance], scheme: str, protocol: str, refit: bool) -> list[Fold]:
    """A fold for each tested speaker, by session: the other one of the session validates."""
    if protocol != "strict" or refit:
        found = "refit: True" if protocol == "strict" else f"protocol: {protocol}"
        raise ProtocolError(
            f"`scheme` {scheme} must come with protocol: strict and refit: False, as the tested session is for "
            f"validation and must not train, but comes with {found} instead. Set them, or use the scheme sessions."
        )
    sessions = _field_values(utterances, scheme, "session")
    folds = []
    for session in sorted(set(sessions.values()), key=natural):
        speakers = sorted(
            {str(utterances[each].speaker) for each, at in sessions.items() if at == session}, key=natural
        )
        if len(speakers) != 2:
            raise ProtocolError(
                f"`scheme` {scheme} must have two speakers in each session, but session {session} has {len(speakers)} "
                f"({', '.join(speakers)}) instead. Use the scheme sessions or speakers."
            )
        train = tuple(each for each, at in sessions.items() if at != session)
        first, second = (
            tuple(each for each, at in sessions.items() if at == session and utterances[each].speaker == speaker)
            for speaker in speakers
        )
        for test, valid in [(first, second), (second, first)][: _PAIRED[scheme]]:
            folds.append(Fold(str(len(folds) + 1), train, valid, test))
    return folds


def _field_values(utterances: Mapping[str, Utterance], scheme: str, field: str) -> dict[str, str]:
    """Id -> a field that the scheme needs."""
    values = {each: getattr(item, field) for each, item in utterances.items()}
    without = [each for each, value in values.items() if value is None]
    if without:
        raise ProtocolError(
            f"`scheme` {scheme} must have the {field} of every utterance, but {len(without)} of {len(values)} "
            f"have none, the first is {without[0]!r}. {_CURES[field]}."
        )
    return values
