"""Systems: the runs of one command under several seeds, read from their results.json."""

import hashlib
import json
import re
import shlex
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from emorec_lobes.errors import ConfigError, DataError, ProtocolError
from emorec_lobes.evaluation.fusion_runs import as_run, fusion_line
from emorec_lobes.evaluation.report import Record
from emorec_lobes.evaluation.units import confusion_by_unit
from emorec_lobes.files import read_json, write_atomically

ENDING = "results.json"  # of a run's own file, and of one that is kept: ser_small-1.results.json
BASE_FOLDER = "base"  # where, among kept records, those stand that the others are compared with
SPLIT_FOLDER = "inflation_random_split"  # in a run's folder: the same under a random split, which is no result
_LONGEST_SLUG = 100
_NEEDED = ("labels", "folds", "stamp", "fingerprint", "command", "confusion_by_speaker", "uar")
_NEEDED_IN_STAMP = ("corpus", "num_folds", "protocol", "seed")


@dataclass(frozen=True)
class System:
    """What a row of a table is about."""

    name: str  # its hyperparameter file, and the options in which it differs from others of its recipe
    runs: Mapping[int, Record]  # by seed, rising
    places: Mapping[int, Path] = field(default_factory=dict, compare=False)  # by seed: where the records lie

    @property
    def any_record(self) -> Record:
        """The record of the first seed: for what all seeds share."""
        return next(iter(self.runs.values()))

    @property
    def slug(self) -> str:
        """The name as that of a file or folder, cut where it is long."""
        slug = re.sub(r"[^\w.-]+", "-", self.name.replace(" --", "_")).strip("-")
        digits = hashlib.sha256(self.name.encode()).hexdigest()[:6]
        return slug if len(slug) <= _LONGEST_SLUG else f"{slug[:_LONGEST_SLUG]}-{digits}"

    def scores(self, metric: str) -> list[float]:
        """A pooled score of each seed."""
        return [record[metric] for record in self.runs.values()]

    @property
    def confusions(self) -> list[Mapping[str, Any]]:
        """Each seed's counts by speaker, or whatever is drawn, as `runs.interval_over_runs` takes them."""
        return [confusion_by_unit(record) for record in self.runs.values()]


def read_records(places: Iterable[Path]) -> dict[Path, Record]:
    """Reads records of whole cross-validations.

    Arguments
    ---------
    places : iterable of Path
        Files; or folders, of which every record in them or below them is read, except those of single folds.

    Raises
    ------
    ConfigError
        If a place is missing or holds no record.
    DataError
        If a file is not a record.
    ProtocolError
        If a record is of fewer than all folds.
    """
    paths = {path.resolve(): path for place in places for path in _files(Path(place))}
    return {path: _read(path) for path in paths.values()}


def _read(path: Path) -> Record:
    record = as_run(read_json(path, "the recipe", needed=_NEEDED))
    lacking = [key for key in _NEEDED_IN_STAMP if key not in record["stamp"]]
    if lacking or record["command"] is None:
        what = f"its {lacking[0]}" if lacking else "how it was made"
        raise DataError(f"{path} must say {what}, but does not. Run the recipe again; finished folds are kept.")
    found, wanted = len(record["folds"]), record["stamp"]["num_folds"]
    if found != wanted:
        raise ProtocolError(f"{path} must be of all {wanted} folds, but is of {found} instead. Run it with --fold all.")
    return record


def _files(place: Path) -> list[Path]:
    if place.is_file():
        return [place]
    found = sorted(path for path in place.rglob(f"*{ENDING}") if not is_part_of_a_run(path.relative_to(place)))
    if not found:
        raise ConfigError(f"{place} holds no {ENDING} of all folds. Name a run's folder, or run the recipe to its end.")
    return found


def is_part_of_a_run(path: Path) -> bool:
    """Whether something below a run's folder is of a single fold, or of what measures its inflation."""
    return any(part.startswith("fold_") or part == SPLIT_FOLDER for part in path.parts)


def group_records(records: Mapping[Path, Record]) -> list[System]:
    """The systems that records belong to: one for each command without its seed.

    Raises
    ------
    ProtocolError
        If two records are the same seed of one system; if seeds differ in more than the seed; or if any two were not
        scored on the same labels, corpus, folds and utterances, so that no table may hold both.

    Example
    -------
    >>> group_records({})
    []
    """
    for (path, record), (other, another) in pairwise(records.items()):
        _check_same(_test_of(record), _test_of(another), path, other, "a table")
    paths: dict[str, dict[int, Path]] = defaultdict(dict)
    for path, record in records.items():
        seeds, seed = paths[_key(record)], record["stamp"]["seed"]
        if seed in seeds:
            raise ProtocolError(f"{seeds[seed]} and {path} are seed {seed} of one system. Leave one of them out.")
        for other in list(seeds.values())[:1]:
            _check_same(_training_of(records[other]), _training_of(record), other, path, "the seeds of a system")
        seeds[seed] = path
    commands = [records[next(iter(seeds.values()))]["command"] for seeds in paths.values()]
    return [
        System(name, {seed: records[seeds[seed]] for seed in sorted(seeds)}, seeds)
        for name, seeds in zip(_names(commands), paths.values(), strict=True)
    ]


def _key(record: Record) -> str:
    command = record["command"]
    return json.dumps([command["recipe"], command["hparams"], _options(command)], sort_keys=True)


def _options(command: Mapping[str, Any]) -> dict[str, str]:
    """What the command line gave, but for the seed."""
    return {key: value for key, value in command["overrides"].items() if key != "seed"}


def _test_of(record: Record) -> dict[str, Any]:
    """What must be equal in all rows of a table; the first that is not names the trouble."""
    supports = {speaker: [sum(row) for row in counts] for speaker, counts in record["confusion_by_speaker"].items()}
    return {
        "corpus": record["stamp"]["corpus"],
        "labels": record["labels"],
        "folds": [[fold["fold"], fold["speakers"], fold["num_utterances"]] for fold in record["folds"]],
        "tested utterances": supports,
        "what intervals draw": {key: value for key, value in (record.get("units") or {}).items() if key != "answers"},
    }


def _training_of(record: Record) -> dict[str, Any]:
    """What must be equal in all seeds of a system."""
    rest = {key: value for key, value in record["fingerprint"].items() if key != "config"}
    return {"hyperparameters": record["command"]["fingerprint"], **rest}


def _check_same(one: Mapping[str, Any], other: Mapping[str, Any], path: Path, another: Path, what: str) -> None:
    differing = [name for name in one if one[name] != other.get(name)]
    if differing:
        raise ProtocolError(
            f"{path} and {another} differ in {differing[0]}, in which {what} must agree. Leave one of them out."
        )


def _names(commands: Sequence[Mapping[str, Any]]) -> list[str]:
    """File and options; an option that all of one recipe have is left out, and so is the recipe where files tell."""
    options, recipes = defaultdict(list), defaultdict(set)
    for command in commands:
        options[command["recipe"]].append(_options(command))
        recipes[command["hparams"]].add(command["recipe"])
    names = []
    for command in commands:
        beside = options[command["recipe"]]
        words = [command["recipe"]] if len(recipes[command["hparams"]]) > 1 else []
        words += [Path(command["hparams"]).stem]
        for key, value in _options(command).items():
            if any(given.get(key) != value for given in beside):
                words += [f"--{key} {shlex.quote(value)}"]
        names.append(" ".join(words))
    return names


def command_line(system: System) -> str:
    """One line of shell that runs a system's seeds; the corpus stands where ours does in the documents.

    Results go to a folder of the system's own, so that the commands of a table can be run one after another.
    """
    record, seeds = system.any_record, list(system.runs)
    command, corpus = record["command"], record["stamp"]["corpus"]
    if "fusion" in record:
        folder = f"results/{corpus}/{system.slug}/seed_"
        return "\n".join(fusion_line(run, f"{folder}{seed}") for seed, run in system.runs.items())
    num_processes = int(record["fingerprint"].get("run", {}).get("num_processes", 1))
    words = ["python"] if num_processes == 1 else ["torchrun", "--nproc_per_node", str(num_processes)]
    words += [command["recipe"], f"hparams/{command['hparams']}", "--data_folder", shlex.quote(f"/corpora/{corpus}")]
    for key, value in _options(command).items():
        words += [f"--{key}", shlex.quote(value)]
    seed = str(seeds[0]) if len(seeds) == 1 else "$seed"
    words += ["--seed", seed, "--output_folder", f"results/{corpus}/{system.slug}/seed_{seed}"]
    line = " ".join(words)
    return line if len(seeds) == 1 else f"for seed in {' '.join(map(str, seeds))}; do {line}; done"


def base_of(systems: Sequence[System], records: Mapping[Path, Record]) -> System | None:
    """The system that `records` are all of; None without records.

    Raises
    ------
    ConfigError
        If they are of several systems.
    """
    keys = {_key(record) for record in records.values()}
    if len(keys) > 1:
        raise ConfigError(f"The base must be one system, but {', '.join(map(str, records))} are {len(keys)}. Name one.")
    return next((system for system in systems if _key(system.any_record) in keys), None)


def keep_records(systems: Sequence[System], base: System | None, folder: Path, read: Iterable[Path]) -> None:
    """Writes all records into one folder, a small file each, those of the base into its subfolder.

    Arguments
    ---------
    systems : sequence of System
    base : System, optional
        One of them.
    folder : Path
        Made if missing.
    read : iterable of Path
        Where the records come from: files in `folder` that get another name now are removed.

    Raises
    ------
    ConfigError
        If `folder` holds a record of something else: the table would not be made of what is kept.
    """
    folder = Path(folder)
    contents = {
        folder / (BASE_FOLDER if system is base else "") / f"{system.slug}-{seed}.{ENDING}": record
        for system in systems
        for seed, record in system.runs.items()
    }
    if len(contents) < sum(len(system.runs) for system in systems):
        raise ConfigError(f"The systems of {folder} must have names that differ in more than signs. Keep them in two.")
    there = {path: path.resolve() for path in sorted(folder.rglob(f"*{ENDING}"))}
    known = {path.resolve() for path in read}
    for path, place in there.items():
        replaces = path in contents and _key(_read(path)) == _key(contents[path])
        if place not in known and not replaces:
            raise ConfigError(f"{path} is not among the runs. Name it too, with {folder}, or delete it.")
    for path, record in contents.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps(record, ensure_ascii=False, separators=(",", ":"), allow_nan=False) + "\n")
    for path in there.keys() - contents.keys():
        path.unlink()
