"""A table of answers with known skill, for the tests of this folder."""

from collections.abc import Callable

import numpy as np
import pytest

from emorec_lobes.evaluation.predictions import Predictions
from emorec_lobes.labels import CANONICAL


@pytest.fixture
def answers() -> Callable[..., Predictions]:
    """`answers(num_utterances, num_classes, num_speakers, split, seed)`: two speakers a fold."""

    def make(num_utterances=120, num_classes=4, num_speakers=10, split="test", seed=0) -> Predictions:
        generator = np.random.default_rng(seed)
        targets = generator.integers(0, num_classes, num_utterances)
        speakers = generator.integers(0, num_speakers, num_utterances)
        logits = generator.normal(size=(num_utterances, num_classes))
        logits[np.arange(num_utterances), targets] += 1.0
        weights = np.exp(logits)
        return Predictions(
            ids=[f"utt_{number}" for number in range(num_utterances)],
            folds=[str(speaker // 2 + 1) for speaker in speakers],
            splits=[split] * num_utterances,
            speakers=[f"spk_{speaker}" for speaker in speakers],
            targets=targets,
            labels=CANONICAL[:num_classes],
            probabilities=weights / weights.sum(axis=1, keepdims=True),
        )

    return make
