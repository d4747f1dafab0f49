"""Runs benchmarks, keeps what each printed as a record, and writes RESULTS.md from all records.

    python benchmarks/run.py [NAME [OPTION ...]]

Without a name the short form of every benchmark runs (`make bench`); with one, that benchmark with its options. A
record is replaced by the next run of the same command.
"""

import json
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from emorec_lobes.errors import ConfigError, UnavailableError, exit_code_of, not_one_of
from emorec_lobes.evaluation.report import versions
from emorec_lobes.files import read_json, write_atomically

HERE = Path(__file__).parent
RECORDS, RESULTS = HERE / "records", HERE / "RESULTS.md"
LIBRARIES = ("torch", "torchaudio", "speechbrain", "transformers", "numpy", "ray", "onnxruntime")
INTRODUCTION = """Written by `benchmarks/run.py` from `records/`; [README.md](README.md) says what each table shows.
A ratio is of one run, in which both sides took turns; seconds depend on the machine, and on what else it did (load).
"""

Record = Mapping[str, Any]


def names() -> list[str]:
    """The benchmarks beside this file."""
    return sorted(path.stem for path in HERE.glob("*.py") if path != Path(__file__) and not path.name.startswith("_"))


def machine() -> dict[str, Any]:
    """What the figures were taken on."""
    processor = platform.processor() or platform.machine()
    described = Path("/proc/cpuinfo")
    if described.is_file():
        found = re.search(r"^model name\s*:\s*(.*)", described.read_text(encoding="utf-8"), re.MULTILINE)
        processor = found[1] if found else processor
    return {
        "processor": processor,
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9),
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "load": round(os.getloadavg()[0], 1),
    }


def measured(name: str, options: Sequence[str]) -> Record:
    """Runs one benchmark, shows what it prints, and gives its record.

    Raises
    ------
    UnavailableError
        If it fails; its own line stands above.
    """
    surroundings, start, lines = machine(), time.monotonic(), []
    command = [sys.executable, str(HERE / f"{name}.py"), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        for line in running.stdout:
            print(line, end="", flush=True)
            lines.append(line.rstrip())
    if running.returncode:
        raise UnavailableError(f"{name}.py must end well, but its exit code is {running.returncode}. Run it alone.")
    return {
        "command": " ".join(["python", f"benchmarks/{name}.py", *options]),
        "seconds": round(time.monotonic() - start),
        "machine": surroundings,
        "versions": versions(LIBRARIES),
        "output": lines,
    }


def file_of(name: str, options: Sequence[str]) -> Path:
    """Where the record of a command is kept.

    Example
    -------
    >>> file_of("serve", ["--clients", "1", "32"]).name
    'serve.clients-1-32.json'
    """
    told = re.sub(r"[^\w.]+", "-", " ".join(options)).strip("-")
    return RECORDS / (f"{name}.{told}.json" if told else f"{name}.json")


def page(records: Sequence[tuple[str, Record]]) -> str:
    """RESULTS.md: benchmarks in the order of their names, and of each its records."""
    parts, last = [f"# Results\n\n{INTRODUCTION}"], None
    for name, record in records:
        heading = [] if name == last else [f"## {name}.py", ""]
        of, used = record["machine"], ", ".join(f"{key} {value}" for key, value in record["versions"].items())
        about = (
            f"{record['seconds']} s on {of['processor']}, {of['cores']} cores, {of['memory_gb']} GB, {of['system']}; "
            f"load before it {of['load']}; {used}."
        )
        parts.append("\n".join([*heading, f"    {record['command']}", "", *spaced(record["output"]), "", about, ""]))
        last = name
    return "\n".join(parts)


def spaced(lines: Sequence[str]) -> list[str]:
    """The lines as Markdown: a table stands between empty lines.

    Example
    -------
    >>> spaced(["of 3 rounds", "| a |", "|--:|", "| 1 |", "done"])
    ['of 3 rounds', '', '| a |', '|--:|', '| 1 |', '', 'done']
    """
    found: list[str] = []
    for line in lines:
        if found and found[-1] and line and line.startswith("|") != found[-1].startswith("|"):
            found.append("")
        found.append(line)
    return found


def kept() -> list[tuple[str, Record]]:
    """All records, in the order of the page."""
    paths = sorted(RECORDS.glob("*.json"), key=lambda path: path.name.split("."))
    needed = ("command", "seconds", "machine", "versions", "output")
    return [(path.name.partition(".")[0], read_json(path, "benchmarks/run.py", needed)) for path in paths]


def run(argv: Sequence[str]) -> int:
    """Measures, keeps and writes."""
    if argv and argv[0] in ("-h", "--help"):
        print(__doc__)
        return 0
    if argv and argv[0] not in names():
        raise ConfigError(not_one_of("benchmark", argv[0], names()))
    for name in argv[:1] or names():
        print(f"== {name}", flush=True)
        record = measured(name, argv[1:])
        RECORDS.mkdir(exist_ok=True)
        write_atomically(file_of(name, argv[1:]), json.dumps(record, indent=1) + "\n")
        write_atomically(RESULTS, page(kept()))
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code."""
    return exit_code_of("benchmarks", lambda: run(sys.argv[1:] if argv is None else argv))


if __name__ == "__main__":
    sys.exit(main())
