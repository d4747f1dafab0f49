"""Every recipe's main: a command line -> corpus -> features -> folds -> results."""

import io
import logging
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, redirect_stderr
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import speechbrain as sb
from speechbrain.utils.distributed import if_main_process, run_on_main

from emorec_lobes.corpora.leakage import check_leakage
from emorec_lobes.corpora.manifest import ManifestInfo, Utterance, read_info, read_manifest, without_labels
from emorec_lobes.corpora.prepare import options_of, prepare
from emorec_lobes.corpora.protocol import Fold, make_folds, stamp
from emorec_lobes.errors import ConfigError, exit_code_of, not_one_of
from emorec_lobes.evaluation.report import terminal_table
from emorec_lobes.experiments.choices import check_watching, hyperparameters_chosen_on, pretrained_on
from emorec_lobes.experiments.command import command
from emorec_lobes.experiments.folds import FoldSolver, run_fold, train_brain
from emorec_lobes.experiments.parts import is_told
from emorec_lobes.experiments.ratings import given_ratings
from emorec_lobes.experiments.results import drawn_units, pool
from emorec_lobes.experiments.settings import Settings, read_settings
from emorec_lobes.features.speech import check_device
from emorec_lobes.files import locked, read_json, write_json
from emorec_lobes.labels import ordered

CLAIM = "config.json"
ALL, NONE = "all", "none"  # of the folds

# Debug modes, old names of --precision, and checkpoints in the middle of an epoch, from which
# our sampler could not go on exactly.
REFUSED_OPTIONS = (
    "debug",
    "debug_batches",
    "debug_epochs",
    "debug_persistently",
    "test_only",
    "optimizer_step_limit",
    "ckpt_interval_steps",
    "ckpt_interval_minutes",
    "data_parallel_backend",
    "auto_mix_prec",
    "bfloat16_mix_prec",
)


class Task(Protocol):
    """What differs between recipes: the features they need.

    For a Brain it has `data(hparams, fold)`, the datasets, and `overrides(settings, fold)`, the hyperparameters that
    a fold's own training utterances decide.
    """

    audio_hashes: Mapping[str, str]
    features: Mapping[str, str]  # name -> fingerprint of what made them

    def __init__(self, settings: Settings, utterances: Mapping[str, Utterance], run_opts: Any) -> None:
        """Computes or opens the features of all utterances, whose labels it cannot read (`without_labels`)."""

    def stamp(self, settings: Settings) -> dict[str, Any]:
        """What the inputs were, for the protocol stamp."""


def main(brain_class: type, task_class: type[Task], argv: Sequence[str] | None = None) -> int:
    """Runs a recipe that trains a Brain.

    Arguments
    ---------
    brain_class : type
        The `EmotionBrain` to train.
    task_class : type
        The `Task` that makes its data.
    argv : sequence of str, optional
        As `run_recipe`.

    Returns
    -------
    int
        As `run_recipe`.
    """
    return run_recipe(partial(train_brain, brain_class), task_class, argv)


def run_recipe(solve: FoldSolver, task_class: type[Task], argv: Sequence[str] | None = None) -> int:
    """Runs a recipe, whatever it trains.

    Arguments
    ---------
    solve : FoldSolver
        Trains on one fold and answers it.
    task_class : type
        The `Task` that opens the features.
    argv : sequence of str, optional
        `HPARAMS.yaml [--key value ...]`; the process's own by default.

    Returns
    -------
    int
        As `errors.exit_code_of` says: 2 when the input is at fault, with one line on stderr.
    """
    if is_told(solve, task_class):
        return 0
    return exit_code_of(Path(sys.argv[0]).name, lambda: _run_recipe(solve, task_class, argv))


def _run_recipe(solve: FoldSolver, task_class: type[Task], argv: Sequence[str] | None) -> int:
    record = run(solve, task_class, *read_command_line(argv))
    if record is not None and if_main_process():
        print(terminal_table(record))
    return 0


def read_command_line(argv: Sequence[str] | None) -> tuple[Settings, Any]:
    """The hyperparameters and SpeechBrain's run options; several processes find each other here.

    Arguments
    ---------
    argv : sequence of str, optional
        As `run_recipe`.
    """
    # When it is imported, this module warns of figures that nobody asks it for.
    logging.getLogger("speechbrain.utils.train_logger").disabled = True
    hparams_file, run_opts, overrides = parse_arguments(list(sys.argv[1:] if argv is None else argv))
    overrides += check_run_options(run_opts)
    sb.utils.distributed.ddp_init_group(run_opts)
    return read_settings(Path(hparams_file), overrides), run_opts


def run(solve: FoldSolver, task_class: type[Task], settings: Settings, run_opts: Any) -> dict[str, Any] | None:
    """Trains and evaluates the folds that are asked for and not finished.

    Returns
    -------
    dict, optional
        The results record: pooled over all folds, or of the one fold asked for; None where none was.
    """
    check_device(run_opts["device"] or "cpu")
    check_watching(settings)
    settings.build()  # What cannot be built is told now, not after hours of extraction.
    folder = Path(settings["output_folder"])
    alone = settings["fold"] in (ALL, NONE)
    with _locked(folder, shared=not alone):
        check_claim(folder, settings)
        utterances, info = load_corpus(settings, folder)
        ratings = given_ratings(utterances)
        folds = folds_of(settings, utterances)
        chosen = choose_folds(folds, settings["fold"])
        stamped = run_stamp(settings, info, folds, utterances)
        task = task_class(settings, without_labels(utterances), run_opts)
        for fold in folds:
            check_leakage(fold, utterances, task.audio_hashes)
        # Only now: settings that are refused must not keep the folder from the next, mended ones.
        if if_main_process():
            write_claim(folder, settings, folds=[fold.name for fold in folds])
        stamped |= task.stamp(settings)
        with nullcontext() if alone else _locked(folder / f"fold_{chosen[0].name}"):
            records = [run_fold(solve, task, settings, run_opts, fold, utterances, stamped) for fold in chosen]
        if len(chosen) < len(folds):
            return records[0] if records else None
        finished = [Path(folder) / f"fold_{fold.name}" for fold in folds]
        units = drawn_units(stamped, utterances)
        return pool(folder, stamped, command(settings, run_opts), finished, units, ratings)


def _locked(folder: Path, shared: bool = False) -> AbstractContextManager[None]:
    """Single folds of one run share its folder, and each holds its own; all of them hold the run's folder alone."""
    return locked(folder, "run", shared=shared) if if_main_process() else nullcontext()


def load_corpus(settings: Settings, folder: Path) -> tuple[dict[str, Utterance], ManifestInfo]:
    """The utterances to use: from a manifest that is given, or prepared from the corpus folder."""
    manifest = settings["manifest"]
    if manifest is None:
        manifest, corpus = folder / "manifest.json", settings["corpus"]
        selection = {"selection": settings["selection"]} if "selection" in options_of(corpus) else {}
        options = {str(key): value for key, value in settings["corpus_options"].items()}
        arguments = {
            "corpus": corpus,
            "data_folder": Path(settings["data_folder"]),
            "manifest": manifest,
            "labels": settings["labels"],
            "allow_incomplete": settings["allow_incomplete"],
        }
        run_on_main(prepare, kwargs=arguments | selection | options)
    labels = tuple(settings["labels"])
    if labels != ordered(labels):
        raise ConfigError(f"`labels` must be in the order {', '.join(ordered(labels))}, but is {', '.join(labels)}.")
    utterances = {key: item for key, item in read_manifest(Path(manifest)).items() if item.emotion in labels}
    absent = [label for label in settings["labels"] if label not in {item.emotion for item in utterances.values()}]
    if absent:
        raise ConfigError(
            f"`labels` names {', '.join(absent)}, which no utterance of {manifest} has. Remove it with --labels."
        )
    return utterances, read_info(Path(manifest))


def folds_of(settings: Settings, utterances: Mapping[str, Utterance]) -> list[Fold]:
    """All folds of a recipe, after a look at what leaks; of that, what needs the audio comes later."""
    groups = {"num_groups": settings["num_groups"], "speaker_groups": settings["speaker_groups"]}
    folds = make_folds(utterances, settings["scheme"], settings["protocol"], **groups, refit=settings["refit"])
    for fold in folds:  # What needs no audio is refused now, not after hours of extraction.
        check_leakage(fold, utterances, {})
    return folds


def choose_folds(folds: Sequence[Fold], wanted: Any) -> list[Fold]:
    """The folds named by `fold`: `all`, one fold's name, or `none`, which only prepares corpus and features."""
    if wanted in (ALL, NONE):
        return list(folds) if wanted == ALL else []
    chosen = [fold for fold in folds if fold.name == str(wanted)]
    if not chosen:
        raise ConfigError(not_one_of("fold", wanted, [ALL, NONE, *(fold.name for fold in folds)]))
    return chosen


def run_stamp(
    settings: Settings, info: ManifestInfo, folds: Sequence[Fold], utterances: Mapping[str, Utterance]
) -> dict[str, Any]:
    """The protocol stamp: the corpus, what was held out, and what chose the model that is scored."""
    return {
        "corpus": info.corpus,
        "selection": info.selection,
        "warnings": info.warnings,
        **stamp(folds, utterances, settings["scheme"], settings["protocol"], settings["validation_score"]),
        "refit_on_train_and_valid": bool(settings["refit"]) and settings["protocol"] == "strict",
        "hyperparameters_chosen_on": hyperparameters_chosen_on(settings),
        "pretrained_on": pretrained_on(settings),
        "seed": settings["seed"],
    }


def write_claim(folder: Path, settings: Settings, **more: Any) -> None:
    """Says in a folder which hyperparameters its run has; see `check_claim`."""
    write_json(folder / CLAIM, {"fingerprint": settings.fingerprint(), "settings": settings.identity(), **more})


def check_claim(folder: Path, settings: Settings) -> None:
    """Refuses a folder that holds a run with other hyperparameters, so that two never mix in it.

    Raises
    ------
    ConfigError
        Names the first key that differs.
    """
    path = folder / CLAIM
    if not path.exists():
        return
    identity = settings.identity()
    held = read_json(path, "the recipe", needed=["settings"])["settings"]
    differing = [key for key in sorted({*held, *identity}) if held.get(key) != identity.get(key)]
    if differing:
        key = differing[0]
        more = f" and {len(differing) - 1} more" if len(differing) > 1 else ""
        raise ConfigError(
            f"{folder} holds a run with other settings ({key} was {held.get(key)}, is {identity.get(key)}{more}). "
            "Choose another --output_folder, or delete that one."
        )


def parse_arguments(words: list[str]) -> tuple[str, Any, str]:
    """SpeechBrain's `parse_arguments`, whose complaint is a page of usage, made one line."""
    usage = io.StringIO()
    try:
        with redirect_stderr(usage):
            return sb.parse_arguments(words)
    except SystemExit as stop:
        if not stop.code:  # --help
            raise
        reason = usage.getvalue().strip().rpartition("error: ")[2].replace("param_file", "HPARAMS.yaml")
        raise ConfigError(f"{reason}. Use HPARAMS.yaml [--key value ...]; --help lists the options.") from None


def check_run_options(run_opts: Any) -> str:
    """Refuses SpeechBrain's options under which a run would not be what its record says.

    Returns
    -------
    str
        YAML text of what is a hyperparameter here, though SpeechBrain takes it for an option.
    """
    for name in REFUSED_OPTIONS:
        if name in run_opts.overridden_args:
            raise ConfigError(f"`--{name}` would train something else than the record says. Leave it out.")
    if "max_grad_norm" not in run_opts.overridden_args:
        return ""
    run_opts.overridden_args.remove("max_grad_norm")
    return f"\nmax_grad_norm: {run_opts['max_grad_norm']}"
