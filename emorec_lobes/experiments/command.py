"""The command line of a run as its record keeps it: whoever reads a score can run it again."""

import hashlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from emorec_lobes.experiments.fingerprint import RUN_OPTIONS
from emorec_lobes.experiments.settings import RUNTIME_KEYS, Settings

_WORDS = {None: "null", float("inf"): ".inf", float("-inf"): "-.inf"}


def command(settings: Settings, run_opts: Any) -> dict[str, Any]:
    """What was asked for, without what changes no result: where things lie, the device, the number of workers.

    Arguments
    ---------
    settings : Settings
        A hyperparameter file with its overrides.
    run_opts : mapping
        SpeechBrain's, with `overridden_args`.

    Returns
    -------
    dict
        `recipe` (its path from `recipes/` on), `hparams` (file name), `overrides` (option -> YAML text, sorted), and
        `fingerprint`: 12 hex digits that runs share exactly when they differ in no hyperparameter but the seed.
    """
    switches = settings["authors_switches"] if settings.values.get("authors") else {}
    given = {
        key: value
        for key, value in settings.overrides.items()
        if key not in RUNTIME_KEYS and not (key in switches and switches[key] == value)
    }
    given |= {name: run_opts[name] for name in RUN_OPTIONS if name in run_opts.overridden_args}
    identity = {key: value for key, value in settings.identity().items() if key != "seed"}
    return {
        "recipe": recipe_path(sys.argv[0]),
        "hparams": settings.path.name,
        "overrides": {key: yaml_text(given[key]) for key in sorted(given)},
        "fingerprint": hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:12],
    }


def recipe_path(script: str) -> str:
    """A recipe's path in the repository, wherever that lies.

    Example
    -------
    >>> recipe_path("/home/me/emorec/recipes/IEMOCAP/train_ser.py")
    'recipes/IEMOCAP/train_ser.py'
    """
    parts = Path(script).parts
    return "/".join(parts[parts.index("recipes") :]) if "recipes" in parts else Path(script).name


def yaml_text(value: Any) -> str:
    """A value as one would type it after `--key`; a recipe reads the same value back.

    Example
    -------
    >>> yaml_text(True), yaml_text(["angry", "sad"]), yaml_text([["03", "08"]]), yaml_text(None)
    ('True', '[angry, sad]', '[["03", "08"]]', 'null')
    """
    text = _flow(value)
    try:
        reads_back = YAML(typ="safe").load(text) == value
    except YAMLError:
        reads_back = False
    # Where a plain word would be read as something else, "03" as 3, all words are quoted.
    return text if reads_back else json.dumps(value, ensure_ascii=False)


def _flow(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return _WORDS[value] if value in _WORDS else str(value)
