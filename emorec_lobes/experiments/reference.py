"""The reference every speech model stands beside: a linear SVM on mean and deviation of the same layers."""

from collections.abc import Mapping, Sequence
from functools import partial
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
from speechbrain.utils.distributed import if_main_process

from emorec_lobes.corpora.manifest import Utterance
from emorec_lobes.corpora.protocol import Fold, statistics_stamp
from emorec_lobes.dataio.class_weights import check_class_weights, class_weights
from emorec_lobes.dataio.normalise import Normaliser
from emorec_lobes.errors import ConfigError, ProtocolError
from emorec_lobes.evaluation.metrics import scores
from emorec_lobes.evaluation.predictions import Predictions
from emorec_lobes.experiments.folds import FoldAnswers, start_folder, tabulate
from emorec_lobes.experiments.linear_svm import SolverOptions, best_c, fit_svm, svm_probabilities
from emorec_lobes.experiments.settings import Settings
from emorec_lobes.experiments.speech import extract_features
from emorec_lobes.files import write_json


class LayerStatistics:
    """Mean and deviation over time of every encoder layer, 2 x L x D numbers an utterance.

    They come from the statistics in the store: with or without normalisation, no frame is read.

    Arguments
    ---------
    settings : Settings
        Of a reference recipe.
    utterances : mapping
        id -> `Utterance`. Layers missing in the feature store are computed now.
    run_opts : mapping
        SpeechBrain's: the encoder runs on `device`, and `noprogressbar` hides the bar.

    Raises
    ------
    ConfigError
        If a setting cannot mean anything for an SVM.
    """

    def __init__(self, settings: Settings, utterances: Mapping[str, Utterance], run_opts: Any) -> None:
        _check(settings)
        layers = extract_features(settings, utterances, run_opts, features=("layers",))["layers"]
        self.audio_hashes = layers.audio_hashes
        self.features = {"layers": layers.folder.name}
        normaliser = Normaliser(layers, utterances, settings["normalise"])
        self._rows = {item: np.stack(normaliser.statistics(item)).ravel() for item in utterances}

    def rows(self, ids: Sequence[str]) -> np.ndarray:
        """The utterances' features, (N, 2 x L x D)."""
        return np.stack([self._rows[item] for item in ids])

    def stamp(self, settings: Settings) -> dict[str, Any]:
        """The fields of a trained model's stamp, and what an SVM adds to them."""
        chosen_on = {} if len(settings["c_values"]) > 1 else {"checkpoint_chosen_on": "nothing: C was given"}
        return {
            **{key: settings[key] for key in ("encoder", "normalise")},
            "enrolment": "none",
            "aligner": "none",
            **statistics_stamp(settings["normalise"] == "speaker"),
            "as_the_authors": [],
            "classifier": "linear SVM on mean and deviation of each layer",
            "probabilities": "softmax of the decision function, uncalibrated",
            **chosen_on,
        }


def answer_with_svm(
    task: LayerStatistics,
    settings: Settings,
    run_opts: Any,
    fold: Fold,
    utterances: Mapping[str, Utterance],
    folder: Path,
) -> FoldAnswers:
    """Fits an SVM for each C, chooses one by the UAR on `valid`, and lets it answer; a `FoldSolver`."""
    labels = tuple(settings["labels"])
    options = SolverOptions(settings["tolerance"], settings["max_iterations"], settings["seed"])
    if if_main_process():
        start_folder(folder, settings.resolved(fold=fold.name))
    _check_classes(fold, utterances)

    def fit(ids: Sequence[str], c: float) -> Any:
        emotions = [utterances[item].emotion for item in ids]
        weights = class_weights(settings["class_weights"], labels, emotions)
        return fit_svm(task.rows(ids), np.array([labels.index(each) for each in emotions]), c, options, weights)

    def table(svm: Any, split: str) -> Predictions:
        probabilities = svm_probabilities(svm, task.rows(getattr(fold, split)), len(labels))
        return tabulate(fold, split, utterances, labels, probabilities)

    svms = {float(c): fit(fold.train, float(c)) for c in settings["c_values"]}
    validated = {c: table(svm, "valid") for c, svm in svms.items()} if fold.valid else {}
    uar_of = {c: scores(answers.targets, answers.predicted, labels)["uar"] for c, answers in validated.items()}
    chosen = best_c(uar_of) if fold.valid else next(iter(svms))
    final = fit((*fold.train, *fold.valid), chosen) if fold.valid and settings["refit"] else svms[chosen]
    tables = [validated[chosen]] if fold.valid else []
    return FoldAnswers(
        predictions=Predictions.concatenate([*tables, table(final, "test")]),
        chosen={"chosen_c": chosen},
        save=partial(_save_choice, uar_of),
    )


def _save_choice(uar_of: Mapping[float, float], folder: Path, record: Mapping[str, Any]) -> None:
    rows = [{"c": c, "uar": uar} for c, uar in sorted(uar_of.items())]
    write_json(folder / "validation.json", {"rows": rows, "chosen_c": record["stamp"]["chosen_c"]})


def _check(settings: Settings) -> None:
    """Refuses settings that mean nothing here, before anything is extracted."""
    values = settings["c_values"]
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    if not values or len(set(numbers)) < len(values) or not all(value > 0 and isfinite(value) for value in numbers):
        raise ConfigError(f"`c_values` must be different numbers above 0, but is {list(values)} instead. Change it.")
    if settings["protocol"] == "paper" and len(values) > 1:
        raise ConfigError(
            f"`c_values` must be a single one under the protocol paper, which has no validation speakers to choose "
            f"by, but is {list(values)} instead. Add e.g. --c_values [{values[0]}], or use --protocol strict."
        )
    check_class_weights(settings["class_weights"], settings["labels"])
    if settings["normalise"] == "utterance":
        raise ConfigError(
            "`normalise` must be none or speaker, but is utterance instead, which makes every mean 0 and every "
            "deviation 1. Choose another."
        )


def _check_classes(fold: Fold, utterances: Mapping[str, Utterance]) -> None:
    found = {utterances[item].emotion for item in fold.train}
    if len(found) < 2:
        raise ProtocolError(
            f"Fold {fold.name} must train on at least two classes, but has only {', '.join(found)}. "
            "Use another scheme or other --speaker_groups."
        )
