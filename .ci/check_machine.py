"""Says what `make setup` would miss on this machine, one line each, before it downloads gigabytes.

It runs on the interpreter that is to make .venv, so it keeps to syntax that older ones read too.
"""

import importlib.util
import os
import shutil
import sys
import sysconfig
from pathlib import Path

OLDEST_PYTHON = (3, 11)


def missing() -> "list[str]":
    """The lines to print; none if the machine has all that is needed."""
    if sys.version_info < OLDEST_PYTHON:
        found = ".".join(str(number) for number in sys.version_info[:2])
        return [f"Python must be 3.11 or newer, but is {found} instead. Name another: make PYTHON=python3.12 setup"]
    lines = []
    if not (importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip")):
        lines.append("Python's venv module is missing. Install it, e.g. apt-get install python3-venv")
    compiler = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[0]
    if not shutil.which(compiler):
        lines.append(f"{compiler} is missing; it compiles webrtcvad. Install it, e.g. apt-get install gcc")
    header = Path(sysconfig.get_path("include")) / "Python.h"
    if not header.exists():
        lines.append(f"{header} is missing; webrtcvad includes it. Install it, e.g. apt-get install python3-dev")
    return lines


if __name__ == "__main__":
    found_missing = missing()
    for line in found_missing:
        print(f"emorec: {line}", file=sys.stderr)
    sys.exit(2 if found_missing else 0)
