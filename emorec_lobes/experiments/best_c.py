"""What linear references share: one classifier for each C, and the one that validation scores best answers."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
from speechbrain.utils.distributed import if_main_process
from tqdm import tqdm

from emorec_lobes.corpora.manifest import Utterance
from emorec_lobes.corpora.protocol import Fold
from emorec_lobes.dataio.class_weights import check_class_weights
from emorec_lobes.errors import ConfigError, ProtocolError
from emorec_lobes.evaluation.metrics import scores
from emorec_lobes.evaluation.predictions import Predictions
from emorec_lobes.experiments.folds import FoldAnswers, tabulate
from emorec_lobes.experiments.settings import Settings
from emorec_lobes.experiments.training import start_folder
from emorec_lobes.files import write_json

# Ids -> class probabilities, (N, K).
Classifier = Callable[[Sequence[str]], np.ndarray]

# (task, settings, utterances, training ids) -> what fits a classifier on them, given C. What is the same for each C,
# such as a vocabulary, is made once, of the training ids alone.
Trainer = Callable[[Any, Settings, Mapping[str, Utterance], Sequence[str]], Callable[[float], Classifier]]


def answer_with_best_c(
    trainer: Trainer,
    task: Any,
    settings: Settings,
    run_opts: Any,
    fold: Fold,
    utterances: Mapping[str, Utterance],
    folder: Path,
) -> FoldAnswers:
    """Fits a classifier for each C, chooses one by its score on `valid`, and lets it answer.

    With a trainer in front it is a `FoldSolver`. Where the settings say so, the chosen one is fitted again on train
    and valid.
    """
    labels, metric = tuple(settings["labels"]), settings["validation_score"]
    if if_main_process():
        start_folder(folder, settings.resolved(fold=fold.name))
    _check_classes(fold, utterances)

    def table(classifier: Classifier, split: str) -> Predictions:
        return tabulate(fold, split, utterances, labels, classifier(getattr(fold, split)))

    fit = trainer(task, settings, utterances, fold.train)
    bar = tqdm(settings["c_values"], desc="fits", delay=1, disable=run_opts["noprogressbar"])
    classifiers = {float(c): fit(float(c)) for c in bar}
    validated = {c: table(classifier, "valid") for c, classifier in classifiers.items()} if fold.valid else {}
    score_of = {c: scores(answers.targets, answers.predicted, labels)[metric] for c, answers in validated.items()}
    chosen = best_c(score_of) if fold.valid else next(iter(classifiers))
    final = classifiers[chosen]
    if fold.valid and settings["refit"]:
        final = trainer(task, settings, utterances, (*fold.train, *fold.valid))(chosen)
    tables = [validated[chosen]] if fold.valid else []
    return FoldAnswers(
        predictions=Predictions.concatenate([*tables, table(final, "test")]),
        chosen={"chosen_c": chosen},
        save=partial(_save_choice, score_of, metric),
    )


def best_c(score_of: Mapping[float, float]) -> float:
    """The C with the highest score; of equals the smallest, which regularises most.

    Example
    -------
    >>> best_c({1.0: 0.75, 0.1: 0.75, 0.01: 0.5})
    0.1
    """
    # Equal recalls summed in another order differ in their last bit.
    return max(score_of, key=lambda c: (round(score_of[c], 9), -c))


def check_linear(settings: Settings) -> None:
    """Refuses settings that mean nothing for a linear classifier, before anything is extracted.

    Raises
    ------
    ConfigError
        If `c_values` or `class_weights` cannot be used.
    """
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


def choice_stamp(settings: Settings) -> dict[str, str]:
    """What the stamp says of a single C, which nothing chose; nothing where several are tried."""
    return {} if len(settings["c_values"]) > 1 else {"checkpoint_chosen_on": "nothing: C was given"}


def _save_choice(score_of: Mapping[float, float], metric: str, folder: Path, record: Mapping[str, Any]) -> None:
    rows = [{"c": c, metric: score} for c, score in sorted(score_of.items())]
    write_json(folder / "validation.json", {"rows": rows, "chosen_c": record["stamp"]["chosen_c"]})


def _check_classes(fold: Fold, utterances: Mapping[str, Utterance]) -> None:
    found = {utterances[item].emotion for item in fold.train}
    if len(found) < 2:
        raise ProtocolError(
            f"Fold {fold.name} must train on at least two classes, but has only {', '.join(found)}. "
            "Use another scheme or other --speaker_groups."
        )
