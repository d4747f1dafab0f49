"""The reference every speech model stands beside: a linear SVM on mean and deviation of the same layers."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from emorec_lobes.corpora.manifest import Utterance
from emorec_lobes.corpora.protocol import statistics_stamp
from emorec_lobes.dataio.class_weights import class_weights
from emorec_lobes.dataio.normalise import Normaliser
from emorec_lobes.errors import ConfigError
from emorec_lobes.experiments.best_c import Classifier, answer_with_best_c, check_linear, choice_stamp
from emorec_lobes.experiments.linear_svm import SolverOptions, fit_svm, svm_probabilities
from emorec_lobes.experiments.settings import Settings
from emorec_lobes.experiments.speech import extract_features


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
        return {
            **{key: settings[key] for key in ("encoder", "normalise")},
            "enrolment": "none",
            "aligner": "none",
            **statistics_stamp(settings["normalise"] == "speaker"),
            "as_the_authors": [],
            "classifier": "linear SVM on mean and deviation of each layer",
            "probabilities": "softmax of the decision function, uncalibrated",
            **choice_stamp(settings),
        }


def svm_trainer(
    task: LayerStatistics, settings: Settings, utterances: Mapping[str, Utterance], ids: Sequence[str]
) -> Callable[[float], Classifier]:
    """What fits an SVM on utterances, given C; a `Trainer`."""
    labels = list(settings["labels"])
    options = SolverOptions(settings["tolerance"], settings["max_iterations"], settings["seed"])
    emotions = [utterances[item].emotion for item in ids]
    targets = np.array([labels.index(each) for each in emotions])
    weights = class_weights(settings["class_weights"], labels, emotions)
    features = task.rows(ids)

    def fit(c: float) -> Classifier:
        svm = fit_svm(features, targets, c, options, weights)
        return lambda others: svm_probabilities(svm, task.rows(others), len(labels))

    return fit


answer_with_svm = partial(answer_with_best_c, svm_trainer)


def _check(settings: Settings) -> None:
    """Refuses settings that mean nothing here, before anything is extracted."""
    check_linear(settings)
    if settings["normalise"] == "utterance":
        raise ConfigError(
            "`normalise` must be none or speaker, but is utterance instead, which makes every mean 0 and every "
            "deviation 1. Choose another."
        )
