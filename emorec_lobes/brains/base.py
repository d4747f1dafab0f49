"""What every Brain shares: nominal epochs of N updates, checkpoints, resume; and the scores of those of emotions."""

import json
import math
import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import speechbrain as sb
import torch
from speechbrain.utils.checkpoints import mark_as_loader, mark_as_saver, register_checkpoint_hooks
from speechbrain.utils.distributed import if_main_process
from speechbrain.utils.logger import get_logger
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from emorec_lobes.errors import ConfigError
from emorec_lobes.evaluation.metrics import METRICS, scores

logger = get_logger(__name__)


@register_checkpoint_hooks
class History:
    """What training logged at each validation; part of every checkpoint, so a resumed run has it all."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def best_update(self, key: str) -> int | None:
        """The update with the highest validation score, the latest among equals."""
        rows = [row for row in self.rows if row["valid"] is not None]
        return max(rows, key=lambda row: (row["valid"][key], row["update"]))["update"] if rows else None

    @mark_as_saver
    def _save(self, path: Path) -> None:
        Path(path).write_text(json.dumps(self.rows), encoding="utf-8")

    @mark_as_loader
    def _recover(self, path: Path, end_of_epoch: bool) -> None:
        self.rows = json.loads(Path(path).read_text(encoding="utf-8"))


@register_checkpoint_hooks
class RandomState:
    """Torch's random state, CPU and GPU, and Python's: what dropout and augmentation draw from.

    SpeechBrain does not save it.
    """

    @mark_as_saver
    def _save(self, path: Path) -> None:
        gpu = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
        torch.save({"cpu": torch.get_rng_state(), "gpu": gpu, "python": random.getstate()}, path)

    @mark_as_loader
    def _recover(self, path: Path, end_of_epoch: bool) -> None:
        state = torch.load(path, weights_only=True, map_location="cpu")
        random.setstate(state["python"])
        torch.set_rng_state(state["cpu"])
        if torch.cuda.is_available() and len(state["gpu"]) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all(state["gpu"])


@contextmanager
def _random_state_kept() -> Iterator[None]:
    """What is drawn inside is not missed outside."""
    python, devices = random.getstate(), range(torch.cuda.device_count())
    with torch.random.fork_rng(devices=devices):
        yield
    random.setstate(python)


class UpdatesBrain(sb.Brain):
    """Trains for a number of updates, whatever it learns; a killed run goes on as if nothing had happened.

    A subclass implements `compute_forward` and `compute_objectives` as in SpeechBrain, calls `log_losses` in training,
    empties in `clear_answers` what it collects in an evaluation, and says in `scores` how good that was.

    Expects in `hparams`: `updates_per_validation`, `number_of_updates`, `validation_score`
    (one of `scores`: the checkpoint where it is highest is the best), `patience`
    (validations without a better one before training stops, or null), `lr_annealing` (a
    SpeechBrain scheduler that is a function of the epoch, such as LinearScheduler or
    StepScheduler, or null; it is given the nominal epoch), `loss_read_interval`,
    `epoch_counter`, `train_logger` (a `FileTrainLogger`) and `tensorboard_logger` (or null).
    """

    def __init__(self, *args: Any, has_valid: bool = True, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.has_valid = has_valid
        self.watch: Callable[[int], None] | None = None  # called at each validation with the update
        self.history = History()
        self._losses: dict[str, Tensor] = {}
        self._train_means: dict[str, float] = {}
        if self.checkpointer is not None:
            self.checkpointer.add_recoverable("history", self.history)
            self.checkpointer.add_recoverable("random_state", RandomState())

    def log_losses(self, **losses: Tensor) -> None:
        """Adds up loss terms on the device; they are read back once, when the epoch ends."""
        for name, value in losses.items():
            value = value.detach().float()
            self._losses[name] = self._losses[name] + value

    def clear_answers(self) -> None:
        """Forgets what the last evaluation collected; called when one begins."""
        raise NotImplementedError

    def scores(self) -> dict[str, float]:
        """The scores of what the last evaluation collected."""
        raise NotImplementedError

    def fit_batch(self, batch: Any) -> Tensor:
        """One update. SpeechBrain's, without reading the loss back from the device every time."""
        should_step = (self.step % self.grad_accumulation_factor) == 0
        self.on_fit_batch_start(batch, should_step)
        with self.no_sync(not should_step):
            with self.training_ctx:
                outputs = self.compute_forward(batch, sb.Stage.TRAIN)
                loss = self.compute_objectives(outputs, batch, sb.Stage.TRAIN)
            self.scaler.scale(loss / self.grad_accumulation_factor).backward()
        if should_step:
            self.optimizers_step()
        self.on_fit_batch_end(batch, outputs, loss, should_step)
        return loss.detach()

    def optimizers_step(self) -> None:
        """SpeechBrain's; where nothing limits the gradients' norm, they are not gone through twice to find that out."""
        if self.max_grad_norm < math.inf or self.scaler.is_enabled() or self.skip_nonfinite_grads:
            super().optimizers_step()
            return
        for optimizer in self.freeze_optimizers(self.optimizers_dict).values():
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.optimizer_step += 1

    def update_average(self, loss: Tensor, avg_loss: float) -> float:
        """The loss shown in the progress bar, read every `loss_read_interval` updates and checked there."""
        if not self.modules.training:
            return super().update_average(loss, avg_loss)
        if (self.step - 1) % self.hparams.loss_read_interval:
            return avg_loss
        if not np.isfinite(float(loss)):
            raise ConfigError(_not_finite(self.optimizer_step))
        return float(loss)

    def on_stage_start(self, stage: sb.Stage, epoch: int | None = None) -> None:
        """Empties what the stage collects; sets the epoch's learning rate."""
        if stage is not sb.Stage.TRAIN:
            self.clear_answers()
            return
        self._losses = defaultdict(lambda: torch.zeros((), device=self.device))
        if self.hparams.lr_annealing is not None:
            _, new_rate = self.hparams.lr_annealing(epoch - 1)
            sb.nnet.schedulers.update_learning_rate(self.optimizer, new_rate)

    def on_stage_end(self, stage: sb.Stage, stage_loss: float, epoch: int | None = None) -> None:
        """Reads losses and scores; logs and saves once per nominal epoch."""
        if stage is sb.Stage.TRAIN:
            self._train_means = {name: float(total) / self.step for name, total in self._losses.items()}
            if not np.isfinite(list(self._train_means.values())).all():
                raise ConfigError(_not_finite(self.optimizer_step))
            if not self.has_valid:
                self._finish_epoch(epoch, None)
        elif stage is sb.Stage.VALID:
            self._finish_epoch(epoch, {"loss": stage_loss, **self.scores()})

    def on_fit_start(self) -> None:
        """SpeechBrain's, then finishes what a killed run left undone, and stops if training was over."""
        super().on_fit_start()
        self.step = 0  # without validation an epoch is saved before SpeechBrain has counted it as over
        self._delete_checkpoints()
        if if_main_process():
            Path(self.hparams.train_logger.save_file).unlink(missing_ok=True)
        for row in self.history.rows:
            self._log(row)
        self._stop_if_no_better()

    def _wrap_distributed(self) -> None:
        """SpeechBrain's; on CPUs, where SyncBatchNorm does not run, each process normalises its own batch."""
        if not self.distributed_launch or self.device_type != "cpu":
            super()._wrap_distributed()
            return
        for name, module in self.modules.items():
            self.modules[name] = DistributedDataParallel(module, find_unused_parameters=self.find_unused_parameters)

    def _finish_epoch(self, epoch: int, valid: dict[str, float] | None) -> None:
        rate = self.optimizer.param_groups[0]["lr"]
        update = min(epoch * self.hparams.updates_per_validation, self.hparams.number_of_updates)
        self.history.rows.append({"update": update, "train": self._train_means, "valid": valid, "lr": rate})
        if self.watch is not None:  # before the update is saved: what is saved has been watched
            self.watch(update)
        # Saved before it is logged: a run killed in between logs the epoch when it goes on, and not twice.
        score = self.hparams.validation_score
        self.checkpointer.save_checkpoint(meta={"update": update, **({score: valid[score]} if valid else {})})
        self._delete_checkpoints()
        self._log(self.history.rows[-1])
        if self.hparams.tensorboard_logger is not None and if_main_process():
            self.hparams.tensorboard_logger.log_stats({"epoch": update, "lr": rate}, self._train_means, valid)
        self._stop_if_no_better()

    def _delete_checkpoints(self) -> None:
        """Keeps the latest checkpoint and, where validation chooses, the best."""
        self.checkpointer.delete_checkpoints(max_keys=[self.hparams.validation_score] if self.has_valid else [])

    def _log(self, row: dict[str, Any]) -> None:
        about = {"update": row["update"], "lr": row["lr"]}
        self.hparams.train_logger.log_stats(about, row["train"], row["valid"], verbose=False)

    def _stop_if_no_better(self) -> None:
        score = self.hparams.validation_score
        scored = [row["valid"][score] for row in self.history.rows if row["valid"] is not None]
        if self.hparams.patience is None or not scored:
            return
        if len(scored) - 1 - scored.index(max(scored)) >= self.hparams.patience:
            self.hparams.epoch_counter.limit = self.hparams.epoch_counter.current


class EmotionBrain(UpdatesBrain):
    """Classifies utterances; subclasses say how a batch becomes losses and probabilities.

    A subclass implements `compute_forward` and `compute_objectives` as in SpeechBrain, and
    calls `log_losses` in training and `log_probabilities` in evaluation.

    Expects in `hparams`, beside those of `UpdatesBrain`: `labels`.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.clear_answers()

    def clear_answers(self) -> None:
        """Forgets the utterances of the last evaluation."""
        self.predictions: dict[str, np.ndarray] = {}
        self._targets: dict[str, int] = {}

    def answers_now(self, batches: Iterable[Any]) -> dict[str, np.ndarray]:
        """What the weights of this moment answer: id -> class probabilities, (K,). Training goes on as if not asked."""
        was_training = self.modules.training
        self.clear_answers()
        self.modules.eval()
        with _random_state_kept():
            for batch in batches:
                self.evaluate_batch(batch, stage=sb.Stage.TEST)
        self.modules.train(was_training)
        return self.predictions

    def log_probabilities(self, ids: list[str], probabilities: Tensor, targets: Tensor) -> None:
        """Keeps one row of class probabilities, (K,), an utterance."""
        for utterance_id, row, target in zip(ids, probabilities.float().cpu().numpy(), targets.tolist(), strict=True):
            self.predictions[utterance_id] = row
            self._targets[utterance_id] = target

    def scores(self) -> dict[str, float]:
        """Accuracy, UAR, weighted and macro F1 of what the last evaluation collected."""
        predicted = [int(row.argmax()) for row in self.predictions.values()]
        targets = [self._targets[item] for item in self.predictions]
        found = scores(targets, predicted, self.hparams.labels)
        return {name: found[name] for name in METRICS}


def mean_over_segments(probabilities: Tensor, weights: Tensor) -> Tensor:
    """Each utterance's mean of its segments' probabilities, as logs.

    Arguments
    ---------
    probabilities : torch.Tensor, (S, K)
        Of all real segments, utterance after utterance.
    weights : torch.Tensor, (B, N)
        What each of an utterance's segments counts; zero where there is none.

    Returns
    -------
    torch.Tensor, (B, K)

    Example
    -------
    >>> found = mean_over_segments(torch.tensor([[0.2], [0.8], [0.5]]), torch.tensor([[1.0, 3.0], [1.0, 0.0]]))
    >>> found.exp()
    tensor([[0.6500],
            [0.5000]])
    """
    is_real = weights > 0
    weighted = probabilities * weights[is_real].unsqueeze(-1)
    sums = probabilities.new_zeros(len(weights), probabilities.shape[-1])
    sums = sums.index_add_(0, is_real.nonzero()[:, 0], weighted)
    return (sums / weights.sum(dim=1, keepdim=True)).clamp_min(1e-12).log()


def _not_finite(update: int) -> str:
    return f"The loss is no longer a number, by update {update} at the latest. Lower --lr, or use --precision fp32."
