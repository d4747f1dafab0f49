"""What a tuning may try: for each key of a hyperparameter file a range or a few values, as a user writes them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from emorec_lobes.errors import ConfigError, not_one_of
from emorec_lobes.experiments.command import yaml_text
from emorec_lobes.experiments.settings import RUNTIME_KEYS, Settings

# What says which utterances are scored, and how: scores of trials that differ in these cannot be compared. `refit`
# comes after validation, and a seed is no hyperparameter.
FIXED_KEYS = frozenset(
    {
        "seed",
        "corpus",
        "selection",
        "corpus_options",
        "labels",
        "num_classes",
        "protocol",
        "validation_score",
        "scheme",
        "num_groups",
        "speaker_groups",
        "refit",
    }
)

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_RANGE = re.compile(rf"({_NUMBER})\.\.({_NUMBER})(:log)?")
_DIGITS = 4  # of a number that is tried: what differs less is noise
_SHAPE = "LOW..HIGH, LOW..HIGH:log, or two values or more such as A,B"


@dataclass(frozen=True)
class Range:
    """All numbers between two, both included."""

    low: float
    high: float
    log: bool  # whether each decade is as likely as the next
    whole: bool

    def __str__(self) -> str:
        ends = (f"{int(end)}" if self.whole else yaml_text(end) for end in (self.low, self.high))
        return f"{'..'.join(ends)}{':log' if self.log else ''}"

    def texts(self) -> list[str]:
        """The ends as overrides."""
        return [self.text(self.low), self.text(self.high)]

    def text(self, number: float) -> str:
        """A number of the range as an override, rounded."""
        if self.whole:
            return str(int(number))
        return yaml_text(min(max(float(f"{number:.{_DIGITS}g}"), self.low), self.high))


@dataclass(frozen=True)
class Choice:
    """A few values, as overrides."""

    values: tuple[str, ...]

    def __str__(self) -> str:
        return ", ".join(self.values)

    def texts(self) -> list[str]:
        """The values."""
        return list(self.values)

    def text(self, value: str) -> str:
        """A value as an override."""
        return value


def read_space(tries: Sequence[str], file: Path | None, settings: Settings) -> dict[str, Range | Choice]:
    """What to try for each key, from the command line and from a file.

    Arguments
    ---------
    tries : sequence of str
        Each `KEY=LOW..HIGH`, `KEY=LOW..HIGH:log`, or `KEY=A,B,C`.
    file : Path, optional
        YAML: a key -> the same as text, or a list of values.
    settings : Settings
        Has the keys; where one is not a whole number, its range is not of whole numbers either.

    Raises
    ------
    ConfigError
        If it is not such a text, a key is none of the file's or decides what is scored, or there is nothing to try.
    """
    given = _read_file(file) if file else {}
    for each in tries:
        key, sign, wanted = each.partition("=")
        if not sign:
            raise ConfigError(f"`--try` must be KEY={_SHAPE}, but is {each!r} instead. Mend it.")
        if key in given:
            raise ConfigError(f"`{key}` must be given once to try, but is twice. Leave one out.")
        given[key] = wanted
    if not given:
        raise ConfigError("There must be something to try, but is nothing. Add e.g. --try lr=1e-5..1e-2:log.")
    for key in given:
        if key not in settings.tree:
            raise ConfigError(not_one_of("key to try", key, sorted(settings.tree.keys() - FIXED_KEYS - RUNTIME_KEYS)))
        if key in FIXED_KEYS | RUNTIME_KEYS:
            why = "changes nothing that is trained" if key in RUNTIME_KEYS else "decides what is scored, or how"
            raise ConfigError(f"`{key}` must be the same in all trials, since it {why}, but is tried. Leave it out.")
        if key in settings.overrides:
            raise ConfigError(f"`{key}` must be tried or given, but is both. Leave out --{key}.")
    return {key: parse(key, wanted, whole=not isinstance(settings[key], float)) for key, wanted in given.items()}


def parse(key: str, wanted: Any, whole: bool = True) -> Range | Choice:
    """What to try for one key.

    Arguments
    ---------
    key : str
        For the message.
    wanted : str or list
        As `read_space`.
    whole : bool
        Whether between two whole numbers only whole ones are tried.

    Raises
    ------
    ConfigError
        If it is not such a text, or holds nothing or the same twice.

    Example
    -------
    >>> parse("lr", "1e-5..1e-2:log")
    Range(low=1e-05, high=0.01, log=True, whole=False)
    >>> parse("c_values", "[0.1],[1.0]"), parse("normalise", ["none", "speaker"])
    (Choice(values=('[0.1]', '[1.0]')), Choice(values=('none', 'speaker')))
    """
    found = _RANGE.fullmatch(wanted.strip()) if isinstance(wanted, str) else None
    if found:
        ends = found.group(1, 2)
        low, high = map(float, ends)
        are_whole = whole and all(re.fullmatch(r"[-+]?\d+", end) for end in ends)
        if not low < high or high == float("inf"):
            raise ConfigError(f"The range of `{key}` must go up, but is {wanted!r} instead. Mend it.")
        if found.group(3) and low <= 0:
            raise ConfigError(f"The range of `{key}` must begin above 0 for :log, but is {wanted!r} instead. Mend it.")
        return Range(low, high, bool(found.group(3)), are_whole)
    values = tuple(yaml_text(value) for value in (_listed(wanted) or ()))
    if len(values) < 2 or len(set(values)) < len(values):
        raise ConfigError(f"`{key}` must be tried on {_SHAPE}, all different, but is {wanted!r} instead. Mend it.")
    return Choice(values)


def _listed(wanted: Any) -> list[Any] | None:
    if not isinstance(wanted, str):
        return wanted if isinstance(wanted, list) else None
    try:
        return YAML(typ="safe").load(f"[{wanted}]")
    except YAMLError:
        return None


def _read_file(path: Path) -> dict[str, Any]:
    try:
        content = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path} does not exist. Write lines such as `lr: 1e-5..1e-2:log` into it.") from None
    except (YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid YAML: {' '.join(str(error).split())}.") from None
    if not isinstance(content, Mapping) or not all(isinstance(key, str) for key in content):
        raise ConfigError(f"{path} must hold lines such as `lr: 1e-5..1e-2:log`, but does not. Mend it.")
    return dict(content)
