"""A Brain at work in a folder: log files, checkpoints, batches."""

from collections.abc import Mapping
from functools import cache
from math import ceil
from pathlib import Path
from typing import Any, TypeVar

import speechbrain as sb
import torch
from safetensors.torch import save
from speechbrain.core import DEFAULT_LOG_CONFIG
from speechbrain.dataio.dataloader import make_dataloader
from speechbrain.utils.distributed import if_main_process
from speechbrain.utils.epoch_loop import EpochCounter
from speechbrain.utils.logger import get_environment_description, setup_logging
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from emorec_lobes.brains.base import UpdatesBrain
from emorec_lobes.dataio.sampler import DrawSampler
from emorec_lobes.errors import UnavailableError
from emorec_lobes.experiments.checkpoints import AtomicCheckpointer
from emorec_lobes.experiments.fingerprint import num_processes
from emorec_lobes.experiments.memory import keep_freed_memory
from emorec_lobes.files import write_atomically

AnyBrain = TypeVar("AnyBrain", bound=UpdatesBrain)


def make_brain(
    brain_class: type[AnyBrain],
    hparams: dict[str, Any],
    run_opts: Any,
    folder: Path,
    hyperparams: str,
    has_valid: bool,
) -> AnyBrain:
    """A Brain that trains in `folder`, which gets its log files and the text of its hyperparameters.

    `hparams` gets the epoch counter and the TensorBoard logger.
    """
    if if_main_process():
        start_folder(folder, hyperparams)
    sb.utils.distributed.ddp_barrier()
    handlers = {"console": {"level": "WARNING"}, "file_handler": {"filename": str(folder / "log.txt")}}
    setup_logging(DEFAULT_LOG_CONFIG, overrides={"handlers": handlers})
    hparams["epoch_counter"] = EpochCounter(ceil(hparams["number_of_updates"] / hparams["updates_per_validation"]))
    hparams["tensorboard_logger"] = tensorboard_logger(folder) if hparams["tensorboard"] else None
    recoverables = {**hparams["modules"], "epoch_counter": hparams["epoch_counter"]}
    brain = brain_class(
        modules=hparams["modules"],
        opt_class=hparams["opt_class"],
        hparams=hparams,
        run_opts=run_opts,
        checkpointer=AtomicCheckpointer(folder / "save", recoverables=recoverables),
        has_valid=has_valid,
    )
    if brain.device_type == "cpu":
        keep_freed_memory()
    return brain


def training_loader(
    brain: UpdatesBrain, dataset: Dataset, hparams: Mapping[str, Any], updates: int, per_validation: int
) -> DataLoader:
    """Batches of draws; the Brain gets the sampler, so that it is told each epoch."""
    accumulation = brain.grad_accumulation_factor
    sampler = DrawSampler(
        num_items=len(dataset),
        batch_size=hparams["batch_size"] * accumulation,
        updates_per_epoch=per_validation,
        number_of_updates=updates,
        seed=hparams["seed"],
        rank=getattr(brain, "rank", 0),
        world_size=num_processes(),
    )
    brain.train_sampler = sampler
    return make_dataloader(
        dataset,
        sampler=sampler,
        batch_size=hparams["batch_size"],
        num_workers=hparams["num_workers"],
        persistent_workers=hparams["num_workers"] > 0,
        pin_memory=brain.device_type == "cuda",
        # Of its own: making an iterator draws a number, which must not move dropout's.
        generator=torch.Generator().manual_seed(hparams["seed"]),
    )


def evaluation_loader(dataset: Dataset, hparams: Mapping[str, Any]) -> DataLoader:
    """Whole utterances in the dataset's order."""
    return make_dataloader(
        dataset,
        batch_size=hparams["eval_batch_size"],
        num_workers=hparams["num_workers"],
        generator=torch.Generator().manual_seed(hparams["seed"]),
    )


def save_weights(path: Path, state: Mapping[str, Tensor]) -> bytes:
    """Writes tensors by name, and nothing else, as safetensors; gives what was written."""
    content = save({key: value.contiguous().cpu() for key, value in state.items()})
    write_atomically(path, content)
    return content


def tensorboard_logger(folder: Path) -> Any:
    """SpeechBrain's logger, writing to `folder`; TensorBoard is an extra."""
    from speechbrain.utils.train_logger import TensorboardLogger

    try:
        return TensorboardLogger(str(folder / "tensorboard"))
    except ImportError:
        raise UnavailableError("`tensorboard` is not installed. Run pip install 'emorec[tensorboard]'.") from None


def start_folder(folder: Path, hyperparams: str) -> None:
    """Makes a run folder with its hyperparams.yaml and env.log."""
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / "hyperparams.yaml", hyperparams)
    write_atomically(folder / "env.log", _environment())


@cache
def _environment() -> str:
    return get_environment_description()
