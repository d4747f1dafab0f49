"""The hyperparameter file of a trained fold, brought down to what inference needs."""

import io
from collections.abc import Iterable, Mapping
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode

from emorec_lobes.inference.check import read_nodes
from emorec_lobes.inference.tasks import Task

_STR, _MAP = "tag:yaml.org,2002:str", "tag:yaml.org,2002:map"
_PRETRAINER = "!new:emorec_lobes.inference.weights.SafetensorsPretrainer"


def slim_hparams(
    hparams_file: Path,
    task: Task,
    values: Mapping[str, str | float | int | None],
    replaced: Iterable[str] = (),
    used_layers: int | None = None,
) -> str:
    """The text of a model folder's hyperparameter file; nothing is built.

    Arguments
    ---------
    hparams_file : Path
        Of a finished fold: a resolved one.
    task : Task
        Says which keys stay, and which arguments of the network become null.
    values : mapping
        Further keys, in front of the network.
    replaced : iterable of str
        Of the keys that stay, those whose value `values` has in place of the file's.
    used_layers : int, optional
        How many layers the network's layer mix is given, where some were dropped.

    Returns
    -------
    str
        With `model`, `modules` and `pretrainer` last, as SpeechBrain expects them.
    """
    nodes = read_nodes(hparams_file)
    kept = {key: nodes[key] for key in ("labels", *task.keys) if key not in set(replaced)}
    model = _without(nodes["model"], task.dropped)
    if used_layers is not None:
        mix = next(value for key, value in model.value if key.value == "layer_mix")
        mix.value.append((_scalar("num_used"), _scalar(used_layers)))
    modules = MappingNode(_MAP, [(_scalar("model"), model)], flow_style=True)
    loadables = [(_scalar("loadables"), modules)]
    added = {key: _scalar(value) for key, value in values.items()}
    built = {"model": model, "modules": modules, "pretrainer": MappingNode(_PRETRAINER, loadables, flow_style=True)}
    pairs = [(_scalar(key), node) for key, node in {**kept, **added, **built}.items()]
    stream = io.StringIO()
    yaml = YAML(typ="safe", pure=True)
    yaml.width = 120
    yaml.serialize(MappingNode(_MAP, pairs, flow_style=False), stream)
    return f"# What emorec needs to answer with this model. Made by `emorec export`: {task.title}.\n{stream.getvalue()}"


def _without(model: Node, dropped: Mapping[str, None]) -> Node:
    """The network with some of its arguments null."""
    pairs = [(key, _scalar(None) if key.value in dropped else _in_lines(value)) for key, value in model.value]
    return MappingNode(str(model.tag), pairs, flow_style=False)


def _in_lines(node: Node) -> Node:
    """The node with each object below it on lines of its own."""
    if node.id == "mapping":
        node.flow_style = not node.value
        for _, value in node.value:
            _in_lines(value)
    return node


def _scalar(value: str | float | int | None) -> ScalarNode:
    kinds = {str: _STR, bool: "tag:yaml.org,2002:bool", int: "tag:yaml.org,2002:int", float: "tag:yaml.org,2002:float"}
    if value is None:
        return ScalarNode("tag:yaml.org,2002:null", "null")
    return ScalarNode(kinds[type(value)], value if isinstance(value, str) else repr(value))
