"""Reads some rows of one tensor of a safetensors file, and no other byte of it.

The safetensors library maps the file into memory, and the kernel's read-ahead then brings in 2.3 times
the bytes of a random crop (measured, cold cache); asking for exactly the bytes brings in 1.004 times.
A mapped file that is cut short under its reader kills the process, a short read is an error.
"""

import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from emorec_lobes.errors import StoreError

DTYPES = {"float16": torch.float16, "float32": torch.float32, "int8": torch.int8, "uint8": torch.uint8}
INT8 = "int8"
_SAFETENSORS_NAMES = {"float16": "F16", "float32": "F32", "int8": "I8", "uint8": "U8"}

# safetensors: 8 bytes with the header's length, the header (JSON), the tensors.
_PREFIX_BYTES = 8
# Of what is read before it is converted: it is still in the processor's cache then.
_BLOCK_BYTES = 1 << 18


def read_tensor(
    path: Path, name: str, dtype: str, shape: tuple[int, ...], start: int = 0, stop: int | None = None
) -> Tensor:
    """Reads rows `start` to `stop` of a tensor.

    Arguments
    ---------
    path : Path
        A safetensors file.
    name : str
        Which of its tensors.
    dtype : str
        One of `DTYPES`: what the tensor must be.
    shape : tuple of int
        What its shape must be; rows are the first axis.
    start, stop : int
        First row and the one after the last; a `stop` beyond the end means the end.

    Returns
    -------
    torch.Tensor, (stop - start, *shape[1:])

    Raises
    ------
    StoreError
        If the file is missing or damaged, or the tensor is not what it must be.

    Example
    -------
    >>> import tempfile
    >>> from safetensors.torch import save_file
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_file({"x": torch.arange(8, dtype=torch.uint8).view(4, 2)}, Path(folder) / "a.safetensors")
    ...     read_tensor(Path(folder) / "a.safetensors", "x", "uint8", (4, 2), 1, 3)
    tensor([[2, 3],
            [4, 5]], dtype=torch.uint8)
    """
    start, stop = _bounds(path, shape[0], start, stop)
    with _opened(path) as file:
        file.announce(name, dtype, shape, start, stop)
        return file.rows(name, dtype, shape, start, stop)


def read_single(
    path: Path, name: str, dtype: str, shape: tuple[int, ...], start: int = 0, stop: int | None = None
) -> Tensor:
    """As `read_tensor`, in single precision whatever the file's; `int8` is multiplied by its `scales`, (*shape[:-1]).

    The kernel is told of all that is wanted, and each block is converted while it fetches the next: the file's own
    numbers never leave the processor's cache.

    Example
    -------
    >>> import tempfile
    >>> from safetensors.torch import save_file
    >>> tensors = {"x": torch.tensor([[1, -2], [4, 0]], dtype=torch.int8), "scales": torch.tensor([0.5, 0.25])}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_file(tensors, Path(folder) / "a.safetensors")
    ...     read_single(Path(folder) / "a.safetensors", "x", "int8", (2, 2))
    tensor([[ 0.5000, -1.0000],
            [ 1.0000,  0.0000]])
    """
    start, stop = _bounds(path, shape[0], start, stop)
    rows = _empty((stop - start, *shape[1:]), "float32")
    buffer = _empty((max(1, _BLOCK_BYTES // _row_bytes(dtype, shape)), *shape[1:]), dtype)
    with _opened(path) as file:
        scales = file.rows("scales", "float32", shape[:-1], start, stop) if dtype == INT8 else None
        file.announce(name, dtype, shape, start, stop)
        for first in range(start, stop, len(buffer)):
            block = buffer[: stop - first]
            file.fill(block, name, dtype, shape, first)
            target = slice(first - start, first - start + len(block))
            rows[target] = block
            if scales is not None:
                rows[target].mul_(scales[target].unsqueeze(-1))
    return rows


@dataclass(frozen=True)
class _File:
    """An open safetensors file."""

    path: Path
    descriptor: int
    tensors: dict[str, tuple[str, tuple[int, ...], int]]  # name -> dtype, shape, where it begins in the data
    data: int  # where the tensors begin

    def rows(self, name: str, dtype: str, shape: tuple[int, ...], start: int, stop: int) -> Tensor:
        """Some rows of a tensor, which must be of this type and shape."""
        rows = _empty((stop - start, *shape[1:]), dtype)
        self.fill(rows, name, dtype, shape, start)
        return rows

    def fill(self, rows: Tensor, name: str, dtype: str, shape: tuple[int, ...], start: int) -> None:
        """Reads as many rows of a tensor as are to be filled."""
        offset = self._offset(name, dtype, shape, start)
        try:
            _read_into(memoryview(rows.flatten().view(torch.uint8).numpy()), self.descriptor, offset)
        except (OSError, EOFError) as error:
            raise _damaged(self.path, str(error)) from None

    def announce(self, name: str, dtype: str, shape: tuple[int, ...], start: int, stop: int) -> None:
        """Tells the kernel what is going to be read, and nothing behind it."""
        if hasattr(os, "posix_fadvise"):
            begin, end = (self._offset(name, dtype, shape, row) for row in (start, stop))
            os.posix_fadvise(self.descriptor, begin, end - begin, os.POSIX_FADV_WILLNEED)

    def _offset(self, name: str, dtype: str, shape: tuple[int, ...], row: int) -> int:
        """Where a row begins in the file."""
        tensor = self.tensors.get(name)
        if tensor is None:
            raise _damaged(self.path, f"no tensor {name!r} in its header")
        wanted = (_SAFETENSORS_NAMES[dtype], shape)
        if tensor[:2] != wanted:
            raise _damaged(self.path, f"`{name}` is {tensor[:2]} and must be {wanted}")
        return self.data + tensor[2] + row * _row_bytes(dtype, shape)


@contextmanager
def _opened(path: Path) -> Iterator[_File]:
    """Opens a file, and checks that its header is one and that it is as long as that says."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError as error:
        raise _damaged(path, str(error.strerror)) from None
    try:
        yield _File(path, descriptor, *_header(path, descriptor))
    finally:
        os.close(descriptor)


def _header(path: Path, descriptor: int) -> tuple[dict[str, tuple[str, tuple[int, ...], int]], int]:
    """The tensors of a file, and where their data begin."""
    try:
        size = os.fstat(descriptor).st_size
        length = int.from_bytes(os.pread(descriptor, _PREFIX_BYTES, 0), "little")
        header = json.loads(os.pread(descriptor, min(length, size), _PREFIX_BYTES))
        header.pop("__metadata__", None)
        tensors = {key: (item["dtype"], tuple(item["shape"]), item["data_offsets"][0]) for key, item in header.items()}
        end = max(item["data_offsets"][1] for item in header.values())
    except OSError as error:
        raise _damaged(path, str(error)) from None
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        raise _damaged(path, "no header of tensors") from None
    data = _PREFIX_BYTES + length
    if data + end != size:
        raise _damaged(path, f"{size} bytes, must be {data + end}")
    return tensors, data


def _row_bytes(dtype: str, shape: tuple[int, ...]) -> int:
    return math.prod(shape[1:]) * DTYPES[dtype].itemsize


def _bounds(path: Path, num_rows: int, start: int, stop: int | None) -> tuple[int, int]:
    stop = num_rows if stop is None else min(stop, num_rows)
    if not 0 <= start <= stop:
        raise StoreError(f"`start` must be from 0 to {stop} in {path}, but is {start} instead. Ask for frames it has.")
    return start, stop


def _empty(shape: tuple[int, ...], dtype: str) -> Tensor:
    """Memory to read into: numpy asks the kernel for large pages where torch does not, and a page costs time."""
    return torch.from_numpy(np.empty(shape, dtype))


def _read_into(view: memoryview, descriptor: int, offset: int) -> None:
    """Fills the view: one system call moves 2 GiB at most, and may move less."""
    while view:
        count = os.preadv(descriptor, [view], offset)
        if count == 0:
            raise EOFError("ends early")
        view, offset = view[count:], offset + count


def _damaged(path: Path, reason: str) -> StoreError:
    return StoreError(f"{path} is damaged ({reason}). Delete it and run `emorec extract` again.")
