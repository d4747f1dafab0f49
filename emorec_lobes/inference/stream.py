"""Audio that comes in chunks, answered while it comes."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from torch import Tensor

from emorec_lobes.features.resampling import Resampler
from emorec_lobes.inference.inputs import as_samples
from emorec_lobes.inference.prediction import Question
from emorec_lobes.inference.timeline import Segment
from emorec_lobes.inference.windows import Window, Windows
from emorec_lobes.units import SAMPLE_RATE_HZ, Hertz, Seconds


class Stream:
    """Takes chunks of any size, and gives the segments that they complete.

    The segments are those of `EmotionRecognizer.timeline` of the whole, whatever the chunks were, but for rounding.

    Arguments
    ---------
    classify : callable
        16 kHz waves -> probabilities of the model's labels (B, K), NaN where a wave cannot be judged.
    question : Question
        Which labels may be answered.
    sample_rate_hz : int
        Of the chunks.
    window_s, shift_s : float
        As `Windows`.

    Example
    -------
    >>> import torch
    >>> fair = lambda waves: np.full((len(waves), 2), 0.5)
    >>> stream = Stream(fair, Question(("angry", "sad")), 8_000, window_s=3.0, shift_s=1.0)
    >>> noise = torch.randn(28_000, generator=torch.Generator().manual_seed(0))
    >>> len(stream.push(noise[:8_000])), len(stream.push(noise[8_000:])), len(stream.finish())
    (0, 2, 2)
    >>> round(stream.latency_s, 1)
    2.0
    """

    def __init__(
        self,
        classify: Callable[[list[Tensor]], np.ndarray],
        question: Question,
        sample_rate_hz: Hertz,
        window_s: Seconds,
        shift_s: Seconds,
    ) -> None:
        self._classify, self._question = classify, question
        self._resampler = Resampler(sample_rate_hz)
        self._windows = Windows(window_s, shift_s)
        self._latency_s = (window_s + shift_s) / 2 + self._resampler.delay_s

    @property
    def latency_s(self) -> Seconds:
        """How much later than a moment the last sample comes that its answer waits for, at most; computing adds to it.

        The end of a segment waits `shift_s` less.
        """
        return self._latency_s

    @property
    def duration_s(self) -> Seconds:
        """How much has been heard."""
        return self._windows.num_samples / SAMPLE_RATE_HZ

    def push(self, chunk: ArrayLike | Tensor) -> list[Segment]:
        """The segments that these samples complete: (S,), or with channels as the shorter axis.

        Raises
        ------
        DataError
            If they are no finite samples.
        """
        mono = as_samples(chunk, "the chunk").mean(dim=1)  # (S, C) -> (S,)
        return self._answered(self._windows.push(self._resampler.push(mono)))

    def finish(self) -> list[Segment]:
        """The segments up to the end."""
        windows = self._windows.push(self._resampler.finish())
        return self._answered(windows + self._windows.finish())

    def _answered(self, windows: list[Window]) -> list[Segment]:
        if not windows:
            return []
        rows = self._classify([each.wave for each in windows])
        answers = [None if np.isnan(row).any() else self._question.answer(row) for row in rows]
        return [
            Segment(window.start_s, window.stop_s, answer.label, answer.probabilities)
            for window, answer in zip(windows, answers, strict=True)
            if answer is not None and answer.label is not None
        ]
