"""House rules on the code itself: sizes, docstrings, and what is written nowhere."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAX_LINES = {"emorec_lobes/**/*.py": 300, "benchmarks/*.py": 300, "recipes/**/*.py": 59, "hparams/*.yaml": 120}
MUTABLE_MAKERS = {"list", "dict", "set", "defaultdict", "Counter", "deque"}


def _files(*patterns: str) -> list[Path]:
    return sorted(path for pattern in patterns for path in ROOT.glob(pattern))


SOURCES = _files("emorec_lobes/**/*.py", "recipes/**/*.py", "benchmarks/*.py")
EVERYWHERE = [*SOURCES, *_files("setup.py", "tests/**/*.py", ".ci/*.py")]


def undocumented(source: str) -> list[str]:
    """Public classes, functions and methods without a docstring; what is nested in a function is not public."""
    return list(_undocumented(ast.parse(source), ""))


def _undocumented(parent: ast.AST, prefix: str) -> Iterator[str]:
    for node in ast.iter_child_nodes(parent):
        if isinstance(node, ast.If | ast.Try):
            yield from _undocumented(node, prefix)
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or node.name.startswith("_"):
            continue
        if not ast.get_docstring(node):
            yield f"{prefix}{node.name}"
        if isinstance(node, ast.ClassDef):
            yield from _undocumented(node, f"{node.name}.")


def forbidden(source: str, is_test: bool = False) -> list[str]:
    """What the house forbids, each as `line: what`."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Assert) and not is_test:
            found.append(f"{node.lineno}: assert")
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            defaults = [*node.args.defaults, *(item for item in node.args.kw_defaults if item)]
            found += [f"{item.lineno}: mutable default" for item in defaults if _is_mutable(item)]
        if isinstance(node, ast.ExceptHandler) and node.type is None:
            found.append(f"{node.lineno}: bare except")
        elif isinstance(node, ast.ExceptHandler) and _is_broad(node.type) and _does_nothing(node.body):
            found.append(f"{node.lineno}: silent except")
    return found


def _is_mutable(node: ast.expr) -> bool:
    literals = ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp | ast.SetComp
    return isinstance(node, literals) or (
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MUTABLE_MAKERS
    )


def _is_broad(node: ast.expr) -> bool:
    types = node.elts if isinstance(node, ast.Tuple) else [node]
    return any(isinstance(item, ast.Name) and item.id in ("Exception", "BaseException") for item in types)


def _does_nothing(body: list[ast.stmt]) -> bool:
    return all(isinstance(item, ast.Pass | ast.Continue | ast.Expr) for item in body) and not any(
        isinstance(item, ast.Expr) and isinstance(item.value, ast.Call) for item in body
    )


def test_no_file_is_longer_than_its_kind_may_be():
    too_long = []
    for pattern, limit in MAX_LINES.items():
        for path in _files(pattern):
            num_lines = len(path.read_text(encoding="utf-8").splitlines())
            if num_lines > limit:
                too_long.append(f"{path.relative_to(ROOT)}: {num_lines} lines, at most {limit}")
    assert too_long == []


def test_everything_public_has_a_docstring():
    package = _files("emorec_lobes/**/*.py")
    assert len(package) > 5
    missing = {str(path.relative_to(ROOT)): undocumented(path.read_text(encoding="utf-8")) for path in package}
    assert {name: names for name, names in missing.items() if names} == {}


def test_what_the_house_forbids_is_written_nowhere():
    found = {}
    for path in EVERYWHERE:
        is_test = path.is_relative_to(ROOT / "tests")
        lines = forbidden(path.read_text(encoding="utf-8"), is_test)
        if lines:
            found[str(path.relative_to(ROOT))] = lines
    assert found == {}


def test_no_file_is_called_utils():
    assert [path for path in EVERYWHERE if path.stem in ("util", "utils", "helpers", "misc", "common")] == []


def test_no_file_is_a_link():
    assert [path for path in [*EVERYWHERE, *_files("hparams/*")] if path.is_symlink()] == []


@pytest.mark.parametrize(
    "source",
    ["def f(): pass", "class A:\n    def f(self): pass", "async def f(): pass", "if True:\n    def f(): pass"],
)
def test_the_check_finds_a_missing_docstring(source):
    assert undocumented(source)


@pytest.mark.parametrize(
    "source", ['def f():\n    "Doc."\n    def g(): pass', "def _f(): pass", "class _A:\n    def f(self): pass"]
)
def test_the_check_asks_no_docstring_of_what_is_private(source):
    assert undocumented(source) == []


@pytest.mark.parametrize(
    "source",
    [
        "assert True",
        "def f(a=[]): pass",
        "def f(*, a={}): pass",
        "def f(a=list()): pass",
        "f = lambda a=set(): a",
        "try:\n    f()\nexcept:\n    raise",
        "try:\n    f()\nexcept Exception:\n    pass",
        "try:\n    f()\nexcept (ValueError, Exception):\n    ...",
        "for a in b:\n    try:\n        f()\n    except BaseException:\n        continue",
    ],
)
def test_the_check_finds_what_is_forbidden(source):
    assert len(forbidden(source)) == 1


@pytest.mark.parametrize(
    "source",
    [
        "def f(a=(), b=None): pass",
        "try:\n    f()\nexcept ValueError:\n    pass",
        "try:\n    f()\nexcept Exception as error:\n    log(error)",
    ],
)
def test_the_check_lets_proper_code_pass(source):
    assert forbidden(source) == []


def test_the_check_lets_a_test_assert():
    assert forbidden("assert True", is_test=True) == []
