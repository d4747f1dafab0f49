"""A hyperparameter file and its overrides, read without building anything in it."""

import difflib
import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hyperpyyaml import load_hyperpyyaml, resolve_references
from hyperpyyaml.core import recursive_update
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from emorec_lobes.errors import ConfigError
from emorec_lobes.experiments.values import check_values

# Where things lie and how fast they run: none of these changes what is trained, so a run may
# go on under other values; but for those of the features, whose names in the fingerprint tell them.
RUNTIME_KEYS = frozenset(
    {
        "data_folder",
        "output_folder",
        "feature_folder",
        "feature_dtype",
        "encoder_precision",
        "manifest",
        "split_list",
        "trials",
        "trials_folder",
        "fold",
        "num_workers",
        "eval_batch_size",
        "allow_incomplete",
        "extract_workers",
        "segments_per_forward",
        "loss_read_interval",
        "watch_test",
        "hparams_chosen_on",
        "tensorboard",
    }
)

# Names, whatever YAML takes them for: a folder may be called 2026.
TEXT_KEYS = frozenset(
    {"data_folder", "output_folder", "feature_folder", "manifest", "split_list", "trials", "trials_folder", "fold"}
)


@dataclass(frozen=True)
class Settings:
    """A hyperparameter file with its overrides."""

    path: Path
    source: str  # the file's text
    overrides: Mapping[str, Any]
    tree: Mapping[str, Any]  # overridden, references as written
    values: Mapping[str, Any]  # overridden, references resolved; tagged nodes as they are read

    def __getitem__(self, key: str) -> Any:
        if key not in self.values:
            raise ConfigError(f"{self.path} must have the key `{key}`. Add it; hparams/ser_small.yaml shows its form.")
        return self.values[key]

    def identity(self) -> dict[str, str]:
        """Each key that decides what is trained, with its value as text."""
        return {
            key: json.dumps(_plain(value), sort_keys=True)
            for key, value in self.tree.items()
            if key not in RUNTIME_KEYS
        }

    def fingerprint(self) -> str:
        """12 hex digits that two runs share exactly when they train the same thing."""
        return hashlib.sha256(json.dumps(self.identity(), sort_keys=True).encode()).hexdigest()[:12]

    def description(self, key: str) -> str:
        """What a key's object is made from, references resolved, as JSON text."""
        return json.dumps(_plain(self[key]), sort_keys=True)

    def resolved(self, **overrides: Any) -> str:
        """The YAML text with references resolved, under further overrides, e.g. `fold`."""
        return resolve_references(io.StringIO(self.source), {**self.overrides, **overrides}).getvalue()

    def build(self, **overrides: Any) -> dict[str, Any]:
        """Builds the objects of the file, under further overrides.

        Raises
        ------
        ConfigError
            If a tag names nothing that there is, or arguments that it does not take.
        """
        try:
            return load_hyperpyyaml(self.resolved(**overrides))
        except (ImportError, TypeError) as error:
            reason = " ".join(": ".join(str(part) for part in error.args).split())
            if not reason.startswith(("There is no such", "Invalid argument to")):
                raise
            raise ConfigError(f"{self.path} cannot be built: {reason}. Correct the tag or its arguments.") from error


def read_settings(path: Path, overrides: Mapping[str, Any] | str | None = None) -> Settings:
    """Reads a hyperparameter file.

    `authors: True` applies the file's `authors_switches`; an explicit override goes before them.

    Arguments
    ---------
    path : Path
    overrides : mapping or str, optional
        Key -> value, or the YAML text SpeechBrain makes of a command line.

    Raises
    ------
    ConfigError
        If the file is missing or is not YAML, an override names no key of it, or a key that
        has no value was not given one, or a value is not of the kind its key has.
    """
    path = Path(path)
    try:
        source = path.read_text(encoding="utf-8")
        tree = YAML().load(source)
    except FileNotFoundError:
        available = ", ".join(sorted(str(item) for item in Path("hparams").glob("*.yaml")))
        raise ConfigError(f"{path} does not exist. Hyperparameter files here: {available or 'none'}.") from None
    except (YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid YAML: {' '.join(str(error).split())}.") from None
    if not isinstance(tree, Mapping):
        raise ConfigError(f"{path} must hold keys and values. Name a hyperparameter file, e.g. hparams/ser_small.yaml.")
    given = _parse(overrides)
    for key in given:
        if key not in tree:
            near = difflib.get_close_matches(key, list(tree), n=1)
            hint = f"Did you mean --{near[0]}?" if near else "Its keys stand at the start of its lines."
            raise ConfigError(f"{path} has no key `{key}`. {hint}")
    if given.get("authors", tree.get("authors")):
        given = {**tree.get("authors_switches", {}), **given}
    for key, value in tree.items():
        if getattr(getattr(value, "tag", None), "value", None) == "!PLACEHOLDER" and given.get(key) is None:
            raise ConfigError(
                f"`{key}` must be given: add --{key} FOLDER. Without a corpus, `make demo` runs on one it makes itself."
            )
    given = {key: str(value) if key in TEXT_KEYS and value is not None else value for key, value in given.items()}
    check_values(tree, given)
    recursive_update(tree, given)
    try:
        text = resolve_references(io.StringIO(source), given).getvalue()
    except ValueError as error:
        raise ConfigError(f"{path} cannot be read: {error}. Correct its !ref.") from None
    return Settings(path, source, given, tree, YAML().load(text))


def _parse(overrides: Mapping[str, Any] | str | None) -> dict[str, Any]:
    if not isinstance(overrides, str):
        return dict(overrides or {})
    try:
        parsed = YAML(typ="safe").load(overrides)
    except YAMLError as error:
        raise ConfigError(f"An override cannot be read: {' '.join(str(error).split())}. Use --key value.") from None
    if not isinstance(parsed, dict | None):
        raise ConfigError(f"Overrides must be --key value, but are {overrides!r} instead.")
    return parsed or {}


def _plain(value: Any) -> Any:
    """A YAML node as plain lists, dicts and scalars, with its tag kept as text."""
    tag = getattr(getattr(value, "tag", None), "value", None)
    if isinstance(value, Mapping):
        plain: Any = {str(key): _plain(item) for key, item in value.items()}
    elif isinstance(value, list | tuple):
        plain = [_plain(item) for item in value]
    elif value is None or isinstance(value, bool | int | float | str):
        plain = value
    else:
        plain = str(getattr(value, "value", value))
    return {"tag": tag, "value": plain} if tag else plain
