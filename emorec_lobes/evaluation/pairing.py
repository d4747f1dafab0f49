"""Two systems' answers to the same utterances, matched by id against the first one's targets."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from emorec_lobes.errors import DataError, ProtocolError, not_one_of
from emorec_lobes.evaluation.answers import Answers
from emorec_lobes.labels import ordered

_NUM_SHOWN = 3


@dataclass(frozen=True, eq=False)
class Pair:
    """Both systems beside each other, utterances sorted by id."""

    ids: np.ndarray  # (N,)
    speakers: np.ndarray  # (N,), "" where unknown
    targets: np.ndarray  # (N,), indices into labels
    labels: tuple[str, ...]
    answers: tuple[np.ndarray, np.ndarray]  # of A and B, each (S, N): a row a seed
    files: tuple[tuple[Path, ...], tuple[Path, ...]]
    left_out: tuple[int, int]  # ids of A that are not compared, and of B


def pair(
    first: Sequence[Answers],
    second: Sequence[Answers],
    truth: Answers | None = None,
    labels: Sequence[str] | None = None,
    common: bool = False,
) -> Pair:
    """Matches two systems.

    Ids are equal, or equal but for the name of the corpus that all ids of a file begin with: `emodb_03a01Fa`,
    `emodb-03a01Fa` and `03a01Fa` are one utterance.

    Arguments
    ---------
    first, second : sequence of Answers
        A and B, a file a seed.
    truth : Answers, optional
        Where the targets are, if not in A. It may have more ids than the systems answer.
    labels : sequence of str, optional
        All classes. Without it those of our files, else those of the targets.
    common : bool
        Whether ids that some file lacks are left out.

    Raises
    ------
    DataError
        If ids do not match, there are no targets, an utterance has two targets, or an answer is no class.
    ProtocolError
        If our files are of other classes each.

    Example
    -------
    >>> ours = Answers(Path("a.csv"), {"emodb_1": "sad", "emodb_2": "sad"}, {"emodb_1": "sad", "emodb_2": "angry"},
    ...                {}, ("angry", "sad"))
    >>> theirs = Answers(Path("b.txt"), {"2": "angry", "1": "sad"}, {}, {}, None)
    >>> pair([ours], [theirs]).answers
    (array([[1, 1]]), array([[1, 0]]))
    """
    named, *files = _by_one_name([truth or first[0], *first, *second])
    if not named.targets:
        raise DataError(
            f"{named.path} must have targets, but has none. Name their column with --target-column, or a file that "
            "has them with --targets."
        )
    if truth and not common:
        asked = files[0].predictions
        named = replace(named, targets={key: value for key, value in named.targets.items() if key in asked})
    _check_agreement([named, *files])
    kept = _matched(named, files, common)
    classes = _classes([*files, named], labels)
    answers = [_indices(file, "prediction", file.predictions, kept, classes) for file in files]
    # Those of one file: another one may spell them otherwise.
    speakers = next((file.speakers for file in [files[0], named, *files] if file.speakers), {})
    sides = files[: len(first)], files[len(first) :]
    return Pair(
        ids=np.array(kept),
        speakers=np.array([speakers.get(key, "") for key in kept]),
        targets=_indices(named, "target", named.targets, kept, classes),
        labels=classes,
        answers=(np.array(answers[: len(first)]), np.array(answers[len(first) :])),
        files=tuple(tuple(file.path for file in side) for side in sides),
        left_out=tuple(max(len(file.predictions) for file in side) - len(kept) for side in sides),
    )


def _by_one_name(files: Sequence[Answers]) -> list[Answers]:
    """The same files, their ids without the corpus's name where they match no other way."""
    names = [name for file in files if (name := _corpus_in(list(file.predictions or file.targets)))]
    for candidate in (None, *dict.fromkeys(names)):
        renamed = [_without(file, candidate) for file in files] if candidate else list(files)
        first, *others = (set(file.predictions or file.targets) for file in renamed)
        if all(first & ids for ids in others):
            return renamed
    return list(files)


def _corpus_in(ids: Sequence[str]) -> str | None:
    """The word before the first _ or -, if all ids begin with it."""
    word = re.split("[_-]", ids[0])[0]
    return word if word and all(re.match(f"{re.escape(word)}[_-].", item) for item in ids) else None


def _without(file: Answers, corpus: str) -> Answers:
    """The file with ids that do not begin with the corpus."""
    columns = {
        name: {re.sub(f"^{re.escape(corpus)}[_-]", "", item): value for item, value in getattr(file, name).items()}
        for name in ("predictions", "targets", "speakers")
    }
    if len(columns["predictions"]) < len(file.predictions):
        raise DataError(
            f"{file.path} must have an id once, but has one with and without {corpus!r} before it. Leave one out."
        )
    return replace(file, **columns)


def _check_agreement(files: Sequence[Answers]) -> None:
    """What an utterance is must not depend on who answers it."""
    said: dict[str, tuple[str, Path]] = {}
    for file in files:
        for item, value in file.targets.items():
            expected, where = said.setdefault(item, (value, file.path))
            if value != expected:
                raise DataError(
                    f"{file.path} (id {item!r}): `target` must be {expected}, as in {where}, but is {value} instead. "
                    "Compare answers to the same test, or map labels with --map."
                )


def _matched(truth: Answers, files: Sequence[Answers], common: bool) -> list[str]:
    """What is compared: sorted, and in every file."""
    reference = truth.targets.keys()
    shared = set(reference).intersection(*(file.predictions for file in files))
    if not shared:
        other = next((file for file in files if reference.isdisjoint(file.predictions)), files[-1])
        raise DataError(
            f"{other.path} must have ids of {truth.path}, but they share none: the first has "
            f"{next(iter(other.predictions))!r}, the second {next(iter(reference), '')!r}. "
            "Name the column with --id-column."
        )
    for file in [] if common else files:
        lacking, extra = sorted(reference - file.predictions.keys()), sorted(file.predictions.keys() - reference)
        for count, items in ((f"lacks {len(lacking)}", lacking), (f"has {len(extra)} more", extra)):
            if items:
                raise DataError(
                    f"{file.path} must have the {len(reference)} ids of {truth.path}, but {count}: {_few(items)}. "
                    "Compare what all files have with --common."
                )
    return sorted(shared)


def _classes(files: Sequence[Answers], labels: Sequence[str] | None) -> tuple[str, ...]:
    if labels:
        return ordered(labels)
    closed = [file for file in files if file.labels]
    for file in closed[1:]:
        if file.labels != closed[0].labels:
            raise ProtocolError(
                f"{file.path} must have the labels of {closed[0].path}, {', '.join(closed[0].labels)}, but has "
                f"{', '.join(file.labels)} instead. Merge them with --map, e.g. --map excited=happy."
            )
    return closed[0].labels if closed else ordered(files[-1].targets.values())


def _indices(
    file: Answers, what: str, values: Mapping[str, str], kept: Sequence[str], classes: Sequence[str]
) -> np.ndarray:
    """The class of each kept utterance, (N,)."""
    for item in kept:
        if values[item] not in classes:
            raise DataError(
                f"{file.path} (id {item!r}): {not_one_of(what, values[item], classes)} Map it with --map "
                f"{values[item]}=EMOTION, or name all classes with --labels."
            )
    return np.array([classes.index(values[item]) for item in kept])


def _few(items: Sequence[str]) -> str:
    rest = f" and {len(items) - _NUM_SHOWN} more" if len(items) > _NUM_SHOWN else ""
    return ", ".join(map(repr, items[:_NUM_SHOWN])) + rest
