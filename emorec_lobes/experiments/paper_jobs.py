"""A paper's runs, probes and fusions as jobs of this machine: their words, their folders, what each needs first."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emorec_lobes.errors import ConfigError
from emorec_lobes.evaluation.seed_table import RESULTS
from emorec_lobes.experiments.command import yaml_text
from emorec_lobes.experiments.cross_validation import LOGS, SeedRun, seed_runs
from emorec_lobes.experiments.engines import Job
from emorec_lobes.experiments.fingerprint import check_fingerprint, run_fingerprint
from emorec_lobes.experiments.papers import Paper, PaperFusion, PaperRun, Rehearsal
from emorec_lobes.experiments.rehearsal import CORPUS, ENCODERS, SPEAKERS
from emorec_lobes.experiments.run import check_claim, read_command_line
from emorec_lobes.experiments.settings import read_settings
from emorec_lobes.experiments.shipped import PACKAGE, find_hparams, find_recipe
from emorec_lobes.files import read_json

_RESULTS = Path("results/reproduce")
_COMMAND = str(PACKAGE / "cli/main.py")
_PROBE = "probe/probe.json"  # in a fold's folder; `emorec probe` writes it last
_PRETRAINING_SEED = 1
_OURS = ("corpus", "pretrained", "encoder")  # options of recipes that this command decides


@dataclass(frozen=True)
class Places:
    """Where a paper's jobs find what they need, and leave what they make."""

    to: Path
    data_folder: Path
    speakers: Path | None  # for the pre-training
    encoders: Path | None = None  # holds folders named as hub ids; what it lacks is asked for by its hub id


def places_of(
    paper: str,
    to: Path | None,
    data_folder: Path | None,
    speakers: Path | None,
    encoders: Path | None,
    is_rehearsal: bool,
) -> Places:
    """The places a user names, or, of a rehearsal, those that it makes.

    Raises
    ------
    ConfigError
        If the corpus is not named, or a rehearsal's is.
    """
    folder = to or _RESULTS / (f"{paper}_rehearsal" if is_rehearsal else paper)
    if not is_rehearsal:
        if data_folder is None:
            raise ConfigError("`data_folder` must be given: add --data_folder DIR, or --corpus synthetic to rehearse.")
        return Places(folder, data_folder, speakers, encoders)
    for name, value in {"data_folder": data_folder, "voxceleb": speakers, "encoders": encoders}.items():
        if value is not None:
            raise ConfigError(f"`{name}` must be left out, since a rehearsal makes its own. Drop it.")
    return Places(folder, folder / CORPUS, folder / SPEAKERS, folder / ENCODERS)


@dataclass(frozen=True)
class Pretraining:
    """A pre-training as a job."""

    job: Job
    folder: Path

    @property
    def is_finished(self) -> bool:
        """Whether its record is there."""
        return (self.folder / RESULTS).exists()


@dataclass(frozen=True)
class PaperJobs:
    """All that makes a paper's rows, by name, runs and fusions a seed each."""

    paper: Paper
    pretrainings: Mapping[str, Pretraining | None]  # None of one whose data was not named
    runs: Mapping[str, Sequence[SeedRun]]
    places: Places
    rehearsal: Rehearsal | None = None

    def local_encoders(self) -> list[str]:
        """Hub ids of the encoders that are to lie in the folder of encoders."""
        folder = self.places.encoders
        named = {run.settings.values.get("encoder") or "" for runs in self.runs.values() for run in runs}
        inside = sorted(Path(name) for name in named if folder is not None and Path(name).is_relative_to(folder))
        return [str(path.relative_to(folder)) for path in inside]

    def waits_for(self, name: str) -> str | None:
        """The pre-training that a run has to wait for; None if it is finished, or there is none."""
        needed = self.paper.runs[name].pretrained
        made = self.pretrainings[needed] if needed else None
        return needed if needed and (made is None or not made.is_finished) else None

    def probes(self, name: str) -> list[tuple[Job, Path]]:
        """What probes each finished fold, and the record it writes."""
        found = []
        for run in self.runs[self.paper.probes[name]]:
            device = [f"--device={run.run_opts['device']}"] if run.run_opts["device"] else []
            for fold in run.folds():
                if run.is_finished(fold):
                    words = (_COMMAND, "probe", str(run.folder), "--fold", fold, *device)
                    log = run.folder / LOGS / f"probe_{fold}.txt"
                    job = Job(f"{name}, seed {run.seed}, fold {fold}", words, log, run.threads)
                    found.append((job, run.folder / f"fold_{fold}" / _PROBE))
        return found

    def fusions(self, name: str) -> list[tuple[Job, Path, list[Path]]]:
        """What fuses each seed whose runs are pooled, the folder it writes, and the predictions it reads."""
        fusion: PaperFusion = self.paper.fusions[name]
        found = []
        for runs in zip(*(self.runs[each] for each in fusion.of), strict=True):
            if all(not run.unfinished() and run.folds() and run.is_pooled() for run in runs):
                inputs = [run.folder / "predictions.csv" for run in runs]
                folder = self.places.to / name / f"seed_{runs[0].seed}"
                words = (_COMMAND, "fuse", *map(str, inputs), "--weights", *map(str, fusion.weights), "--to", folder)
                log = folder / LOGS / "fusion.txt"
                found.append(
                    (Job(f"{name}, seed {runs[0].seed}", tuple(map(str, words)), log, runs[0].threads), folder, inputs)
                )
        return found


def paper_jobs(
    paper: Paper,
    places: Places,
    seeds: Sequence[int],
    threads: int,
    given: Sequence[str] = (),
    rehearsal: Rehearsal | None = None,
) -> PaperJobs:
    """Reads all settings of a paper's jobs; nothing is run.

    Arguments
    ---------
    paper : Paper
    places : Places
    seeds : sequence of int
    threads : int
        Of each process.
    given : sequence of str
        Further options; each goes to the recipes whose hyperparameter file has it.
    rehearsal : Rehearsal, optional
        What to change for a rehearsal.

    Raises
    ------
    ConfigError
        If an option is nobody's or decides what a row is, or a folder holds a run with other settings.
    """
    words = _Words(paper, places, given, rehearsal)
    pretrainings = {name: _pretraining(name, run, places, words, threads) for name, run in paper.pretrainings.items()}
    runs = {
        name: seed_runs(
            find_recipe(run.recipe),
            find_hparams(run.hparams),
            words.of(run, places.data_folder),
            seeds,
            places.to / name,
            threads,
        )
        for name, run in paper.runs.items()
    }
    return PaperJobs(paper, pretrainings, runs, places, rehearsal)


def is_fused(folder: Path, inputs: Sequence[Path]) -> bool:
    """Whether a fusion of these very predictions is there."""
    path = folder / RESULTS
    if not path.exists():
        return False
    held = [source["sha256"] for source in read_json(path, "emorec fuse", needed=("fusion",))["fusion"]["inputs"]]
    return held == [hashlib.sha256(each.read_bytes()).hexdigest() for each in inputs]


class _Words:
    """What stands behind a recipe and its hyperparameter file, but for the seed and the output folder."""

    def __init__(self, paper: Paper, places: Places, given: Sequence[str], rehearsal: Rehearsal | None) -> None:
        self._places, self._rehearsal = places, rehearsal
        runs = [*paper.pretrainings.values(), *paper.runs.values()]
        self._defaults = {
            run.hparams: read_settings(find_hparams(run.hparams), {"data_folder": "-"}).values for run in runs
        }
        self._known = {key for values in self._defaults.values() for key in values}
        self._given = _options(given)
        for key in self._given:
            if key in {*_OURS, *(each for run in runs for each in run.overrides)}:
                raise ConfigError(f"`--{key}` must be left to the paper's rows, but is given. Drop it.")

    def of(self, run: PaperRun, data_folder: Path) -> list[str]:
        """A row's own options, and those given ones that its hyperparameter file has, or that are no file's."""
        defaults, encoders = self._defaults[run.hparams], self._places.encoders
        values: dict[str, Any] = {"data_folder": str(data_folder), **run.overrides}
        if run.pretrained is not None:
            values["pretrained"] = str(_pretraining_folder(run.pretrained, self._places))
        if self._rehearsal is not None:
            places = {"corpus": "synthetic", "feature_folder": str(self._places.to / "features")}
            values |= {key: value for key, value in places.items() if key in defaults}
            values |= self._rehearsal.overrides[run.hparams]
        encoder = str(values.get("encoder", defaults.get("encoder")))
        if encoders is not None and "/" in encoder and (self._rehearsal or (encoders / encoder).is_dir()):
            values["encoder"] = str(encoders / encoder)
        given = {key: words for key, words in self._given.items() if key in defaults or key not in self._known}
        own = [f"--{key}={yaml_text(value)}" for key, value in values.items() if key not in given]
        return [*own, *(word for words in given.values() for word in words)]


def _pretraining_folder(name: str, places: Places) -> Path:
    return places.to / name / f"seed_{_PRETRAINING_SEED}"


def _pretraining(name: str, run: PaperRun, places: Places, words: _Words, threads: int) -> Pretraining | None:
    if places.speakers is None:
        return None
    folder = _pretraining_folder(name, places)
    mine = [*words.of(run, places.speakers), f"--seed={_PRETRAINING_SEED}", f"--output_folder={folder}"]
    called = [str(find_hparams(run.hparams)), *mine]
    settings, run_opts = read_command_line(called)
    check_claim(folder, settings)
    check_fingerprint(folder, {"config": settings.fingerprint(), "run": run_fingerprint(run_opts)})
    recipe = str(find_recipe(run.recipe))
    return Pretraining(
        Job(name, (recipe, *called, "--noprogressbar"), folder / LOGS / "pretraining.txt", threads, folder), folder
    )


def _options(words: Sequence[str]) -> dict[str, list[str]]:
    """Options with their values, as they were given."""
    found: dict[str, list[str]] = {}
    for word in words:
        if word.startswith("--"):
            key = word.removeprefix("--").partition("=")[0]
        elif not found:
            raise ConfigError(f"An option must begin with --, but {word!r} does not. Use --key value.")
        found.setdefault(key, []).append(word)
    return found
