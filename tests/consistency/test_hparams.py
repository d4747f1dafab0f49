"""Each hyperparameter file is listed in a README, seeds first, and has no key that nothing reads."""

import ast
import re
from pathlib import Path

import pytest
from speechbrain.utils.run_opts import RunOptions

ROOT = Path(__file__).parents[2]
READERS = ("recipes", "emorec_lobes/experiments", "emorec_lobes/brains", "emorec_lobes/dataio")


def keys_of(text: str) -> list[str]:
    """The top-level keys of a YAML text, in order."""
    return re.findall(r"^(\w+):", text, re.MULTILINE)


def keys_referenced(text: str) -> set[str]:
    """The keys that `!ref <key>`, `!copy <key[part]>` and the like name; comments do not count."""
    code = re.sub(r"(^|\s)#.*", "", text)
    return set(re.findall(r"<(\w+)[^<>]*>", code))


def keys_read(source: str) -> set[str]:
    """The keys Python code reads: `anything["key"]`, `anything.get("key")`, `hparams.key`, `self.hparams.key`."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
            found.add(node.slice.value)
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value).split(".")[-1] == "hparams":
            found.add(node.attr)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get":
            found.update(item.value for item in node.args[:1] if isinstance(item, ast.Constant))
    return found


def unused(text: str, read: set[str]) -> list[str]:
    """The keys of a YAML text that neither it nor the code that reads it uses."""
    used = keys_referenced(text) | read
    return [key for key in keys_of(text) if key not in used and not key.startswith("__")]


HPARAMS = sorted((ROOT / "hparams").glob("*.yaml"))
hparams_file = pytest.mark.parametrize("path", HPARAMS, ids=lambda path: path.stem)


@hparams_file
def test_a_recipe_readme_names_it(path):
    readmes = [readme.read_text(encoding="utf-8") for readme in (ROOT / "recipes").glob("*/README.md")]
    assert any(path.name in text or f"`{path.stem}`" in text for text in readmes)


@hparams_file
def test_it_seeds_before_anything_else(path):
    assert keys_of(path.read_text(encoding="utf-8"))[:2] == ["seed", "__set_seed"]


@hparams_file
def test_no_key_stands_twice(path):
    keys = keys_of(path.read_text(encoding="utf-8"))
    assert sorted(keys) == sorted(set(keys))


@hparams_file
def test_every_key_is_used(path):
    sources = [source for folder in READERS for source in (ROOT / folder).rglob("*.py")]
    read = set().union(*(keys_read(source.read_text(encoding="utf-8")) for source in sources))
    read |= set(RunOptions().as_dict())  # SpeechBrain's Brain takes its options from a YAML too
    assert unused(path.read_text(encoding="utf-8"), read) == []


def test_the_check_finds_an_unused_key():
    text = "seed: 1\n__set_seed: !apply:f [!ref <seed>]\nwidth: 3\n# !ref <width>\nmodel: !new:M\n  depth: 2\n"
    assert unused(text, {"model"}) == ["width"]


@pytest.mark.parametrize(
    "text", ["a: 1\nb: !ref <a>", "a: 1\nb: !ref <a>/<c>", "a: 1\nb: !ref <a[x]>", "a: 1\nb: !copy <a.x>"]
)
def test_a_reference_uses_its_key(text):
    assert unused(text, {"b"}) == []


@pytest.mark.parametrize(
    "source", ['hparams["a"]', "self.hparams.a", "hparams.a", 'settings.get("a")', 'f(settings["a"])']
)
def test_code_that_reads_a_key_uses_it(source):
    assert keys_read(source) == {"a"}


def test_a_mere_mention_is_no_use():
    assert keys_read('KEYS = {"a"}\nmodel.b') == set()
