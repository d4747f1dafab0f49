"""Checkpoints that are whole or not there, whenever the process is killed."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from speechbrain.utils.checkpoints import METAFNAME, Checkpoint, Checkpointer
from speechbrain.utils.distributed import ddp_barrier, if_main_process

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
        visible = self.checkpoints_dir
        self.checkpoints_dir = visible / _UNFINISHED
        if if_main_process():
            shutil.rmtree(self.checkpoints_dir, ignore_errors=True)
            self.checkpoints_dir.mkdir(parents=True)
        try:
            files = sorted(f"{name}.ckpt" for name in self.recoverables)
            saved = super().save_checkpoint(meta={**(meta or {}), "files": files}, **kwargs)
        finally:
            self.checkpoints_dir = visible
        ddp_barrier()
        if saved is None:
            return None
        for path in [*saved.path.iterdir(), saved.path]:
            _reach_disk(path)
        final = self._free_name(saved.path.name)
        saved.path.rename(final)
        _reach_disk(visible)
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
    [checkpoint] = Checkpointer._construct_checkpoint_objects([path])
    return all((path / name).exists() for name in checkpoint.meta.get("files", [])) and (path / METAFNAME).exists()


def _reach_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
