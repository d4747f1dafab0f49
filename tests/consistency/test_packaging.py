"""setup.py, constraints.txt, the Makefile and the documents say the same thing."""

import ast
import re
import runpy
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from emorec_lobes import __version__
from emorec_lobes.cli.main import COMMANDS

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("*/README.md"), *ROOT.glob("recipes/*/README.md")])


def _requirements() -> dict[str, Requirement]:
    """What setup.py asks for, extras included, by name."""
    literals = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in ast.parse((ROOT / "setup.py").read_text(encoding="utf-8")).body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.List | ast.Dict)
    }
    lines = [*literals["INSTALL_REQUIRES"], *(line for extra in literals["EXTRAS_REQUIRE"].values() for line in extra)]
    return {canonicalize_name(Requirement(line).name): Requirement(line) for line in lines}


def _pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): pin for name, pin in pairs}


def test_every_requirement_is_pinned_within_its_bounds():
    requirements, pins = _requirements(), _pins()
    assert set(pins) == set(requirements)
    assert [name for name, pin in pins.items() if not requirements[name].specifier.contains(pin)] == []


def test_every_requirement_has_a_lower_and_an_upper_bound():
    operators = {name: {bound.operator for bound in item.specifier} for name, item in _requirements().items()}
    assert {name: found for name, found in operators.items() if found != {">=", "<"}} == {}


def test_torch_and_torchaudio_are_of_one_minor_version():
    assert version("torch").split(".")[:2] == version("torchaudio").split(".")[:2]
    assert _requirements()["torch"].specifier == _requirements()["torchaudio"].specifier


def test_the_changelog_and_the_citation_know_this_version():
    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"version: {__version__}" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_document_names_only_commands_targets_and_files_that_exist(path):
    text = path.read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"(?:^    |`)make ([a-z]+)", text, re.MULTILINE)) - targets == set()
    assert set(re.findall(r"(?:^    |`)emorec ([a-z]+)", text, re.MULTILINE)) - set(COMMANDS) == set()
    links = [link for link in re.findall(r"\]\(([^)#]+)", text) if "://" not in link]
    assert [link for link in links if not (path.parent / link).exists()] == []


def test_recipes_and_hyperparameter_files_are_installed_with_the_package(tmp_path):
    command = [sys.executable, "setup.py", "--quiet", "build_py", "--build-lib", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    package = tmp_path / "emorec_lobes"
    for kind, pattern in (("recipes", "*/*.py"), ("hparams", "*.yaml"), ("papers", "*.yaml")):
        built = {str(path.relative_to(package)) for path in (package / kind).rglob("*.*")}
        assert built == {str(path.relative_to(ROOT)) for path in (ROOT / kind).glob(pattern)}


def test_the_machine_check_names_a_missing_compiler(tmp_path):
    command = [sys.executable, str(ROOT / ".ci" / "check_machine.py")]
    done = subprocess.run(command, env={"CC": str(tmp_path / "cc"), "PATH": ""}, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith(f"emorec: {tmp_path / 'cc'} is missing")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("index", "free", "lines"), [("", 8.6e9, 1), ("", 8.8e9, 0), ("a", 5.1e9, 1), ("a", 5.3e9, 0)])
def test_the_machine_check_says_when_the_environment_would_not_fit(tmp_path, monkeypatch, index, free, lines):
    check = runpy.run_path(str(ROOT / ".ci" / "check_machine.py"))["short_of_disk"]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TORCH_INDEX", index)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    found = check()
    assert len(found) == lines
    assert all(line.startswith(f"{tmp_path} has {free / 1e9:.1f} GB of disk free") for line in found)


def test_the_machine_check_lets_an_environment_that_is_there_be_renewed_on_a_full_disk(tmp_path, monkeypatch):
    check = runpy.run_path(str(ROOT / ".ci" / "check_machine.py"))["short_of_disk"]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
    assert len(check()) == 1
    Path(".venv").mkdir()
    assert check() == []
