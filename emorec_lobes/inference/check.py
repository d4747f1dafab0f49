"""Reads a hyperparameter file that came from somewhere else, and builds only what is known to be safe.

Loading HyperPyYAML runs whatever its tags name, and evaluates what stands in parentheses. So the file is first read as
data; every tag in the part that will be built must be on a closed list of exact targets; and what builds it knows
these tags and plain data, and no other.
"""

import importlib
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar

from hyperpyyaml import load_hyperpyyaml
from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode

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
        f"!new:{_MODELS}text_cnn.TextCNN",
        f"!new:{_MODELS}fusion.SpeechTextClassifier",
        f"!new:{_MODELS}fusion.ModalityEncoder",
        f"!apply:{_MODELS}combination.combination",
        "!new:emorec_lobes.inference.weights.SafetensorsPretrainer",
    }
)

_PLAIN_TAGS = frozenset(f"tag:yaml.org,2002:{name}" for name in ("map", "seq", "str", "int", "float", "bool", "null"))

# A file of ours has some hundred nodes in some kilobytes; aliases of aliases make few bytes into billions of nodes.
_MOST_BYTES = 1 << 20
_MOST_NODES = 20_000
# A larger model would take all memory before its weights could show that it is none of ours.
_MOST_IN_A_ROW = 100
_MOST = 1_000_000
_IN_A_ROW = frozenset({"num_convs", "num_lstm_layers", "num_layers", "blocks_per_stage"})


def load_checked(path: Path, keys: Iterable[str], trust: bool = False) -> dict[str, Any]:
    """Builds some keys of a resolved hyperparameter file, and nothing else in it.

    Arguments
    ---------
    path : Path
        A `hyperparams.yaml` as a run or `emorec export` writes it.
    keys : iterable of str
        The keys wanted; each must be there.
    trust : bool
        Whether to build whatever the file says: all of it is run then, as SpeechBrain does.

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
    path, keys = Path(path), list(keys)
    nodes = read_nodes(path)
    missing = [key for key in keys if key not in nodes]
    if missing:
        raise ConfigError(f"{path} has no key `{missing[0]}`. Name the folder of a finished fold, or of an export.")
    if trust:
        with _one_line(path), path.open(encoding="utf-8") as stream:
            built = load_hyperpyyaml(stream)
        return {key: built[key] for key in keys}
    for key in keys:
        _check(path, key, nodes[key])
    return _build(path, {key: nodes[key] for key in keys})


def load_plain(path: Path) -> dict[str, Any]:
    """The keys of a resolved hyperparameter file that are data alone; those that would build something are left out.

    Raises
    ------
    ConfigError
        If the file is missing or is not YAML.
    """
    return _build(path, {key: node for key, node in read_nodes(path).items() if _is_plain(node)})


def target_of(path: Path, key: str) -> str:
    """The dotted name of what a key would build, e.g. of `model`; empty where it builds nothing, or is missing."""
    nodes = read_nodes(path)
    tag = str(nodes[key].tag) if key in nodes else ""
    return tag.removeprefix("!new:") if tag.startswith("!new:") else ""


def check_whole_file(path: Path, trust: bool = False) -> int:
    """Checks every key of a file that someone else made; builds nothing.

    Arguments
    ---------
    path : Path
    trust : bool
        Whether any tag will do.

    Returns
    -------
    int
        The number of keys.

    Raises
    ------
    ConfigError
        As `load_checked`; or if a text in it is a path that leads out of the folder.
    """
    nodes = read_nodes(path)
    for key, node in nodes.items():
        if not trust:
            _check(path, key, node)
        for text in _texts(node):
            if leads_out(text):
                raise ConfigError(
                    f"{path}: `{short(key)}` must name nothing outside its folder, but has {short(text)!r} instead. "
                    "Do not use it."
                )
    return len(nodes)


def leads_out(name: str) -> bool:
    """Whether a name, taken for a path, would lead out of the folder it stands in, or to another machine.

    Example
    -------
    >>> [leads_out(name) for name in ("model.safetensors", "org/name", "../x", "/etc", "~me", "a/../../b", "http://a")]
    [False, False, True, True, True, True, True]
    """
    parts = re.split(r"[/\\]", name)
    return ".." in parts or parts[0] == "" < name or name.startswith("~") or ":/" in name or ":\\" in name


def short(text: object, length: int = 60) -> str:
    """A text from elsewhere as part of one line: no line ends, and cut where it is long.

    Example
    -------
    >>> short("a\\nb"), short("x" * 100, length=5)
    ('a b', 'xxxxx...')
    """
    line = " ".join(str(text).split())
    return line if len(line) <= length else f"{line[:length]}..."


def read_nodes(path: Path) -> dict[str, Node]:
    """The YAML nodes of a file's keys; nothing is built.

    Raises
    ------
    ConfigError
        If the file is missing, is not YAML, or is larger than any of ours.
    """
    path = Path(path)
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ConfigError(f"{path} must be a few kilobytes, but is {path.stat().st_size} bytes. Do not use it.")
        root = YAML(typ="safe", pure=True).compose(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise ConfigError(f"{path} does not exist. Name the folder of a finished fold, or of an export.") from None
    except (YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise ConfigError(f"{path} is not valid YAML: {short(error, 300)}.") from None
    if root is None or root.id != "mapping":
        raise ConfigError(f"{path} must hold keys and values. Name the folder of a finished fold, or of an export.")
    with _one_line(path):
        _count(root, {})
        nodes: dict[str, Node] = {}
        for key, node in root.value:
            if not (isinstance(key, ScalarNode) and key.value):
                raise ValueError("a key is not a word")
            if key.value in nodes:
                raise ValueError(f"duplicate key {short(key.value)!r}")
            nodes[key.value] = node
    return nodes


def _count(node: Node, known: dict[int, int]) -> int:
    """The nodes below a node, those of aliases as often as they stand there."""
    if id(node) not in known:
        known[id(node)] = _MOST_NODES  # until it is counted: what holds itself has no end
        known[id(node)] = 1 + sum(_count(each, known) for each in _children(node))
    if known[id(node)] > _MOST_NODES:
        raise ValueError("its aliases hold one another, or make too much of it")
    return known[id(node)]


def _children(node: Node) -> Iterator[Node]:
    """What a sequence or mapping holds, keys as well as values."""
    if node.id == "mapping":
        return chain.from_iterable(node.value)
    return iter(node.value if node.id == "sequence" else ())


def _build(path: Path, nodes: dict[str, Node]) -> dict[str, Any]:
    """Builds checked nodes; one that stands in several places becomes one object."""
    pairs = [(ScalarNode("tag:yaml.org,2002:str", key), node) for key, node in nodes.items()]
    yaml = YAML(typ="safe", pure=True)
    yaml.Constructor = _Constructor
    with _one_line(path):
        return yaml.constructor.construct_object(MappingNode("tag:yaml.org,2002:map", pairs), deep=True)


def _construct(constructor: SafeConstructor, node: Node) -> Any:
    """What HyperPyYAML makes of `!new:`, `!name:` and `!apply:`."""
    kind, _, name = str(node.tag).partition(":")
    module, _, attribute = name.rpartition(".")
    target = getattr(importlib.import_module(module), attribute)
    args = constructor.construct_sequence(node, deep=True) if node.id == "sequence" else ()
    kwargs = constructor.construct_mapping(node, deep=True) if node.id == "mapping" else {}
    return partial(target, *args, **kwargs) if kind == "!name" else target(*args, **kwargs)


class _Constructor(SafeConstructor):
    """Plain data and `SAFE_TAGS`; at any other tag it stops."""

    yaml_constructors: ClassVar = {**SafeConstructor.yaml_constructors, **dict.fromkeys(SAFE_TAGS, _construct)}


@contextmanager
def _one_line(path: Path) -> Iterator[None]:
    """Whatever goes wrong in here is the file's fault: keys given twice, loops, arguments that no class takes."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError, YAMLError) as error:
        reason = ": ".join(str(part) for part in error.args) or str(error)
        raise ConfigError(f"{path} cannot be built: {short(reason, 300)}. Restore it, or make it again.") from error


def _is_plain(node: Node) -> bool:
    if node.id == "scalar":
        return str(node.tag) in _PLAIN_TAGS and not _is_evaluated(node)
    return str(node.tag) in _PLAIN_TAGS and all(map(_is_plain, _children(node)))


def _is_evaluated(node: Node) -> bool:
    """HyperPyYAML reads `(...)` with a loader that runs any Python tag inside."""
    return node.id == "scalar" and node.value.lstrip().startswith("(")


def _texts(node: Node) -> Iterator[str]:
    if node.id == "scalar":
        yield node.value
    for child in _children(node):
        yield from _texts(child)


def _check(path: Path, key: str, node: Node) -> None:
    tag = str(node.tag)
    if (tag not in SAFE_TAGS and tag not in _PLAIN_TAGS) or _is_evaluated(node):
        what = short(tag if tag not in _PLAIN_TAGS else node.value)
        raise ConfigError(
            f"{path}: `{short(key)}` would run {what}, which is not on the list of safe targets. Do not use it."
        )
    _check_size(path, key, node)
    for child in _children(node):
        _check(path, key, child)


def _check_size(path: Path, key: str, node: Node) -> None:
    """Refuses numbers that no model of ours has: of modules in a row, of entries of a list, and of all else."""
    in_a_row = [len(node.value) if node.id == "sequence" else 0]
    if node.id == "mapping":
        in_a_row += [_integer(value) for name, value in node.value if name.id == "scalar" and name.value in _IN_A_ROW]
    if max(in_a_row) > _MOST_IN_A_ROW or _integer(node) > _MOST:
        raise ConfigError(f"{path}: `{short(key)}` has larger numbers than any model of ours. Do not use it.")


def _integer(node: Node) -> int:
    """The number a node stands for, 0 where it is none, and the largest where it is written in an unusual way."""
    if str(node.tag) != "tag:yaml.org,2002:int":
        return 0
    digits = node.value.lstrip("+-")
    return int(digits) if digits.isdecimal() and len(digits) < 20 else sys.maxsize
