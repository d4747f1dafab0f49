"""A speaker recipe's main: a command line -> speakers -> a trained front end, and how well it knows voices."""

import hashlib
import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from speechbrain.utils.distributed import if_main_process

from emorec_lobes.brains.speaker import SpeakerBrain
from emorec_lobes.corpora.speaker_folder import Trials
from emorec_lobes.errors import ConfigError, exit_code_of, not_one_of
from emorec_lobes.evaluation.figures import training_curves
from emorec_lobes.evaluation.figures_verification import detection_figure
from emorec_lobes.evaluation.report import versions
from emorec_lobes.evaluation.speaker_report import speaker_table
from emorec_lobes.evaluation.verification import verification_record
from emorec_lobes.experiments.command import command
from emorec_lobes.experiments.fingerprint import FINGERPRINT, check_fingerprint, run_fingerprint
from emorec_lobes.experiments.pretrained import ABOUT, INPUT_KEYS, WEIGHTS
from emorec_lobes.experiments.run import check_claim, read_command_line, write_claim
from emorec_lobes.experiments.settings import Settings
from emorec_lobes.experiments.speaker_data import SpeakerData, crops_dataset, read_data, wave_augment, whole_dataset
from emorec_lobes.experiments.training import evaluation_loader, make_brain, save_weights, training_loader
from emorec_lobes.features.speech import check_device
from emorec_lobes.files import locked, read_json, write_atomically, write_json

_SIZES = ("channels", "first_kernel_size", "blocks_per_stage", "masked_norm")


def main(argv: Sequence[str] | None = None, brain_class: type[SpeakerBrain] = SpeakerBrain) -> int:
    """Runs the recipe.

    Arguments
    ---------
    argv : sequence of str, optional
        `HPARAMS.yaml [--key value ...]`; the process's own by default.
    brain_class : type
        The `SpeakerBrain` to train.

    Returns
    -------
    int
        As `errors.exit_code_of` says: 2 when the input is at fault, with one line on stderr.
    """

    def action() -> int:
        record = run(brain_class, *read_command_line(argv))
        if if_main_process():
            print(speaker_table(record))
        return 0

    return exit_code_of(Path(sys.argv[0]).name, action)


def run(brain_class: type[SpeakerBrain], settings: Settings, run_opts: Any) -> dict[str, Any]:
    """Trains, evaluates and writes the results, or returns the record of a run that is finished."""
    check_device(run_opts["device"] or "cpu")
    if settings["validation_score"] != "accuracy":
        raise ConfigError(not_one_of("validation_score", settings["validation_score"], ["accuracy"]))
    if settings["batch_size"] < 2:
        raise ConfigError("`batch_size` must be at least 2, for batch normalisation, but is 1 instead. Raise it.")
    wave_augment(settings.build(num_speakers=2))  # What cannot be built is told now.
    folder = Path(settings["output_folder"])
    with locked(folder, "run") if if_main_process() else nullcontext():
        check_claim(folder, settings)
        data = read_data(settings)
        fingerprint = {
            "config": settings.fingerprint(),
            **data.fingerprints(),
            "run": run_fingerprint(run_opts),
        }
        check_fingerprint(folder, fingerprint)
        if (folder / "results.json").exists():
            return dict(read_json(folder / "results.json", "the recipe", needed=("fingerprint",)))
        if if_main_process():
            write_json(folder / FINGERPRINT, fingerprint)
            write_claim(folder, settings)
            _say(data, folder)
        return _solve(brain_class, settings, run_opts, data, folder, fingerprint)


def _solve(
    brain_class: type[SpeakerBrain],
    settings: Settings,
    run_opts: Any,
    data: SpeakerData,
    folder: Path,
    fingerprint: Mapping[str, Any],
) -> dict[str, Any]:
    per_validation = min(settings["updates_per_validation"], settings["number_of_updates"])
    overrides = {"num_speakers": len(data.split.speakers), "updates_per_validation": per_validation}
    hparams = settings.build(**overrides)
    brain = make_brain(brain_class, hparams, run_opts, folder, settings.resolved(**overrides), has_valid=True)
    _fit(brain, hparams, data)
    history = list(brain.history.rows)  # evaluation goes back to the chosen checkpoint, whose history ends there
    chosen = brain.history.best_update(settings["validation_score"])
    identification = {
        name: _identify(brain, hparams, part, data.split.speakers)
        for name, part in (("dev", data.split.dev), ("test", data.split.test))
        if part
    }
    vectors = {}
    if data.trials is not None:
        untrained_hparams = settings.build(**overrides)  # the YAML seeds: the very network that training began with
        untrained = brain_class(untrained_hparams["modules"], hparams=untrained_hparams, run_opts=run_opts)
        batches = evaluation_loader(whole_dataset(data.trials.recordings), hparams)
        vectors = {
            "trained": brain.embeddings(batches),
            "untrained": untrained.embeddings(batches),
            "mean filter bank": brain.mean_filter_banks(batches),
        }
    scores = {name: cosines(data.trials, found) for name, found in vectors.items()}
    record = {
        "stamp": _stamp(settings, data, chosen),
        "identification": identification,
        "verification": verification_record(scores, data.trials.targets, data.trials.speakers) if scores else None,
        "command": command(settings, run_opts),
        "fingerprint": dict(fingerprint),
        "versions": versions(),
    }
    if if_main_process():
        save_front_end(hparams["front_end"], settings, record, folder)
        title = f"speakers of {settings['corpus']}"
        training_curves(history, folder / "figures/training_curves.png", chosen, title)
        if scores:
            detection_figure(scores, data.trials.targets, folder / "figures/detection.png", data.trials.rule)
        write_json(folder / "history.json", {"rows": history, "chosen_update": chosen})
        write_atomically(folder / "results.md", speaker_table(record) + "\n")
        write_json(folder / "results.json", record)  # comes last and says that the run is done
    return record


def cosines(trials: Trials, vectors: Mapping[str, np.ndarray]) -> np.ndarray:
    """The cosine of both sides of each trial, (N,)."""
    stacked = np.stack([vectors[item.id] for item in trials.recordings]).astype(np.float64)
    stacked /= np.maximum(np.linalg.norm(stacked, axis=1, keepdims=True), np.finfo(np.float64).tiny)
    first, second = trials.pairs.T
    return (stacked[first] * stacked[second]).sum(axis=1)


def save_front_end(front_end: Any, settings: Settings, record: Mapping[str, Any], folder: Path) -> None:
    """Writes the front end's weights, and beside them what it is and what it takes."""
    weights = save_weights(folder / WEIGHTS, front_end.state_dict())
    stamp = record["stamp"]
    about = {
        "class": f"{type(front_end).__module__}.{type(front_end).__name__}",
        **{key: settings[key] for key in _SIZES},
        "widths": front_end.widths,
        "kind": "fbank",
        **{key: settings[key] for key in INPUT_KEYS},
        "vad": "none",
        "crop_frames": settings["crop_frames"],
        "trained_on": f"{stamp['corpus']}: {stamp['num_speakers']} speakers, {stamp['train_hours']:g} h",
        "stamp": stamp,
        "sha256": hashlib.sha256(weights).hexdigest(),
    }
    write_json(folder / ABOUT, about)


def _fit(brain: SpeakerBrain, hparams: Mapping[str, Any], data: SpeakerData) -> None:
    bank, speakers = brain.filter_bank, data.split.speakers
    crop_samples = bank.window_samples + (hparams["crop_frames"] - 1) * bank.hop_samples
    train = crops_dataset(data.split.train, speakers, crop_samples, wave_augment(hparams))
    loader = training_loader(brain, train, hparams, hparams["number_of_updates"], hparams["updates_per_validation"])
    dev = evaluation_loader(whole_dataset(data.split.dev, speakers), hparams)
    brain.fit(hparams["epoch_counter"], loader, dev)


def _identify(
    brain: SpeakerBrain, hparams: Mapping[str, Any], part: Sequence[Any], speakers: Sequence[str]
) -> dict[str, Any]:
    """How many utterances the chosen checkpoint knows the speaker of."""
    loader = evaluation_loader(whole_dataset(part, speakers), hparams)
    brain.evaluate(loader, max_key=hparams["validation_score"])
    return {**brain.scores(), "num_utterances": len(part), "chance": 1 / len(speakers)}


def _stamp(settings: Settings, data: SpeakerData, chosen: int | None) -> dict[str, Any]:
    return {
        "corpus": settings["corpus"],
        "num_speakers": len(data.split.speakers),
        "num_train": len(data.split.train),
        "train_hours": round(sum(item.duration for item in data.split.train) / 3600, 3),
        "held_out": data.split.rule,
        "trials": data.trials and data.trials.rule,
        "trial_speakers_left_out": len(data.left_out),
        "trial_speakers_trained_on": len(data.heard),
        "vad": "none",
        "loss": settings["loss"],
        "augment": list(settings["augment"]),
        "seed": settings["seed"],
        "chosen_update": chosen,
    }


def _say(data: SpeakerData, folder: Path) -> None:
    parts = {"train": data.split.train, "dev": data.split.dev, "test": data.split.test}
    counts = ", ".join(f"{name} {len(items)}" for name, items in parts.items() if items)
    print(f"{len(data.split.speakers)} speakers ({counts} utterances): {folder}", file=sys.stderr)
