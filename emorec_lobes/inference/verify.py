"""Whether a model folder is as `emorec export` made it; told without running anything in it."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from emorec_lobes.errors import ConfigError, DataError
from emorec_lobes.files import read_json
from emorec_lobes.inference.check import check_whole_file, leads_out, load_checked, short
from emorec_lobes.inference.tasks import task_of
from emorec_lobes.inference.weights import WEIGHTS
from emorec_lobes.labels import CANONICAL

HPARAMS = "hyperparams.yaml"
LABEL_ENCODER = "label_encoder.txt"
CUSTOM = "custom.py"
RECORD = "record.json"
README = "README.md"
CHECKSUMS = "checksums.json"
ONNX = "model.onnx"
PROGRAM = "model.pt2"
NEEDED = (HPARAMS, WEIGHTS, LABEL_ENCODER, CUSTOM, RECORD, README)
OPTIONAL = (ONNX, PROGRAM)
FILES = (*NEEDED, *OPTIONAL, CHECKSUMS)

# What SpeechBrain's `foreign_class` imports; a folder with any other text here is refused.
CUSTOM_TEXT = '''"""Lets SpeechBrain's `foreign_class` find the class that answers; emorec must be installed."""

from emorec_lobes.inference.recognizer import EmotionRecognizer

__all__ = ["EmotionRecognizer"]
'''
_MOST_BYTES = 1 << 20
_CURE = "Get the folder again, or export it anew."


def verify_files(folder: Path, trust: bool = False) -> Iterator[str]:
    """Checks everything about a model folder but whether its weights fit; reads files, and builds nothing.

    Arguments
    ---------
    folder : Path
    trust : bool
        Whether the hyperparameter file may name any class and function.

    Yields
    ------
    str
        What was found to be right, a line each.

    Raises
    ------
    ConfigError, DataError
        At the first fault.
    """
    folder = Path(folder)
    checksums = _listed(folder)
    yield f"{CHECKSUMS}: {len(checksums)} files, and no other"
    for name, expected in checksums.items():
        found = checksum(folder / name)
        if found != expected:
            raise DataError(f"{folder / name} is not the file that was exported: its checksum differs. {_CURE}")
    yield f"checksums: sha256 of {len(checksums)} files as exported"
    num_keys = check_whole_file(folder / HPARAMS, trust)
    task = task_of(folder / HPARAMS)
    yield f"{HPARAMS}: {num_keys} keys, {'trusted, not checked' if trust else 'every tag on the list'}; {task.title}"
    if (folder / CUSTOM).read_bytes() != CUSTOM_TEXT.encode():
        raise ConfigError(f"{folder / CUSTOM} must be the file that `emorec export` writes, but is not. {_CURE}")
    yield f"{CUSTOM}: as emorec writes it"
    labels = _labels(folder)
    yield f"{LABEL_ENCODER}: {', '.join(labels)}"
    read_json(folder / RECORD, "`emorec export`")


def label_encoder_text(labels: Iterable[str]) -> str:
    """The classes as SpeechBrain's `CategoricalEncoder` keeps them.

    Example
    -------
    >>> print(label_encoder_text(["angry", "sad"]), end="")
    'angry' => 0
    'sad' => 1
    ================
    'starting_index' => 0
    """
    lines = [f"{label!r} => {index}" for index, label in enumerate(labels)]
    return "\n".join([*lines, "=" * 16, "'starting_index' => 0"]) + "\n"


def checksum(path: Path) -> str:
    """The sha256 of a file, in hex digits."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _listed(folder: Path) -> Mapping[str, Any]:
    """The checksums; each file they name is there, in the folder itself, and none beside them."""
    _check_place(folder, CHECKSUMS)
    checksums = read_json(folder / CHECKSUMS, "`emorec export`")
    for name in checksums:
        if name not in (*NEEDED, *OPTIONAL):
            where = "leads out of the folder" if leads_out(name) else "is no file of a model folder"
            raise ConfigError(f"{folder / CHECKSUMS}: {short(name)!r} {where}. Do not use it.")
    for name in NEEDED:
        if name not in checksums:
            raise ConfigError(f"{folder / CHECKSUMS} must list {name}, but does not. {_CURE}")
    for name in checksums:
        _check_place(folder, name)
    # What begins with a dot is git's and the hub's.
    others = sorted(path.name for path in folder.iterdir() if path.name not in {*checksums, CHECKSUMS})
    others = [name for name in others if not name.startswith(".")]
    if others:
        raise ConfigError(f"{folder} must hold what was exported and no more, but has {short(others[0])!r}. Delete it.")
    return checksums


def _check_place(folder: Path, name: str) -> None:
    """Refuses what is missing, is no file, or is a link to somewhere else than the hub's own cache."""
    path = folder / name
    if not path.exists():
        raise DataError(f"{path} does not exist. {_CURE}")
    allowed = [folder.resolve()]
    if folder.resolve().parent.name == "snapshots":  # where the hub's cache links to the contents
        allowed.append(folder.resolve().parent.parent / "blobs")
    if not path.is_file() or not any(path.resolve().is_relative_to(place) for place in allowed):
        raise ConfigError(f"{path} must be a file in the folder itself, but is not. Do not use it.")
    if path.suffix == ".json" and path.stat().st_size > _MOST_BYTES:
        raise ConfigError(f"{path} must be a few kilobytes, but is {path.stat().st_size} bytes. Do not use it.")


def _labels(folder: Path) -> list[str]:
    labels = load_checked(folder / HPARAMS, ["labels"])["labels"]
    if not isinstance(labels, list) or not labels or not set(map(str, labels)) <= set(CANONICAL):
        raise ConfigError(f"{folder / HPARAMS}: `labels` must be names of emotions, but are not. {_CURE}")
    if (folder / LABEL_ENCODER).read_bytes() != label_encoder_text(labels).encode():
        raise ConfigError(f"{folder / LABEL_ENCODER} must list the labels of {HPARAMS}, but does not. {_CURE}")
    return labels
