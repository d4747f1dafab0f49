"""Brain that learns to tell speakers apart, and embeds utterances of any speaker."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import speechbrain as sb
import torch
from torch import Tensor

from emorec_lobes.brains.base import UpdatesBrain


class SpeakerBrain(UpdatesBrain):
    """Trains on crops of waves; answers for whole utterances.

    Waves become filter banks here, and lose their mean over time where `subtract_mean` says so: of a crop in training,
    of the utterance else. There is no voice activity detection.

    Expects in `modules`: `model`, a `SpeakerNetwork`. Expects in `hparams`, beside those of `UpdatesBrain`:
    `filter_bank`, `subtract_mean`, `loss` and `losses`, in which it names one: (scores (B, 1, N), targets (B, 1)) ->
    the mean loss.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.filter_bank = self.hparams.filter_bank.to(self.device)
        self.clear_answers()

    def clear_answers(self) -> None:
        """Forgets what the last evaluation counted."""
        self.num_correct, self.num_answers = 0, 0

    def scores(self) -> dict[str, float]:
        """The share of utterances whose speaker was found."""
        return {"accuracy": self.num_correct / max(self.num_answers, 1)}

    def compute_forward(self, batch: Any, stage: sb.Stage) -> Any:
        """Embeddings and scores of a batch of waves."""
        return self.modules.model(*self._features(batch))

    def compute_objectives(self, predictions: Any, batch: Any, stage: sb.Stage) -> Tensor:
        """The mean loss; an evaluation counts right answers."""
        targets = batch.target.to(self.device)
        loss = self.hparams.losses[self.hparams.loss](predictions.scores.float().unsqueeze(1), targets.unsqueeze(1))
        if stage is sb.Stage.TRAIN:
            self.log_losses(loss=loss)
        else:
            self.num_correct += int((predictions.scores.argmax(dim=1) == targets).sum())
            self.num_answers += len(targets)
        return loss

    def embeddings(self, batches: Iterable[Any]) -> dict[str, np.ndarray]:
        """Id -> (E,), of whole utterances."""
        return self._collect(batches, lambda *features: self.modules.model(*features).embedding)

    def mean_filter_banks(self, batches: Iterable[Any]) -> dict[str, np.ndarray]:
        """Id -> (M,), the mean over time of whole utterances: what needs no network."""
        return self._collect(batches, _mean_over_time, subtract_mean=False)

    def _collect(
        self, batches: Iterable[Any], vectors_of: Callable[[Tensor, Tensor | None], Tensor], **options: bool
    ) -> dict[str, np.ndarray]:
        found = {}
        self.modules.eval()
        for batch in batches:
            with torch.no_grad(), self.evaluation_ctx:
                vectors = vectors_of(*self._features(batch, **options)).float().cpu().numpy()
            found.update(zip(batch.id, vectors, strict=True))
        return found

    def _features(self, batch: Any, subtract_mean: bool | None = None) -> tuple[Tensor, Tensor | None]:
        """Filter banks (B, T, M) and relative lengths (B,), None where nothing is padded."""
        waves, lens = batch.wave.data.to(self.device), batch.wave.lengths
        with torch.no_grad():
            if (lens == 1).all():
                features, frame_lens = self.filter_bank(waves), None
            else:
                lens = lens.to(self.device)
                features = self.filter_bank(waves, lens)
                frame_lens = self.filter_bank.mask(lens, waves.shape[1]).sum(dim=1) / features.shape[1]
            if self.hparams.subtract_mean if subtract_mean is None else subtract_mean:
                # What stands at padded frames counts for nothing behind this.
                features = features - _mean_over_time(features, frame_lens).unsqueeze(1)
        return features, frame_lens


def _mean_over_time(features: Tensor, lens: Tensor | None) -> Tensor:
    """(B, T, M), zeros at padded frames, -> (B, M)."""
    if lens is None:
        return features.mean(dim=1)
    return features.sum(dim=1) / (lens * features.shape[1]).round().unsqueeze(1)
