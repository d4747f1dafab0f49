"""From a model's probabilities to an answer: of some labels only, with its confidence, or none."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from emorec_lobes.errors import ConfigError, not_one_of
from emorec_lobes.evaluation.calibration import temper
from emorec_lobes.units import Seconds


@dataclass(frozen=True)
class Prediction:
    """The answer for one utterance."""

    label: str | None
    """None: too unsure for the threshold, or nothing could be said."""
    probabilities: dict[str, float]
    """By label, of the labels asked for; their sum is 1."""
    margin: float
    """The best probability less the second."""
    confidence: float
    """The calibrated probability of the best label."""
    embedding: np.ndarray | None = None
    """What the classifier saw, (E,) float32, if asked for."""
    warnings: tuple[str, ...] = ()
    """E.g. "too short", "clipped", "silent", "resampled from 44100 Hz"."""
    duration_s: Seconds | None = None

    def as_dict(self) -> dict[str, Any]:
        """All but the embedding, as JSON takes it."""
        names = ("label", "confidence", "margin", "probabilities", "duration_s")
        return {name: getattr(self, name) for name in names} | {"warnings": list(self.warnings)}


@dataclass(frozen=True)
class Question:
    """Which labels may be answered, and how sure an answer must be.

    Arguments
    ---------
    model_labels : sequence of str
        In the order of the model's classes.
    temperature : float
        Calibrates the confidence.
    labels : sequence of str, optional
        Those asked for; all if None.
    threshold : float, optional
        Least confidence of an answer, in [0, 1].

    Raises
    ------
    ConfigError
        If a label is not the model's, or given twice, or the threshold is out of range.

    Example
    -------
    >>> question = Question(["angry", "happy", "sad"], labels=["sad", "angry"], threshold=0.7)
    >>> question.answer(np.array([0.2, 0.5, 0.3])).probabilities
    {'sad': 0.6, 'angry': 0.4}
    >>> question.answer(np.array([0.2, 0.5, 0.3])).label
    """

    model_labels: Sequence[str]
    temperature: float = 1.0
    labels: Sequence[str] | None = None
    threshold: float | None = None

    def __post_init__(self) -> None:
        for label in self.labels or ():
            if label not in self.model_labels:
                raise ConfigError(not_one_of("labels", label, self.model_labels))
        if self.labels is not None and (not self.labels or len(set(self.labels)) < len(self.labels)):
            raise ConfigError(f"`labels` must differ and be one at least, but are {list(self.labels)}. Name some once.")
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise ConfigError(f"`threshold` must be from 0 to 1, but is {self.threshold} instead. Use e.g. 0.5.")

    @property
    def asked(self) -> Sequence[str]:
        """The labels of an answer, in its order."""
        return self.model_labels if self.labels is None else self.labels

    def answer(self, probabilities: np.ndarray, **facts: Any) -> Prediction:
        """The answer for a model's probabilities (K,); `facts` are the further fields of `Prediction`."""
        chosen = self.chosen(probabilities)
        confidence = float(temper(chosen[None], self.temperature)[0].max())
        best, second = np.sort(np.append(chosen, 0.0))[::-1][:2]
        is_sure = self.threshold is None or confidence >= self.threshold
        label = self.asked[int(chosen.argmax())] if is_sure else None
        return Prediction(label, self._by_label(chosen), float(best - second), confidence, **facts)

    def nothing(self, **facts: Any) -> Prediction:
        """The answer where there is nothing to go by: no label, and all of them alike."""
        share = 1 / len(self.asked)
        return Prediction(None, dict.fromkeys(self.asked, share), 0.0, share, **facts)

    def chosen(self, probabilities: np.ndarray) -> np.ndarray:
        """The probabilities of the labels asked for, as if there were no others."""
        chosen = np.asarray(probabilities, dtype=np.float64)[[list(self.model_labels).index(x) for x in self.asked]]
        total = chosen.sum()
        return chosen / total if total > 0 else np.full(len(chosen), 1 / len(chosen))

    def _by_label(self, chosen: np.ndarray) -> dict[str, float]:
        return {label: float(value) for label, value in zip(self.asked, chosen, strict=True)}
