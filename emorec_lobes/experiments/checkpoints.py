"""Checkpoints that are whole or not there, whenever the process is killed."""

import errno
import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from speechbrain.utils.checkpoints import CKPT_PREFIX, Checkpoint, Checkpointer
from speechbrain.utils.distributed import ddp_barrier, if_main_process
from yaml import YAMLError

from emorec_lobes.errors import DataError

_UNFINISHED = ".unfinished"


class AtomicCheckpointer(Checkpointer):
    """SpeechBrain's `Checkpointer`, safe against being killed while it saves or deletes.

    SpeechBrain writes a checkpoint's index first and its tensors afterwards, in place, so a
    process killed in between leaves a newest checkpoint that looks valid and cannot be
    loaded. Here everything goes into a hidden folder, reaches the disk, and appears under
    its name by one rename; a checkpoint that lost a file while being deleted is not listed.

    Arguments
    ---------
    checkpoints_dir : Path
        Made if missing.
    **kwargs
        As for `speechbrain.utils.checkpoints.Checkpointer`.

    Example
    -------
    >>> import torch
    >>> folder = getfixture("tmp_path")
    >>> checkpointer = AtomicCheckpointer(folder, recoverables={"layer": torch.nn.Linear(1, 1)})
    >>> checkpointer.save_checkpoint(meta={"uar": 0.5}).path.parent == folder
    True
    """

    def save_checkpoint(self, meta: Mapping[str, Any] | None = None, **kwargs: Any) -> Checkpoint | None:
        """Saves a checkpoint; see `speechbrain.utils.checkpoints.Checkpointer.save_checkpoint`."""
        with _uninterrupted():
            return self._save_whole(meta, **kwargs)

    def _save_whole(self, meta: Mapping[str, Any] | None, **kwargs: Any) -> Checkpoint | None:
        visible = self.checkpoints_dir
        # A clock that was set back, or another machine's, must not make the newest checkpoint an older one.
        now = max([time.time(), *(listed.meta["unixtime"] + 1e-3 for listed in self.list_checkpoints())])
        self.checkpoints_dir = visible / _UNFINISHED
        if if_main_process():
            shutil.rmtree(self.checkpoints_dir, ignore_errors=True)
            self.checkpoints_dir.mkdir(parents=True)
        try:
            files = sorted(f"{name}.ckpt" for name in self.recoverables)
            about = {**(meta or {}), "files": files, "unixtime": now}
            with _written_in_full(visible):
                saved = super().save_checkpoint(meta=about, **kwargs)
        except OSError:
            shutil.rmtree(self.checkpoints_dir, ignore_errors=True)
            raise
        finally:
            self.checkpoints_dir = visible
        ddp_barrier()  # all processes have written
        if saved is not None:
            saved = self._show(saved)
        ddp_barrier()  # all processes see it
        return saved

    def delete_checkpoints(self, **kwargs: Any) -> None:
        """Deletes the least important checkpoints, and what a killed process left of others.

        See `speechbrain.utils.checkpoints.Checkpointer.delete_checkpoints`.
        """
        super().delete_checkpoints(**kwargs)
        if if_main_process():
            whole = self._list_checkpoint_dirs()
            for path in [self.checkpoints_dir / _UNFINISHED, *self.checkpoints_dir.glob(f"{CKPT_PREFIX}+*")]:
                if path not in whole:
                    shutil.rmtree(path, ignore_errors=True)

    def load_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Loads a checkpoint; see `speechbrain.utils.checkpoints.Checkpointer.load_checkpoint`.

        Raises
        ------
        DataError
            If one of its files is damaged.
        """
        try:
            super().load_checkpoint(checkpoint)
        except (MemoryError, torch.OutOfMemoryError):
            raise  # the machine is too small, and the checkpoint is whole: nobody must be told to delete it
        except Exception as error:  # what a damaged file raises depends on who reads it
            raise _damaged(checkpoint.path, error) from error

    def _show(self, saved: Checkpoint) -> Checkpoint:
        for path in [*saved.path.iterdir(), saved.path]:
            _reach_disk(path)
        final = self._free_name(saved.path.name)
        saved.path.rename(final)
        _reach_disk(self.checkpoints_dir)
        return Checkpoint(final, saved.meta, {name: final / path.name for name, path in saved.paramfiles.items()})

    def _list_checkpoint_dirs(self) -> list[Path]:
        return [path for path in super()._list_checkpoint_dirs() if _is_whole(path)]

    def _free_name(self, name: str) -> Path:
        stem, number = name.rsplit("+", 1)
        count = int(number)
        while (self.checkpoints_dir / f"{stem}+{count:02d}").exists():
            count += 1
        return self.checkpoints_dir / f"{stem}+{count:02d}"


def _is_whole(path: Path) -> bool:
    """Whether every file the index names is there."""
    try:
        [checkpoint] = Checkpointer._construct_checkpoint_objects([path])
        return all((path / name).exists() for name in checkpoint.meta["files"])
    except (YAMLError, UnicodeDecodeError, TypeError, KeyError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> DataError:
    reason = " ".join(str(error).split())[:200].rstrip(".")
    return DataError(
        f"{path} is damaged or of another model ({type(error).__name__}: {reason}). Delete that folder; "
        "the same command then goes on from the checkpoint before it, or from the start."
    )


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ctrl-C waits until the block ends: PyTorch's writer, interrupted, aborts the whole process."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if came:
            signal.raise_signal(signal.SIGINT)


@contextmanager
def _written_in_full(folder: Path) -> Iterator[None]:
    """PyTorch's writer keeps to itself what the system said: a file it could not write is a full disk."""
    try:
        yield
    except RuntimeError as error:
        if "inline_container" not in str(error) and "PytorchStreamWriter" not in str(error):
            raise
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder)) from error


def _reach_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
