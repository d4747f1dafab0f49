"""manifest.json: one entry an utterance, as SpeechBrain's `DynamicItemDataset` reads it.

Beside it lies `<stem>.info.json`: the corpus, the options that made the manifest, counts
and recorded warnings. Both are written whole or not at all.
"""

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from emorec_lobes.errors import DataError, ProtocolError
from emorec_lobes.files import as_json, read_json, write_together
from emorec_lobes.units import Seconds

DATA_ROOT = "{data_root}"

# Stands in a `text` behind what was said before the utterance, where a recipe puts that in front of it.
END_OF_CONTEXT = "\x1e"

# What `fold` is where a corpus ships one official split.
SPLITS = ("train", "valid", "test")

# What a field of `Utterance` holds, where it is not text. Tuples: asking for one of a union takes five times as long.
_NONE = type(None)
_NUMBERS = ("valence", "arousal", "dominance", "start", "stop")
_KINDS: dict[str, tuple[type, ...]] = {
    "duration": (int, float),
    "ratings": (dict, _NONE),
    "emotions": (list, _NONE),
    "turn": (int, _NONE),
    **dict.fromkeys(_NUMBERS, (int, float, _NONE)),
}
_TEXT = (str, _NONE)
_NEEDED = {"wav", "duration", "emotion", "raw_emotion"}

# The fields that say what an utterance expresses, and are to be recognised.
LABELS = ("emotion", "raw_emotion", "emotions", "ratings", "valence", "arousal", "dominance")


@dataclass(frozen=True, slots=True)
class Utterance:
    """One labelled utterance. Optional fields a corpus does not have are left out of the manifest."""

    id: str  # carries the corpus: emodb_03a01Fa
    wav: str  # absolute, or starting with {data_root}; empty, with duration 0, where a corpus is text alone
    duration: Seconds
    emotion: str  # canonical
    raw_emotion: str  # as the corpus spells it
    speaker: str | None = None  # carries the corpus: iemocap_Ses01F
    gender: str | None = None  # female | male
    session: str | None = None
    text: str | None = None
    dialog: str | None = None  # carries the corpus; its utterances are one conversation
    turn: int | None = None  # orders a dialog; turns that are left out leave gaps
    kind: str | None = None  # improvised | scripted
    fold: str | None = None  # the corpus's own fold, if it ships any; one of `SPLITS` if it ships one split
    emotions: list[str] | None = None  # canonical, in class order, where there are several
    ratings: dict[str, list[str]] | None = None  # rater -> canonical emotions, all that they named
    valence: float | None = None
    arousal: float | None = None
    dominance: float | None = None
    phones: str | None = None  # path of an alignment file
    start: Seconds | None = None  # a part of a longer recording
    stop: Seconds | None = None


_FIELDS = tuple(item.name for item in fields(Utterance))
_KNOWN = frozenset(_FIELDS) - {"id"}  # what an entry may hold


def emotions_of(utterance: Utterance) -> list[str]:
    """All emotions of an utterance: those of several labels, or its one."""
    return utterance.emotions or [utterance.emotion]


class UnlabelledUtterance:
    """All of an utterance but its labels: reading one of `LABELS` raises a ProtocolError."""

    __slots__ = ("_utterance",)

    def __init__(self, utterance: Utterance) -> None:
        self._utterance = utterance

    def __getattr__(self, name: str) -> Any:
        if name in LABELS:
            raise ProtocolError(
                f"`{name}` of {self.id!r} must stay unseen while features and speaker statistics are made, but is "
                "asked for. Choose utterances without looking at labels."
            )
        if name.startswith("_"):  # nothing is behind it yet while it is being unpickled
            raise AttributeError(name)
        return getattr(self._utterance, name)


class _Unlabelled(Mapping[str, UnlabelledUtterance]):
    """A manifest whose utterances are covered up one by one as they are taken out; nothing is copied."""

    def __init__(self, labelled: Mapping[str, Utterance]) -> None:
        self.labelled = labelled

    def __getitem__(self, utterance_id: str) -> UnlabelledUtterance:
        return UnlabelledUtterance(self.labelled[utterance_id])

    def __contains__(self, utterance_id: object) -> bool:
        return utterance_id in self.labelled

    def __iter__(self) -> Iterator[str]:
        return iter(self.labelled)

    def __len__(self) -> int:
        return len(self.labelled)


@dataclass(frozen=True)
class ManifestInfo:
    """What made a manifest: kept beside it, and copied into every result."""

    corpus: str
    selection: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def write_manifest(path: Path, utterances: Iterable[Utterance], info: ManifestInfo) -> None:
    """Writes a manifest and its info file, both or neither.

    Raises
    ------
    DataError
        If there is no utterance, or two share an id.
    """
    entries: dict[str, dict[str, Any]] = {}
    for utterance in utterances:
        if utterance.id in entries:
            first = entries[utterance.id]["wav"]
            raise DataError(
                f"Two utterances share the id {utterance.id!r}: {first} and {utterance.wav}. Give each its own id."
            )
        held = {name: value for name in _FIELDS if (value := getattr(utterance, name)) is not None}
        entries[held.pop("id")] = held
    if not entries:
        raise DataError(f"No utterance is left for {path}. Widen the selection or the labels.")
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    counts = dict(sorted(Counter(entry["emotion"] for entry in entries.values()).items()))
    about = {**asdict(info), "num_utterances": len(entries), "num_per_emotion": counts}
    write_together({info_path(path): as_json(about), path: _as_json(entries)})


def _as_json(entries: Mapping[str, Mapping[str, Any]]) -> str:
    """What `as_json` gives, ten times as fast: with an indent, the library encodes in Python."""
    encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",\n  ", ": ")).encode
    texts = []
    for utterance_id, entry in entries.items():
        if any(isinstance(value, dict | list) for value in entry.values()):
            text = as_json(entry).rstrip("\n").replace("\n", "\n ")
        else:
            text = f"{{\n  {encode(entry)[1:-1]}\n }}"
        texts.append(f" {encode(utterance_id)}: {text}")
    return "{\n" + ",\n".join(texts) + "\n}\n"


def read_manifest(path: Path) -> dict[str, Utterance]:
    """Reads and checks a manifest.

    Returns
    -------
    dict
        id -> `Utterance`, in file order.

    Raises
    ------
    DataError
        If the file is missing, is not JSON, or an entry lacks a field or has an unknown one.
    """
    entries = read_json(path, "`emorec prepare`")
    if not entries:
        raise DataError(f"{path} holds no utterance. Run `emorec prepare` again.")
    utterances, checked = {}, set()
    for utterance_id, entry in entries.items():
        # What is checked are names and kinds, and most entries have those of others.
        form = (*entry, *map(type, entry.values())) if isinstance(entry, dict) else None
        if form not in checked:
            _check(utterance_id, entry, path)
            checked.add(form)
        utterances[utterance_id] = Utterance(id=utterance_id, **entry)
    return utterances


def _check(utterance_id: str, entry: Any, path: Path) -> None:
    missing = _NEEDED - entry.keys() if isinstance(entry, dict) else _NEEDED
    if missing:
        raise DataError(f"{path}: {utterance_id!r} lacks {', '.join(sorted(missing))}. Run `emorec prepare` again.")
    if not entry.keys() <= _KNOWN:
        unknown = min(entry.keys() - _KNOWN)
        raise DataError(f"{path}: {utterance_id!r} has the unknown field {unknown!r}. Remove it.")
    for name, value in entry.items():
        if not isinstance(value, _KINDS.get(name, _TEXT)):
            raise DataError(
                f"{path}: `{name}` of {utterance_id!r} must not be {value!r:.40}. Run `emorec prepare` again."
            )


def without_labels(utterances: Mapping[str, Utterance]) -> Mapping[str, UnlabelledUtterance]:
    """A manifest for whatever may not know the labels: speaker statistics, enrolment, features.

    Whoever picks a speaker's utterances by their emotion (only the neutral ones, say) uses the answers of those
    who are tested, and is refused.

    Example
    -------
    >>> blind = without_labels({"x_1": Utterance("x_1", "1.wav", 2.0, "sad", "T", speaker="x_03")})
    >>> blind["x_1"].speaker
    'x_03'
    >>> [key for key, item in blind.items() if item.emotion == "neutral"]
    Traceback (most recent call last):
    emorec_lobes.errors.ProtocolError: `emotion` of 'x_1' must stay unseen while features and speaker statistics are \
made, but is asked for. Choose utterances without looking at labels.
    """
    return _Unlabelled(with_labels(utterances))


def with_labels(utterances: Mapping[str, Any]) -> Mapping[str, Utterance]:
    """The manifest behind `without_labels`, for targets and scores and nothing else; any other as it is."""
    return utterances.labelled if isinstance(utterances, _Unlabelled) else utterances


def read_info(path: Path) -> ManifestInfo:
    """Reads the info file beside the manifest at `path`."""
    entries = read_json(info_path(path), "`emorec prepare`", needed=("corpus",))
    return ManifestInfo(**{item.name: entries[item.name] for item in fields(ManifestInfo) if item.name in entries})


def info_path(manifest: Path) -> Path:
    """The info file's path: manifest.json -> manifest.info.json."""
    return Path(manifest).with_suffix(".info.json")


def locate(path: str, data_folder: Path | str) -> Path:
    """A manifest path with its `{data_root}` filled in.

    Raises
    ------
    DataError
        If the path is empty, as `wav` is where a corpus is text alone.

    Example
    -------
    >>> str(locate("{data_root}/wav/a.wav", "/corpora/emodb"))
    '/corpora/emodb/wav/a.wav'
    """
    if not path:
        raise DataError("`wav` must be an audio file, but is empty: this corpus is text alone. Use features of text.")
    return Path(path.replace(DATA_ROOT, str(data_folder)))


def rooted(path: Path, data_folder: Path | str) -> str:
    """The manifest's form of an audio path, the inverse of `locate`: from `{data_root}` where it lies in `data_folder`.

    Example
    -------
    >>> rooted(Path("/corpora/emodb/wav/a.wav"), "/corpora/emodb")
    '{data_root}/wav/a.wav'
    >>> rooted(Path("/elsewhere/a.wav"), "/corpora/emodb")
    '/elsewhere/a.wav'
    """
    # `..` is folded, links are not followed: a corpus may link to where its audio lies.
    absolute, root = (Path(os.path.normpath(Path(each).absolute())) for each in (path, data_folder))
    if absolute.is_relative_to(root):
        return f"{DATA_ROOT}/{absolute.relative_to(root).as_posix()}"
    return absolute.as_posix()
