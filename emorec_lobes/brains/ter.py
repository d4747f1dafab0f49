"""Brain of the text CNN of Makiuchi 2021."""

from typing import Any

import speechbrain as sb
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, nll_loss

from emorec_lobes.brains.base import EmotionBrain


class TERBrain(EmotionBrain):
    """Trains and answers on whole utterances.

    Source: Makiuchi 2021, section 3.2: cross-entropy, and the softmax as class probabilities.

    Deviates: nothing.

    Expects in `modules`: `model`. Expects in `hparams`, beside those of `EmotionBrain`: `class_weights` (K numbers or
    null), `label_smoothing`.
    """

    def compute_forward(self, batch: Any, stage: sb.Stage) -> Tensor:
        """Class scores of a batch of utterances, (B, K)."""
        tokens, lens = batch.to(self.device).tokens
        return self.modules.model(tokens, lens)

    def compute_objectives(self, predictions: Tensor, batch: Any, stage: sb.Stage) -> Tensor:
        """The training loss, or the mean negative log-likelihood of the utterances."""
        targets = batch.target.to(self.device)
        if stage is not sb.Stage.TRAIN:
            answers = predictions.float().log_softmax(dim=-1)
            self.log_probabilities(batch.id, answers.exp(), targets)
            return nll_loss(answers, targets)
        weights = self.hparams.class_weights
        weights = None if weights is None else torch.tensor(weights, dtype=torch.float32, device=self.device)
        loss = cross_entropy(predictions, targets, weight=weights, label_smoothing=self.hparams.label_smoothing)
        self.log_losses(loss=loss)
        return loss
