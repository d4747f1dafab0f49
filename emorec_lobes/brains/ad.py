"""Brain of the attribute disentanglement model of Xi 2022."""

from typing import Any

import speechbrain as sb
import torch
from speechbrain.nnet.schedulers import update_learning_rate
from torch import Tensor
from torch.nn.functional import nll_loss

from emorec_lobes.brains.base import EmotionBrain, mean_over_segments
from emorec_lobes.brains.emotion_loss import emotion_loss
from emorec_lobes.labels import UNKNOWN_SPEAKER
from emorec_lobes.lengths import lens_to_mask

_HEADS, _EXTRACTOR = 0, 1  # parameter groups


class ADBrain(EmotionBrain):
    """Trains on random crops by the dual-space loss; answers for whole utterances.

    Source: Xi 2022, sections 3.1.3 and 4.1: heads at a learning rate, the extractor at a hundredth of it. An utterance
    is cut into windows, and its probabilities are the mean of its windows' softmax outputs; or it is taken whole.

    Deviates: nothing; what the paper leaves open is a hyperparameter.

    Expects in `modules`: `model`, an `EmotionNetwork`. Expects in `hparams`, beside those of `EmotionBrain`:
    `dual_space_loss` (scores, emotion, speaker -> losses), `extractor_lr_factor`, `disentanglers_with` (`heads` or
    `extractor`: whose rate AD modules learn at), `segments_per_forward`.
    """

    def compute_forward(self, batch: Any, stage: sb.Stage) -> Any:
        """Scores of a batch of crops, or log-probabilities (B, K) of whole utterances."""
        batch = batch.to(self.device)
        features, lens = batch.spectrum
        if stage is sb.Stage.TRAIN:
            return self.modules.model(features)  # crops have one length
        if features.dim() == 3:
            return self.modules.model(features, lens).emotion.float().log_softmax(dim=1)
        return self._classify(features, lens)

    def compute_objectives(self, predictions: Any, batch: Any, stage: sb.Stage) -> Tensor:
        """The training loss, or the mean negative log-likelihood of the utterances."""
        targets = batch.target.data.to(self.device)  # classes, or shares of them in training
        if stage is not sb.Stage.TRAIN:
            self.log_probabilities(batch.id, predictions.exp(), targets)
            return nll_loss(predictions, targets)
        speakers = batch.speaker.to(self.device)
        losses = self.hparams.dual_space_loss(predictions, targets, speakers, emotion_loss=emotion_loss)
        terms = {"loss": losses.total, "emotion": losses.emotion}
        if predictions.irrelevant:
            terms |= {"relevant": losses.relevant, "irrelevant": losses.irrelevant}
            known = speakers != UNKNOWN_SPEAKER
            hits = torch.stack([scores.argmax(dim=1) == speakers for scores in predictions.irrelevant])
            terms["irrelevant_speaker_accuracy"] = hits.float().mean(dim=0).sum() / known.sum().clamp(min=1)
        self.log_losses(**terms)
        return losses.total

    def init_optimizers(self) -> None:
        """One optimiser with two parameter groups."""
        heads, extractor = self.hparams.model.parameter_groups(self.hparams.disentanglers_with)
        self.optimizer = self.opt_class([{"params": heads}, {"params": extractor}])
        self._slow_down_extractor()
        self.optimizers_dict = {"opt_class": self.optimizer}
        if self.checkpointer is not None:
            self.checkpointer.add_recoverable("optimizer", self.optimizer)

    def on_stage_start(self, stage: sb.Stage, epoch: int | None = None) -> None:
        """The base's, which sets one rate; then the extractor's."""
        super().on_stage_start(stage, epoch)
        if stage is sb.Stage.TRAIN and self.hparams.lr_annealing is not None:
            self._slow_down_extractor()

    def _slow_down_extractor(self) -> None:
        rate = self.optimizer.param_groups[_HEADS]["lr"] * self.hparams.extractor_lr_factor
        update_learning_rate(self.optimizer, rate, param_group=[_EXTRACTOR])

    def _wrap_distributed(self) -> None:
        """The base's; poolings and heads that no loss reaches must not be waited for."""
        self.find_unused_parameters = True
        super()._wrap_distributed()

    def _classify(self, windows: Tensor, lens: Tensor) -> Tensor:
        """Mean of window softmax: (B, N, T, M), (B,) -> (B, K), logs.

        The windows of all utterances go through the model together, `segments_per_forward` at a time.
        """
        is_real = lens_to_mask(lens, windows.shape[1])  # (B, N)
        parts = windows[is_real].split(self.hparams.segments_per_forward)
        scores = torch.cat([self.modules.model(part).emotion.float() for part in parts])
        return mean_over_segments(scores.softmax(dim=1), is_real.float())
