"""What must not stand on two sides of a fold: an utterance, a speaker, a piece of audio."""

from collections.abc import Callable, Mapping, Sequence
from itertools import chain, combinations, filterfalse
from math import inf

from emorec_lobes.corpora.manifest import Utterance
from emorec_lobes.corpora.protocol import Fold
from emorec_lobes.corpora.speaker_groups import person
from emorec_lobes.errors import ProtocolError
from emorec_lobes.units import MIN_SAMPLES, SAMPLE_RATE_HZ, Seconds

Ids = Sequence[str]

# What two parts of a file may share: less than could be an utterance, so that a rounded border is no leak.
_MIN_OVERLAP_S: Seconds = MIN_SAMPLES / SAMPLE_RATE_HZ


def check_leakage(fold: Fold, utterances: Mapping[str, Utterance], audio_hashes: Mapping[str, str]) -> None:
    """Refuses a fold in which an id, a speaker, a moment of a recording or the same audio stands on two sides.

    Audio is the same if its decoded samples are: under any name, in any lossless format, in one or equal channels,
    cut out or as a file of its own. A lossy copy, another gain or another sample rate makes other audio.
    In a corpus's own split and in a random one (`Fold.shares_speakers`) speakers may stand on several sides;
    `stamp` says so. The same words on two sides are no leak; `stamp` counts them.

    Arguments
    ---------
    fold : Fold
        What to check.
    utterances : mapping
        The manifest. Speakers that are None cannot be compared; `stamp` records that.
    audio_hashes : mapping
        Id -> hash of the decoded audio; ids that are not in it are not compared.

    Raises
    ------
    ProtocolError
        Names what stands on both sides, or says that a side is empty or validation is the test.
    """
    for side in ("training", "test"):
        if not fold.sides[side]:
            raise ProtocolError(f"Fold {fold.name} must have {side} utterances, but has none. Use another scheme.")
    stale = next(filterfalse(utterances.__contains__, chain(*fold.sides.values())), None)
    if stale is not None:
        raise ProtocolError(
            f"Fold {fold.name} must use the manifest, but {stale!r} is not in it. Make the folds again."
        )
    if fold.valid and set(fold.valid) <= set(fold.test):
        raise ProtocolError(
            f"Fold {fold.name} must validate on other utterances than it tests, but each of the {len(fold.valid)} "
            "it validates on is tested too: the checkpoint would be chosen on the test. Use the protocol strict."
        )
    _refuse_shared_ids(fold)
    if not fold.shares_speakers:
        _refuse_shared_speakers(fold, utterances)
    _refuse_overlaps(fold, utterances)
    _refuse_shared_audio(fold, utterances, audio_hashes)


def _shared(fold: Fold, key_of: Callable[[str], str | None]) -> tuple[str, list[tuple[str, str]]] | None:
    """The first two sides that have a key in common: which, and an id of either for each such key."""
    keys = {side: list(map(key_of, ids)) for side, ids in fold.sides.items()}
    kinds = {side: set(found) for side, found in keys.items()}
    for found in kinds.values():
        found.discard(None)
    for one, other in combinations(kinds, 2):
        if not kinds[one].isdisjoint(kinds[other]):
            some, others = (dict(zip(keys[side], fold.sides[side], strict=True)) for side in (one, other))
            pairs = [(some[key], each) for key, each in others.items() if key is not None and key in some]
            return f"in both {one} and {other} of fold {fold.name}", pairs
    return None


def _refuse_shared_ids(fold: Fold) -> None:
    if found := _shared(fold, str):
        where, [(shared, _), *_] = found
        raise ProtocolError(f"The utterance {shared!r} must not be {where}, but is. Leave it in one.")


def _refuse_shared_speakers(fold: Fold, utterances: Mapping[str, Utterance]) -> None:
    if found := _shared(fold, lambda each: person(utterances[each].speaker)):
        where, [pair, *_] = found
        one, other = (utterances[each].speaker for each in pair)
        if one != other:
            raise ProtocolError(
                f"The speaker {one!a} must not be {where}, but is, once spelt {other!a}. Spell a speaker alike "
                "everywhere; if they are two, rename one."
            )
        raise ProtocolError(
            f"The speaker {one!r} must not be {where}, but is. Use the scheme speakers or speaker_groups."
        )


def _refuse_overlaps(fold: Fold, utterances: Mapping[str, Utterance]) -> None:
    """Refuses parts of one file on two sides that have samples in common."""
    cut = {item.wav for item in utterances.values() if item.start is not None or item.stop is not None}
    if not cut:
        return
    used = ((side, utterances[each]) for side, ids in fold.sides.items() for each in ids)
    parts = sorted(
        (item.wav, item.start or 0.0, inf if item.stop is None else item.stop, side, item.id)
        for side, item in used
        if item.wav in cut
    )
    latest: dict[tuple[str, str], tuple[Seconds, str]] = {}  # (file, side) -> where its parts so far end, the last id
    for wav, start, stop, side, each in parts:
        for other in fold.sides:
            end, twin = latest.get((wav, other), (0.0, ""))
            if other != side and min(stop, end) - start >= _MIN_OVERLAP_S:
                raise ProtocolError(
                    f"A part of {wav} must not be in both {other} and {side} of fold {fold.name}, but {twin!r} and "
                    f"{each!r} overlap from {start} s on. Use a scheme that keeps a recording on one side."
                )
        latest[wav, side] = max(latest.get((wav, side), (0.0, "")), (stop, each))


def _refuse_shared_audio(fold: Fold, utterances: Mapping[str, Utterance], audio_hashes: Mapping[str, str]) -> None:
    # Where there is no audio, its hash can only be that of the text.
    if found := _shared(fold, lambda each: audio_hashes.get(each) if utterances[each].wav else None):
        where, pairs = found
        one, other = (utterances[each] for each in pairs[0])
        first = f", the first of {len(pairs)} such pairs" if len(pairs) > 1 else ""
        raise ProtocolError(
            f"The same audio must not be {where}, but {one.wav} ({one.id}) and {other.wav} ({other.id}), "
            f"{one.duration:.2f} s each, are identical{first}. Remove one from the corpus, or both if they are silent."
        )
