"""Brain of the cross-representation speech model of Makiuchi 2021."""

from typing import Any

import speechbrain as sb
import torch
from torch import Tensor
from torch.nn.functional import nll_loss

from emorec_lobes.brains.base import EmotionBrain, mean_over_segments
from emorec_lobes.brains.emotion_loss import emotion_loss


class SERBrain(EmotionBrain):
    """Trains on random crops; answers for whole utterances.

    Source: Makiuchi 2021, sections 3.1 and 4.2. Training adds two reconstruction losses and
    the cross-entropy. An utterance is cut into consecutive segments, and its probabilities
    are the mean of its segments' softmax outputs.

    Deviates: `segment_weights: frames`, so that a tail of a few frames does not count as much
    as a full segment; the authors weigh all alike (equal).

    Expects in `modules`: `model`. Expects in `hparams`, beside those of `EmotionBrain`:
    `emotion_weight`, `mel_first_weight`, `mel_weight`, `masked` (whether padded frames are
    kept out of the losses), `reconstruction_loss`, `class_weights` (K numbers or
    null), `label_smoothing`, `spec_augment` (whether `layer_augment` augments the layers of
    crops, the targets staying clean), `segment_weights` (`equal`, or `frames`: each by its
    valid frames), `segments_per_forward`.
    """

    def compute_forward(self, batch: Any, stage: sb.Stage) -> Any:
        """Model output of a batch of crops, or log-probabilities (B, K) of whole utterances."""
        batch = batch.to(self.device, non_blocking=True)  # an accelerator's work goes on while the next one comes
        if stage is sb.Stage.TRAIN:
            phones = batch.phones.data if self.reconstructs else None
            # Not by the line above: SpeechBrain moves what was a tensor in each item, and this was a number.
            num_valid = batch.num_valid.to(self.device, non_blocking=True)
            layers = batch.layers.data
            if self.hparams.spec_augment:
                layers = self.hparams.layer_augment(layers)
            return self.modules.model(layers, batch.speaker_vector.data, phones, num_valid)
        return self._classify(batch.layers.data, batch.num_valid.data, batch.speaker_vector.data)

    def compute_objectives(self, predictions: Any, batch: Any, stage: sb.Stage) -> Tensor:
        """The training loss, or the mean negative log-likelihood of the utterances."""
        targets = batch.target.data.to(self.device, non_blocking=True)  # classes, or shares of them in training
        if stage is not sb.Stage.TRAIN:
            self.log_probabilities(batch.id, predictions.exp(), targets)
            return nll_loss(predictions, targets)
        emotion = emotion_loss(predictions.logits, targets, self.hparams.class_weights, self.hparams.label_smoothing)
        loss = self.hparams.emotion_weight * emotion
        terms = {"emotion": emotion}
        if self.reconstructs:
            num_valid = batch.num_valid.to(self.device, non_blocking=True) if self.hparams.masked else None
            target = batch.mel.data
            terms["mel_first"] = self.hparams.reconstruction_loss(predictions.mel_first, target, num_valid)
            terms["mel"] = self.hparams.reconstruction_loss(predictions.mel, target, num_valid)
            loss = loss + self.hparams.mel_first_weight * terms["mel_first"] + self.hparams.mel_weight * terms["mel"]
        self.log_losses(loss=loss, **terms)
        return loss

    def reconstruct(self, crop: dict[str, Any]) -> tuple[Tensor, Tensor]:
        """Target and reconstructed mel of one training item without its padding, each (T, M), on the CPU."""
        inputs = [crop[name].unsqueeze(0).to(self.device) for name in ("layers", "speaker_vector", "phones")]
        num_valid = torch.tensor([crop["num_valid"]], device=self.device)
        # The plain model: this runs in one process, and a distributed one would wait for the others.
        with torch.no_grad():
            output = self.hparams.model.eval()(*inputs, num_valid)
        return crop["mel"][: crop["num_valid"]], output.mel[0, : crop["num_valid"]].float().cpu()

    def _wrap_distributed(self) -> None:
        """The base's; a decoder that no loss reaches must not be waited for."""
        self.find_unused_parameters |= not self.reconstructs
        super()._wrap_distributed()

    @property
    def reconstructs(self) -> bool:
        """Whether a reconstruction loss trains the decoder."""
        return self.hparams.mel_first_weight > 0 or self.hparams.mel_weight > 0

    def _classify(self, segments: Tensor, num_valid: Tensor, speaker: Tensor) -> Tensor:
        """Mean of segment softmax, weighted as `segment_weights` says: (B, N, T, L, D), (B, N), (B, E) -> (B, K), logs.

        Padding segments have no valid frame. The segments of all utterances go through the
        model together, `segments_per_forward` at a time so that memory stays bounded.
        """
        is_real = num_valid > 0  # (B, N)
        owner = is_real.nonzero()[:, 0]
        flat = segments[is_real]  # (B, N, T, L, D) -> (S, T, L, D), S real segments of the batch
        inputs = [part.split(self.hparams.segments_per_forward) for part in (flat, speaker[owner], num_valid[is_real])]
        logits = [
            self.modules.model(layers, vectors, num_valid=counts).logits
            for layers, vectors, counts in zip(*inputs, strict=True)
        ]
        probabilities = torch.cat(logits).float().softmax(dim=-1)
        weights = (num_valid if self.hparams.segment_weights == "frames" else is_real).float()  # (B, N)
        return mean_over_segments(probabilities, weights)
