"""Reads a hyperparameter file that came from somewhere else, and builds only what is known to be safe.

Loading HyperPyYAML runs whatever its tags name. So the file is first read as data; every tag
in the part that will be built must be on a closed list of exact targets.
"""

import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

from hyperpyyaml import load_hyperpyyaml
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import Node

from emorec_lobes.errors import ConfigError

_MODELS = "emorec_lobes.models."
SAFE_TAGS = frozenset(
    {
        f"!new:{_MODELS}cross_representation.CrossRepresentation",
        f"!new:{_MODELS}cross_representation.ContentEncoder",
        f"!new:{_MODELS}layer_mix.LayerMix",
        f"!new:{_MODELS}classifier.EmotionClassifier",
        f"!new:{_MODELS}phone_encoder.PhoneEncoder",
        f"!new:{_MODELS}decoder.Decoder",
        f"!new:{_MODELS}decoder.PostNet",
        f"!new:{_MODELS}statistics_pooling.StatisticsPooling",
        f"!new:{_MODELS}emotion_network.EmotionNetwork",
        f"!new:{_MODELS}front_end.DisentangledFrontEnd",
        f"!new:{_MODELS}resnet.ResNet",
        f"!new:{_MODELS}vgg.VGG",
        f"!new:{_MODELS}lstm_front_end.LSTMFrontEnd",
        f"!name:{_MODELS}attribute_disentanglement.AttributeDisentanglement",
    }
)

_PLAIN_TAGS = frozenset(f"tag:yaml.org,2002:{name}" for name in ("map", "seq", "str", "int", "float", "bool", "null"))


def load_checked(path: Path, keys: Iterable[str]) -> dict[str, Any]:
    """Builds some keys of a resolved hyperparameter file, and nothing else in it.

    Arguments
    ---------
    path : Path
        A `hyperparams.yaml` as a run writes it.
    keys : iterable of str
        The keys wanted; each must be there.

    Returns
    -------
    dict
        Key -> value or object.

    Raises
    ------
    ConfigError
        If the file is missing or is not YAML, lacks a key, or a tag in them is not on the
        closed list. Nothing has been built then.
    """
    text, nodes = _read(path)
    missing = [key for key in keys if key not in nodes]
    if missing:
        raise ConfigError(f"{path} has no key `{missing[0]}`. Name the folder of a finished fold.")
    with _one_line(path):
        for key in keys:
            _check(path, key, nodes[key])
        return _build(text, keys)


def load_plain(path: Path) -> dict[str, Any]:
    """The keys of a resolved hyperparameter file that are data alone; those that would build something are left out.

    Raises
    ------
    ConfigError
        If the file is missing or is not YAML.
    """
    text, nodes = _read(path)
    with _one_line(path):
        return _build(text, [key for key, node in nodes.items() if _is_plain(node)])


def target_of(path: Path, key: str) -> str:
    """The dotted name of what a key would build, e.g. of `model`; empty where it builds nothing, or is missing."""
    _, nodes = _read(path)
    tag = str(nodes[key].tag) if key in nodes else ""
    return tag.removeprefix("!new:") if tag.startswith("!new:") else ""


def _read(path: Path) -> tuple[str, dict[str, Node]]:
    """The text, and the nodes of its keys; nothing is built."""
    try:
        text = Path(path).read_text(encoding="utf-8")
        root = YAML().compose(text)
    except (FileNotFoundError, NotADirectoryError):
        raise ConfigError(f"{path} does not exist. Name the folder of a finished fold.") from None
    except (YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{path} is not valid YAML: {' '.join(str(error).split())}.") from None
    if root is None or root.id != "mapping":
        raise ConfigError(f"{path} must hold keys and values. Name the folder of a finished fold.")
    return text, {key.value: value for key, value in root.value if key.id == "scalar"}


def _build(text: str, keys: Iterable[str]) -> dict[str, Any]:
    """Builds keys that have been checked, and does not look at the others."""
    tree = YAML().load(text)
    stream = io.StringIO()
    YAML().dump({key: tree[key] for key in keys}, stream)
    return load_hyperpyyaml(stream.getvalue())


@contextmanager
def _one_line(path: Path) -> Iterator[None]:
    """Whatever goes wrong in here is the file's fault: keys given twice, loops, arguments that no class takes."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError, YAMLError) as error:
        reason = " ".join(": ".join(str(part) for part in error.args).split()) or " ".join(str(error).split())
        raise ConfigError(f"{path} cannot be built: {reason}. Restore it, or train the fold again.") from error


def _is_plain(node: Node) -> bool:
    if str(node.tag) not in _PLAIN_TAGS:
        return False
    parts = chain.from_iterable(node.value) if node.id == "mapping" else node.value
    return node.id == "scalar" or all(map(_is_plain, parts))


def _check(path: Path, key: str, node: Node) -> None:
    tag = str(node.tag)
    if tag not in SAFE_TAGS and tag not in _PLAIN_TAGS:
        raise ConfigError(f"{path}: `{key}` would run {tag}, which is not on the list of safe targets. Do not use it.")
    if node.id == "mapping":
        for pair in node.value:
            for part in pair:
                _check(path, key, part)
    elif node.id == "sequence":
        for part in node.value:
            _check(path, key, part)
