"""Who may import whom: ARCHITECTURE's table, held by parsing every file."""

import ast
import graphlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = "emorec_lobes"
BASE = ("errors", "units", "labels", "files", "names")


@dataclass(frozen=True)
class Rule:
    """What one part may import; itself and the standard library go without saying."""

    internal: tuple[str, ...] = ()  # parts or modules of emorec_lobes
    at_top: tuple[str, ...] = ()  # other libraries, anywhere in the file
    inside: tuple[str, ...] = ()  # other libraries, inside a function or a constructor only
    internal_inside: tuple[str, ...] = ()  # parts, inside a function only


ANY = ("*",)
ARRAYS = ("numpy", "soundfile", "tqdm")
TENSORS = ("numpy", "torch", "torchaudio")
ALL_BELOW_EXPERIMENTS = (*BASE, "lengths", "scale", "corpora", "features", "dataio", "brains", "evaluation")

RULES = {
    "__init__": Rule(),
    "errors": Rule(),
    "units": Rule(),
    "labels": Rule(BASE),
    "files": Rule(BASE),
    "names": Rule(),
    "lengths": Rule(BASE, at_top=("torch",)),
    "ranks": Rule(at_top=("torch",)),
    "scale": Rule(BASE, inside=("ray", "fsspec")),
    "corpora": Rule(BASE, at_top=(*ARRAYS, "scipy"), inside=("espeakng_loader",)),
    "evaluation": Rule((*BASE, "corpora.rows"), at_top=("numpy", "scipy", "sklearn", "matplotlib")),
    "models": Rule(
        ("errors", "units", "labels", "lengths", "ranks"), at_top=("torch", "speechbrain.nnet", "speechbrain.lobes")
    ),
    "features": Rule(
        (*BASE, "lengths", "scale", "corpora.manifest"),
        at_top=(*TENSORS, "scipy", "soundfile", "safetensors", "tqdm"),
        inside=ANY,
    ),
    "dataio": Rule(
        (*BASE, "lengths", "corpora.manifest", "features.store"),
        at_top=(*TENSORS, "speechbrain.dataio", "speechbrain.utils"),
    ),
    "brains": Rule((*BASE, "lengths", "ranks", "dataio", "evaluation"), at_top=(*TENSORS, "speechbrain")),
    "experiments": Rule(ALL_BELOW_EXPERIMENTS, at_top=ANY),
    "inference": Rule((*BASE, "lengths", "scale", "features", "dataio", "evaluation"), at_top=ANY),
    "cli": Rule(BASE, inside=ANY, internal_inside=ANY),
    "server": Rule(BASE, inside=ANY, internal_inside=ANY),
    "recipes": Rule(("experiments", "brains"), at_top=("speechbrain", "torch")),
}


@dataclass(frozen=True)
class Import:
    """One imported name, dotted in full, and whether importing the file runs it."""

    name: str
    line: int
    at_top: bool


def imports_of(source: str, module: str) -> Iterator[Import]:
    """Every import of a file; `module` is its dotted name, against which relative ones are resolved."""
    yield from _imports(ast.parse(source), module, at_top=True)


def _imports(node: ast.AST, module: str, at_top: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield Import(alias.name, child.lineno, at_top)
        elif isinstance(child, ast.ImportFrom):
            base = child.module or ""
            if child.level:
                base = ".".join([*module.split(".")[: -child.level], *base.split(".")]).rstrip(".")
            for alias in child.names:
                yield Import(f"{base}.{alias.name}", child.lineno, at_top)
        lazy = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) or _is_type_checking(child)
        yield from _imports(child, module, at_top and not lazy)


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def _within(name: str, allowed: tuple[str, ...]) -> bool:
    return allowed == ANY or any(name == item or name.startswith(f"{item}.") for item in allowed)


def violations(source: str, module: str) -> list[str]:
    """The lines of a file that break the table; `module` is e.g. emorec_lobes.corpora.prepare or recipes.X.train."""
    words = module.split(".")
    part = "recipes" if words[0] == "recipes" else (words[1] if len(words) > 1 else "__init__")
    if part not in RULES:
        return [f"{module}: there is no rule for the part {part!r}"]
    rule = RULES[part]
    found = []
    for item in imports_of(source, module):
        words = item.name.split(".")
        if words[-1] == "*":
            found.append(f"{module}:{item.line} imports *")
        if words[0] == PACKAGE:
            name = ".".join(words[1:])
            allowed = _within(name, (part, *rule.internal)) or name.startswith("__version__")
            allowed = allowed or (not item.at_top and _within(name, rule.internal_inside))
        else:
            allowed = words[0] in sys.stdlib_module_names or _within(item.name, rule.at_top)
            allowed = allowed or (not item.at_top and _within(item.name, rule.inside))
        if not allowed:
            found.append(f"{module}:{item.line} imports {item.name}")
    return found


def _module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def _sources(folder: str) -> dict[str, str]:
    """Each module's text; a shipped model is data, whose only code is compared by `emorec verify`."""
    paths = (path for path in sorted((ROOT / folder).rglob("*.py")) if "shipped_models" not in path.parts)
    return {_module_of(path): path.read_text(encoding="utf-8") for path in paths}


@pytest.mark.parametrize("folder", [PACKAGE, "recipes"])
def test_every_file_imports_only_what_its_part_may(folder):
    assert [line for module, source in _sources(folder).items() for line in violations(source, module)] == []


def test_no_two_modules_need_each_other_at_import():
    modules = _sources(PACKAGE)
    graph = {}
    for module, source in modules.items():
        names = [item.name for item in imports_of(source, module) if item.at_top]
        nearest = (name if name in modules else name.rpartition(".")[0] for name in names)
        graph[module] = {name for name in nearest if name in modules and name not in (module, PACKAGE)}
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError


@pytest.mark.parametrize("part", ["corpora", "evaluation", "cli"])
def test_torch_is_not_loaded_by(part):
    modules = [name for name in _sources(PACKAGE) if name.startswith(f"{PACKAGE}.{part}")]
    script = f"import sys, {', '.join(modules)}; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("emorec_lobes.units", "import numpy"),
        ("emorec_lobes.errors", "from emorec_lobes.units import Seconds"),
        ("emorec_lobes.corpora.prepare", "import torch"),
        ("emorec_lobes.corpora.prepare", "def f():\n    import torch"),
        ("emorec_lobes.corpora.prepare", "from emorec_lobes.lengths import lens_to_mask"),
        ("emorec_lobes.corpora.prepare", "from ..features import store"),
        ("emorec_lobes.evaluation.metrics", "from torch import Tensor"),
        ("emorec_lobes.models.probe", "from emorec_lobes.files import write_json"),
        ("emorec_lobes.models.probe", "import speechbrain.dataio"),
        ("emorec_lobes.features.speech", "import transformers"),
        ("emorec_lobes.features.speech", "class A:\n    import librosa"),
        ("emorec_lobes.features.speech", "def f():\n    from emorec_lobes.models import probe"),
        ("emorec_lobes.features.extract", "from emorec_lobes.corpora.iemocap import read"),
        ("emorec_lobes.dataio.crops", "from emorec_lobes.features.extract import extract"),
        ("emorec_lobes.brains.ser", "from emorec_lobes.models.losses import masked_mse"),
        ("emorec_lobes.experiments.run", "from emorec_lobes.models import probe"),
        ("emorec_lobes.inference.recognizer", "from emorec_lobes.brains.ser import SERBrain"),
        ("emorec_lobes.cli.prepare", "from emorec_lobes.corpora.prepare import prepare"),
        ("emorec_lobes.cli.prepare", "import numpy"),
        ("emorec_lobes.cli.prepare", "from argparse import *"),
        ("emorec_lobes.novelty.thing", ""),
        ("recipes.IEMOCAP.train_ser", "from emorec_lobes.models import probe"),
        ("recipes.IEMOCAP.train_ter", "import train_ser"),
    ],
)
def test_the_check_finds_a_planted_violation(module, line):
    assert len(violations(line, module)) == 1


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("emorec_lobes.corpora.prepare", "import json\nfrom emorec_lobes.errors import DataError"),
        ("emorec_lobes.corpora.prepare", "from .manifest import Utterance"),
        ("emorec_lobes.features.speech", "def f():\n    import transformers"),
        ("emorec_lobes.features.speech", "if TYPE_CHECKING:\n    import transformers"),
        ("emorec_lobes.features.extract", "from emorec_lobes.corpora.manifest import Utterance"),
        ("emorec_lobes.cli.prepare", "def run(args):\n    from emorec_lobes.corpora.prepare import prepare"),
        ("emorec_lobes.models.probe", "import torch\nfrom speechbrain.nnet.linear import Linear"),
    ],
)
def test_the_check_lets_a_proper_import_pass(module, line):
    assert violations(line, module) == []
