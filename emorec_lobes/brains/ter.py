"""Brain of the text CNN of Makiuchi 2021."""

from typing import Any

import speechbrain as sb
from torch import Tensor
from torch.nn.functional import nll_loss

from emorec_lobes.brains.base import EmotionBrain
from emorec_lobes.brains.emotion_loss import emotion_loss


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
        targets = batch.target.data.to(self.device)  # classes, or shares of them in training
        if stage is not sb.Stage.TRAIN:
            answers = predictions.float().log_softmax(dim=-1)
            self.log_probabilities(batch.id, answers.exp(), targets)
            return nll_loss(answers, targets)
        loss = emotion_loss(predictions, targets, self.hparams.class_weights, self.hparams.label_smoothing)
        self.log_losses(loss=loss)
        return loss
