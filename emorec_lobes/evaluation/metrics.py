"""The scores of emotion recognition, each a function of the confusion counts.

Names differ from paper to paper; here they are

| here | elsewhere | Makiuchi et al. 2021 |
|---|---|---|
| `accuracy` | weighted accuracy (WA), micro F1 | UA |
| `uar` | unweighted accuracy (UA), balanced accuracy, macro recall | WA |
| `weighted_f1` | F1 weighted by support (Xi et al. 2022) | - |
| `macro_f1` | unweighted mean of class F1 | - |
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from emorec_lobes.errors import DataError

METRICS = ("accuracy", "uar", "weighted_f1", "macro_f1")
HEADINGS = {"accuracy": "accuracy", "uar": "UAR", "weighted_f1": "weighted F1", "macro_f1": "macro F1"}


def scores(targets: ArrayLike, predictions: ArrayLike, labels: Sequence[str]) -> dict[str, Any]:
    """All scores of a set of answers.

    A class that no utterance belongs to has neither recall nor F1 (both None): it is listed in `absent`
    and left out of `uar` and `macro_f1`.

    Arguments
    ---------
    targets : array of int, (N,)
        True classes, indices into `labels`.
    predictions : array of int, (N,)
        Answered classes, indices into `labels`.
    labels : sequence of str, (K,)
        The classes, in canonical order.

    Returns
    -------
    dict
        `num_utterances`, the four `METRICS`, `per_class_recall` and `per_class_f1` (by label), `absent` (labels) and
        `confusion` (K lists of K counts, a row a true class).

    Raises
    ------
    DataError
        If there is no answer, one without a target, or a class outside `labels`.

    Example
    -------
    >>> result = scores([0, 0, 0, 1], [0, 0, 1, 1], ["angry", "sad"])
    >>> result["accuracy"], round(result["uar"], 3), result["confusion"]
    (0.75, 0.833, [[2, 1], [0, 1]])
    """
    confusion = count_confusions(targets, predictions, len(labels))[0]
    recall, f1 = _recall_and_f1(confusion)
    return {
        "num_utterances": int(confusion.sum()),
        **{name: float(value) for name, value in from_confusion(confusion).items()},
        "per_class_recall": _by_label(labels, recall),
        "per_class_f1": _by_label(labels, f1),
        "absent": [label for label, count in zip(labels, confusion.sum(axis=1), strict=True) if count == 0],
        "confusion": confusion.tolist(),
    }


def majority_baseline(targets: ArrayLike, labels: Sequence[str]) -> dict[str, Any]:
    """What always answering the most frequent class would score: the line between chance and skill.

    Returns
    -------
    dict
        `label` (the first of equals), `num_utterances` and the four `METRICS`.

    Example
    -------
    >>> majority_baseline([0, 1, 1, 1], ["angry", "sad"])["label"]
    'sad'
    """
    targets = np.asarray(targets)
    most_frequent = int(count_confusions(targets, targets, len(labels))[0].diagonal().argmax())
    result = scores(targets, np.full_like(targets, most_frequent), labels)
    return {"label": labels[most_frequent], **{name: result[name] for name in ("num_utterances", *METRICS)}}


def count_confusions(
    targets: ArrayLike, predictions: ArrayLike, num_classes: int, groups: ArrayLike | None = None
) -> np.ndarray:
    """Confusion counts, all together or group by group.

    Arguments
    ---------
    targets, predictions : array of int, (N,)
        Classes in 0..K-1.
    num_classes : int
        K.
    groups : array of int, (N,), optional
        The group of each answer, in 0..G-1; without it all are one.

    Returns
    -------
    np.ndarray, (G, K, K), int64
        A row a true class, a column an answered one.

    Example
    -------
    >>> count_confusions([0, 1, 1], [0, 0, 1], 2, groups=[0, 0, 1]).shape
    (2, 2, 2)
    """
    targets, predictions = np.asarray(targets), np.asarray(predictions)
    groups = np.zeros(targets.shape, dtype=np.int64) if groups is None else np.asarray(groups)
    shapes = [targets.shape, predictions.shape, groups.shape]
    if len(set(shapes)) > 1 or targets.ndim != 1 or not targets.size:
        raise DataError(
            f"targets, predictions and groups must be of one length, at least 1, but are of shapes {shapes} instead. "
            "Give one of each an utterance."
        )
    for name, classes in (("targets", targets), ("predictions", predictions)):
        if not np.issubdtype(classes.dtype, np.integer) or classes.min() < 0 or classes.max() >= num_classes:
            raise DataError(
                f"`{name}` must be integers in 0..{num_classes - 1}, but is {np.unique(classes).tolist()} instead. "
                "Give indices into `labels`."
            )
    confusions = np.zeros((groups.max() + 1, num_classes, num_classes), dtype=np.int64)
    np.add.at(confusions, (groups, targets, predictions), 1)
    return confusions


def from_confusion(confusion: np.ndarray) -> dict[str, np.ndarray]:
    """The four `METRICS` of one confusion matrix or of a whole stack of them at once.

    Arguments
    ---------
    confusion : np.ndarray, (..., K, K)
        Counts, a row a true class; at least one count in each matrix.

    Returns
    -------
    dict
        Metric name -> values of shape (...).

    Example
    -------
    >>> from_confusion(np.array([[[2, 0], [0, 2]], [[2, 0], [2, 0]]]))["uar"]
    array([1. , 0.5])
    """
    recall, f1 = _recall_and_f1(confusion)
    support = confusion.sum(axis=-1)
    total = support.sum(axis=-1)
    return {
        "accuracy": np.trace(confusion, axis1=-2, axis2=-1) / total,
        "uar": np.nanmean(recall, axis=-1),
        "weighted_f1": np.nansum(f1 * support, axis=-1) / total,
        "macro_f1": np.nanmean(f1, axis=-1),
    }


def rounded(value: float | None) -> str:
    """A score as tables show it."""
    return "-" if value is None else f"{value:.3f}"


def _recall_and_f1(confusion: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Per class, (..., K, K) -> (..., K); NaN where a class has no utterance."""
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    support, answered = confusion.sum(axis=-1), confusion.sum(axis=-2)
    present = np.where(support > 0, support, np.nan)
    return hits / present, 2 * hits / (present + answered)


def _by_label(labels: Sequence[str], values: np.ndarray) -> dict[str, float | None]:
    return {label: None if np.isnan(value) else float(value) for label, value in zip(labels, values, strict=True)}
