"""The feature store: one file an utterance, read by slice.

    FEATURES/layers-resemblyzer-1f0c5a2b9d3e/    extractor and fingerprint
        header.json                              what made it
        index.jsonl                              one line a finished utterance
        7f/7f83b165....safetensors               `features` (T, ...), `mean` and `std` if they are measurements,
                                                 `scales` if they are int8

Files are written whole or not at all, and the index line comes after the file, so a store that was
being written when its process died is a smaller store and nothing worse.
"""

import errno
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor

from emorec_lobes.errors import DataError, StoreError
from emorec_lobes.features.store_index import Entry, append, read_index
from emorec_lobes.features.store_values import as_tensors
from emorec_lobes.features.tensor_file import INT8, read_single, read_tensor
from emorec_lobes.files import read_json, write_atomically, write_json
from emorec_lobes.units import Seconds

HEADER = "header.json"


@dataclass(frozen=True)
class StoreHeader:
    """What a store holds, and what made it.

    Arguments
    ---------
    extractor : str
        Short name, e.g. "layers-resemblyzer"; begins the folder's name.
    identity : dict
        Everything that decides the values: weights, options, version. JSON types.
    sample_rate_hz : int or None
        Of the audio that goes in; None if text goes in.
    frame_shift_s : float or None
        None if the first axis is not time.
    shape : tuple of int
        Of one frame: (25, 1024), (80,), () ...
    dtype : str
        float16, float32, uint8, or int8, which has a scale for each row of a frame: that of `layers` for each layer.
    """

    extractor: str
    identity: dict[str, Any]
    sample_rate_hz: int | None
    frame_shift_s: Seconds | None
    shape: tuple[int, ...]
    dtype: str

    @property
    def fingerprint(self) -> str:
        """12 hex digits of all but `shape`: what made the features fixes their shape, so that asking for
        another one finds this store and is refused, rather than starting a second one."""
        content = {key: value for key, value in asdict(self).items() if key != "shape"}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]

    @property
    def folder_name(self) -> str:
        """E.g. "layers-resemblyzer-1f0c5a2b9d3e"."""
        return f"{self.extractor}-{self.fingerprint}"


class FeatureStore:
    """Features of many utterances from one extractor.

    A store is plain data: it can be pickled, forked into DataLoader workers and read by many threads,
    since every read opens the file, takes its bytes and closes it (0.01 ms of about 1 ms).

    Arguments
    ---------
    folder : Path
        The store's own folder; need not exist yet.
    header : StoreHeader
        What it holds.

    Example
    -------
    >>> import tempfile
    >>> header = StoreHeader("mel", {"version": 1}, 16_000, 0.02, (80,), "float16")
    >>> with tempfile.TemporaryDirectory() as root:
    ...     store = FeatureStore.open(Path(root), header)
    ...     store.write("a", torch.rand(200, 80), audio_hash="0", source=(1, 2))
    ...     store.read("a", 100, 196).shape, store.num_frames("a"), "b" in store
    (torch.Size([96, 80]), 200, False)
    """

    def __init__(self, folder: Path, header: StoreHeader) -> None:
        self.folder = Path(folder)
        self.header = header
        self._entries = read_index(self.folder)

    @classmethod
    def open(cls, root: Path, header: StoreHeader) -> "FeatureStore":
        """The store of these features below `root`; a new one is made on disk by its first `write`.

        Raises
        ------
        StoreError
            If the folder's header is not the one asked for.
        """
        folder = Path(root) / header.folder_name
        if (folder / HEADER).exists():
            found = read_header(folder)
            for item in fields(header):
                asked, there = getattr(header, item.name), getattr(found, item.name)
                if asked != there:
                    raise StoreError(
                        f"`{item.name}` of {folder} must be {asked!r}, but is {there!r} instead. "
                        "Ask for what it holds, or use another feature folder."
                    )
        return cls(folder, header)

    @classmethod
    def read_only(cls, folder: Path) -> "FeatureStore":
        """An existing store, whatever it holds."""
        return cls(Path(folder), read_header(Path(folder)))

    def __contains__(self, utterance_id: str) -> bool:
        return utterance_id in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def ids(self) -> list[str]:
        """All ids, in the order in which they were written."""
        return list(self._entries)

    @property
    def audio_hashes(self) -> dict[str, str]:
        """id -> hash of the decoded audio."""
        return {key: entry.audio_hash for key, entry in self._entries.items()}

    def entry(self, utterance_id: str) -> Entry:
        """The index line of an utterance; StoreError if there is none."""
        if utterance_id not in self._entries:
            raise StoreError(f"{utterance_id!r} is not in {self.folder}. Run `emorec extract` on its manifest.")
        return self._entries[utterance_id]

    def num_frames(self, utterance_id: str) -> int:
        """Frames of an utterance, T; from the index, no file is opened."""
        return self.entry(utterance_id).num_frames

    def read(self, utterance_id: str, start: int = 0, stop: int | None = None) -> Tensor:
        """Reads some frames; only their bytes come from the disk.

        Arguments
        ---------
        utterance_id : str
        start, stop : int
            First frame and the one after the last; a `stop` beyond the end means the end.

        Returns
        -------
        torch.Tensor, (t, *shape)
            In the precision of the store, float32 of int8: bring float16 to float32 before computing with it.

        Raises
        ------
        StoreError
            If the utterance is not there, or its file is damaged.
        """
        reader = read_single if self.header.dtype == INT8 else read_tensor
        return self._read(reader, utterance_id, start, stop)

    def read_single(self, utterance_id: str, start: int = 0, stop: int | None = None) -> Tensor:
        """As `read`, in single precision: faster than to bring there what `read` gives."""
        return self._read(read_single, utterance_id, start, stop)

    def _read(self, reader: Callable[..., Tensor], utterance_id: str, start: int, stop: int | None) -> Tensor:
        entry = self.entry(utterance_id)
        shape = (entry.num_frames, *self.header.shape)
        return reader(self.folder / entry.file, "features", self.header.dtype, shape, start, stop)

    def statistics(self, utterance_id: str) -> tuple[Tensor, Tensor]:
        """Mean and (biased) standard deviation over the frames of an utterance.

        Returns
        -------
        mean, std : torch.Tensor, (*shape,), float32
        """
        file = self.folder / self.entry(utterance_id).file
        if self.header.dtype == "uint8":
            raise StoreError(f"{self.folder} has no statistics: it holds {self.header.dtype}, not measurements.")
        mean, std = (read_tensor(file, name, "float32", self.header.shape) for name in ("mean", "std"))
        return mean, std

    def write(self, utterance_id: str, frames: Tensor | np.ndarray, audio_hash: str, source: Sequence[Any]) -> None:
        """Adds or replaces an utterance.

        Values beyond the range of half precision are clipped to it and counted in the index. Those of int8 are off by
        half a scale at most.

        Arguments
        ---------
        utterance_id : str
            Any string.
        frames : torch.Tensor or numpy.ndarray, (T, *shape)
        audio_hash : str
            `audio.audio_hash` of the audio they were made from.
        source : sequence
            JSON values that change when the audio file may have changed.

        Raises
        ------
        StoreError
            If the shape is wrong, or the disk is full or refuses.
        DataError
            If a value is not finite.
        """
        if not isinstance(frames, Tensor):
            frames = torch.from_numpy(np.require(frames, requirements="W"))  # torch warns of read-only arrays
        frames = frames.detach().cpu()
        if frames.shape[1:] != self.header.shape or not len(frames):
            raise StoreError(
                f"The features of {utterance_id!r} must have the shape (T, *{self.header.shape}), but have "
                f"{tuple(frames.shape)} instead. Extract them with what {self.folder} was made with."
            )
        if self.header.dtype != "uint8" and not torch.isfinite(frames).all():
            raise DataError(
                f"The features of {utterance_id!r} must be finite, but are not. Check the weights of "
                f"{self.header.extractor}, or leave the utterance out."
            )
        tensors, num_clipped = as_tensors(frames, self.header.dtype)
        name = hashlib.sha256(utterance_id.encode()).hexdigest()[:32]
        entry = Entry(f"{name[:2]}/{name}.safetensors", len(frames), audio_hash, tuple(source), num_clipped)
        with disk_errors(self.folder):
            self._create()
            path = self.folder / entry.file
            path.parent.mkdir(exist_ok=True)
            write_atomically(path, save(tensors))
            append(self.folder, utterance_id, entry)
        self._entries[utterance_id] = entry

    def confirm(self, utterance_id: str, source: Sequence[Any]) -> None:
        """Records that the audio is still the same although its file has another size or time."""
        entry = replace(self.entry(utterance_id), source=tuple(source))
        with disk_errors(self.folder):
            append(self.folder, utterance_id, entry)
        self._entries[utterance_id] = entry

    def sweep(self) -> None:
        """Deletes what a killed process left half-written. Nobody else may be writing."""
        for leftover in self.folder.glob("**/.*.tmp"):
            leftover.unlink(missing_ok=True)

    def _create(self) -> None:
        if not (self.folder / HEADER).exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            write_json(self.folder / HEADER, asdict(self.header))


def read_header(folder: Path) -> StoreHeader:
    """The header of an existing store.

    Raises
    ------
    StoreError
        If there is none, or it is damaged.
    """
    path = Path(folder) / HEADER
    try:
        content = dict(read_json(path, "`emorec extract`"))
        return StoreHeader(**{**content, "shape": tuple(content["shape"])})
    except (DataError, TypeError, KeyError) as error:
        other = f"{path} has other fields. Delete it and run `emorec extract` again."
        reason = str(error) if isinstance(error, DataError) else other
        raise StoreError(f"{folder} is not a feature store: {reason}") from None


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """A full or refusing disk as one line."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        cure = "Free some space" if full else "Make it writable"
        raise StoreError(
            f"{folder} cannot be written ({error.strerror}). {cure}, or use another feature folder; the same command "
            "then goes on after the last finished utterance."
        ) from None
