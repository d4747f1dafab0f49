"""One fold from training to results.json."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import speechbrain as sb
from speechbrain.utils.distributed import if_main_process
from torch.utils.data import Dataset

from emorec_lobes.brains.base import EmotionBrain
from emorec_lobes.corpora.manifest import Utterance
from emorec_lobes.corpora.protocol import Fold
from emorec_lobes.evaluation.figures import training_curves
from emorec_lobes.evaluation.inflation import watched_file
from emorec_lobes.evaluation.predictions import Predictions, write_predictions
from emorec_lobes.evaluation.report import corpus_title, results_record
from emorec_lobes.experiments.command import command
from emorec_lobes.experiments.fingerprint import FINGERPRINT, check_fingerprint, fold_fingerprint
from emorec_lobes.experiments.ratings import given_ratings
from emorec_lobes.experiments.results import drawn_units, one_input_file, read_record, write_results
from emorec_lobes.experiments.settings import Settings
from emorec_lobes.experiments.training import evaluation_loader, make_brain, save_weights, training_loader
from emorec_lobes.files import write_json

ALL_INPUTS = "all"  # beside the names of single ones


@dataclass(frozen=True)
class FoldData:
    """The datasets of one fold; `valid` is None in the `paper` protocol."""

    train: Dataset
    valid: Dataset | None
    test: Dataset
    # Draws what only this task can, given the trained Brain, the figures folder and a title.
    draw_figures: Callable[[EmotionBrain, Path, str], None]
    # Of several inputs each alone: its name -> `valid` and `test` with the others hidden; None where nothing has it.
    one_input: Mapping[str, Mapping[str, Dataset | None]] = field(default_factory=dict)


@dataclass(frozen=True)
class FoldAnswers:
    """What was answered in one fold, and by what."""

    predictions: Predictions  # the test rows, and the validation rows where there are any
    chosen: dict[str, Any]  # what validation chose; goes into the stamp
    save: Callable[[Path, dict[str, Any]], None]  # (folder, record): writes what else is worth keeping
    one_input: Mapping[str, Predictions] = field(default_factory=dict)  # what each of several inputs says alone


# (task, settings, run_opts, fold, utterances, folder) -> what runs one fold, whatever it trains.
FoldSolver = Callable[[Any, Settings, Any, Fold, Mapping[str, Utterance], Path], FoldAnswers]


@dataclass(frozen=True)
class Trained:
    """A Brain after training, with the update whose weights are used."""

    brain: EmotionBrain
    hparams: Mapping[str, Any]
    data: FoldData
    chosen_update: int
    history: list[dict[str, Any]]


def run_fold(
    solve: FoldSolver,
    task: Any,
    settings: Settings,
    run_opts: Any,
    fold: Fold,
    utterances: Mapping[str, Utterance],
    stamp: Mapping[str, Any],
) -> dict[str, Any]:
    """Solves one fold and writes its results, or returns its record if that is already there."""
    folder = Path(settings["output_folder"]) / f"fold_{fold.name}"
    fingerprint = fold_fingerprint(settings, task, run_opts, fold, utterances)
    check_fingerprint(folder, fingerprint)
    if (folder / "results.json").exists():
        return read_record(folder)
    if if_main_process():
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / FINGERPRINT, fingerprint)
        counts = ", ".join(f"{split} {len(getattr(fold, split))}" for split in ("train", "valid", "test"))
        print(f"fold {fold.name} ({counts} utterances): {folder}", file=sys.stderr)
    answers = solve(task, settings, run_opts, fold, utterances, folder)
    stamped = {**stamp, **answers.chosen}
    record = results_record(
        answers.predictions.only("test"),
        stamped,
        fingerprint,
        command(settings, run_opts),
        units=drawn_units(stamp, utterances),
        one_input=answers.one_input,
        ratings=given_ratings(utterances),
    )
    if if_main_process():
        answers.save(folder, record)
        write_predictions(folder / "predictions.csv", answers.predictions)
        for name, table in answers.one_input.items():
            write_predictions(folder / one_input_file(name), table)
        write_results(folder, record)  # results.json comes last and says that the fold is done
    sb.utils.distributed.ddp_barrier()
    return record


def train_brain(
    brain_class: type[EmotionBrain],
    task: Any,
    settings: Settings,
    run_opts: Any,
    fold: Fold,
    utterances: Mapping[str, Utterance],
    folder: Path,
) -> FoldAnswers:
    """Trains a Brain on one fold, again on train and valid where the settings say so, and lets it answer."""
    watched_with = utterances if settings["watch_test"] else None
    selected = train(brain_class, task, settings, run_opts, fold, folder, watched_with=watched_with)
    parts = [answer(selected, "valid", fold, utterances)] if fold.valid else []
    final = selected
    if fold.valid and settings["refit"]:
        everything = replace(fold, train=(*fold.train, *fold.valid), valid=())
        final = train(brain_class, task, settings, run_opts, everything, folder / "refit", again=selected)
    parts.append(answer(final, "test", fold, utterances))
    tables = {name: Predictions.concatenate([part[name] for part in parts if name in part]) for name in parts[-1]}
    return FoldAnswers(
        predictions=tables.pop(ALL_INPUTS),
        chosen={"chosen_update": final.chosen_update},
        save=partial(save_training, final, selected.history),
        one_input=tables,
    )


def train(
    brain_class: type[EmotionBrain],
    task: Any,
    settings: Settings,
    run_opts: Any,
    fold: Fold,
    folder: Path,
    again: Trained | None = None,
    watched_with: Mapping[str, Utterance] | None = None,
) -> Trained:
    """Trains on one fold in `folder`, going on from the last checkpoint there.

    `again` ends it at the update that was chosen in another training; the learning rate goes as it did there.
    `watched_with`, all utterances, has each validation's weights answer the test too, which chooses nothing.
    """
    overrides = {"fold": fold.name, "fold_folder": str(folder)}
    overrides |= {key: settings[key] for key in ("number_of_updates", "updates_per_validation")}
    overrides |= task.overrides(settings, fold)
    if again is not None:  # more utterances to train on must not move the updates at which the rate falls
        overrides |= {key: again.hparams[key] for key in ("number_of_updates", "updates_per_validation")}
    overrides["updates_per_validation"] = min(overrides["updates_per_validation"], overrides["number_of_updates"])
    per_validation = overrides["updates_per_validation"]
    hparams = settings.build(**overrides)
    updates = hparams["number_of_updates"] = again.chosen_update if again else hparams["number_of_updates"]
    brain = make_brain(brain_class, hparams, run_opts, folder, settings.resolved(**overrides), bool(fold.valid))
    data = task.data(hparams, fold)
    if watched_with is not None:
        watch_test(brain, data.test, hparams, fold, watched_with, folder)
    loader = training_loader(brain, data.train, hparams, updates, per_validation)
    brain.fit(hparams["epoch_counter"], loader, data.valid and evaluation_loader(data.valid, hparams))
    # Evaluation goes back to the chosen checkpoint, whose history ends there: keep it all.
    history = list(brain.history.rows)
    chosen = brain.history.best_update(settings["validation_score"]) or updates
    return Trained(brain, hparams, data, chosen, history)


def watch_test(
    brain: EmotionBrain,
    dataset: Dataset,
    hparams: Mapping[str, Any],
    fold: Fold,
    utterances: Mapping[str, Utterance],
    folder: Path,
) -> None:
    """Has the weights of each validation answer the test too, into a file an update, for the inflation meter."""
    batches, labels = evaluation_loader(dataset, hparams), tuple(hparams["labels"])

    def watch(update: int) -> None:
        answers = brain.answers_now(batches)
        if if_main_process():
            probabilities = np.stack([answers[item] for item in fold.test])
            table = tabulate(fold, "test", utterances, labels, probabilities)
            write_predictions(watched_file(folder, update), table)

    brain.watch = watch


def answer(trained: Trained, split: str, fold: Fold, utterances: Mapping[str, Utterance]) -> dict[str, Predictions]:
    """A fold's `valid` or `test` utterances answered by all inputs, and by each alone where there are several."""
    alone = {name: datasets[split] for name, datasets in trained.data.one_input.items()}
    datasets = {ALL_INPUTS: getattr(trained.data, split), **alone}
    return {name: predict(trained, each, split, fold, utterances) for name, each in datasets.items() if each}


def predict(
    trained: Trained, dataset: Dataset, split: str, fold: Fold, utterances: Mapping[str, Utterance]
) -> Predictions:
    """Class probabilities of a fold's `valid` or `test` utterances, as `dataset` shows them, by the chosen weights."""
    brain, labels = trained.brain, tuple(trained.hparams["labels"])
    max_key = trained.hparams["validation_score"] if brain.has_valid else None
    brain.evaluate(evaluation_loader(dataset, trained.hparams), max_key=max_key)
    shown = set(dataset.data_ids)  # an utterance without an input is not answered by it alone
    ids = tuple(item for item in getattr(fold, split) if item in shown)
    probabilities = np.stack([brain.predictions[item] for item in ids])
    return tabulate(replace(fold, **{split: ids}), split, utterances, labels, probabilities)


def tabulate(
    fold: Fold, split: str, utterances: Mapping[str, Utterance], labels: tuple[str, ...], probabilities: np.ndarray
) -> Predictions:
    """Class probabilities of a fold's `valid` or `test` utterances, (N, K) in their order, as a table."""
    ids = list(getattr(fold, split))
    return Predictions(
        ids=ids,
        folds=[fold.name] * len(ids),
        splits=[split] * len(ids),
        speakers=[utterances[item].speaker for item in ids],
        targets=[labels.index(utterances[item].emotion) for item in ids],
        labels=labels,
        probabilities=probabilities,
    )


def save_training(trained: Trained, history: list[dict[str, Any]], folder: Path, record: dict[str, Any]) -> None:
    """Writes the weights, the history of the training and its figures."""
    figures = folder / "figures"
    figures.mkdir(exist_ok=True)
    weights = {
        f"{name}.{key}": value
        for name, module in trained.hparams["modules"].items()
        for key, value in module.state_dict().items()
    }
    save_weights(folder / "model.safetensors", weights)
    write_json(folder / "history.json", {"rows": history, "chosen_update": trained.chosen_update})
    title = f"fold {record['folds'][0]['fold']} of the {corpus_title(record)}"
    training_curves(history, figures / "training_curves.png", trained.chosen_update, title)
    trained.data.draw_figures(trained.brain, figures, title)
