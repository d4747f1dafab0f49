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
# What `make setup` takes at its peak, measured: 6.6 GB for .venv and 2.1 GB for the packages while they are unpacked.
# PyTorch without CUDA leaves out 3.5 GB of the former.
PEAK_GB = {"with CUDA": 8.7, "without CUDA": 5.2}


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
    return lines + short_of_disk()


def short_of_disk() -> "list[str]":
    """The line to print if .venv, which is not here yet, would not fit where it is to be made."""
    if Path(".venv").exists():
        return []
    build = "without CUDA" if os.environ.get("TORCH_INDEX") else "with CUDA"
    free = shutil.disk_usage(".").free / 1e9
    if free >= PEAK_GB[build]:
        return []
    cure = "Free some"
    if build == "with CUDA":
        cure += ", or without a GPU take less: make TORCH_INDEX=https://download.pytorch.org/whl/cpu setup"
    return [f"{Path.cwd()} has {free:.1f} GB of disk free; PyTorch {build} needs {PEAK_GB[build]} GB. {cure}"]


if __name__ == "__main__":
    found_missing = missing()
    for line in found_missing:
        print(f"emorec: {line}", file=sys.stderr)
    sys.exit(2 if found_missing else 0)
