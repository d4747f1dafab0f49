"""Brain of the classifier of speech and text."""

from typing import Any

import speechbrain as sb
from torch import Tensor

from emorec_lobes.brains.ter import TERBrain


class FusionBrain(TERBrain):
    """Trains on random crops and their whole texts; answers for whole utterances.

    The loss, the probabilities and what is expected in `hparams` are those of the text Brain.
    """

    def compute_forward(self, batch: Any, stage: sb.Stage) -> Tensor:
        """Class scores of a batch of utterances, (B, K)."""
        batch = batch.to(self.device)
        counts = [each.to(self.device) for each in (batch.num_frames, batch.num_tokens)]  # made of numbers: not moved
        return self.modules.model(batch.layers.data, counts[0], batch.tokens.data, counts[1])
