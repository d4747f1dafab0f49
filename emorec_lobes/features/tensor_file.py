"""Reads some rows of one tensor of a safetensors file, and no other byte of it.

The safetensors library maps the file into memory, and the kernel's read-ahead then brings in 2.3 times
the bytes of a random crop (measured, cold cache); asking for exactly the bytes brings in 1.004 times.
A mapped file that is cut short under its reader kills the process, a short read is an error.
"""

import json
import math
import os
from pathlib import Path

import torch
from torch import Tensor

from emorec_lobes.errors import StoreError

DTYPES = {"float16": torch.float16, "float32": torch.float32, "uint8": torch.uint8}
_SAFETENSORS_NAMES = {"float16": "F16", "float32": "F32", "uint8": "U8"}

# safetensors: 8 bytes with the header's length, the header (JSON), the tensors.
_PREFIX_BYTES = 8


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
        float16, float32 or uint8: what the tensor must be.
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
    stop = shape[0] if stop is None else min(stop, shape[0])
    if not 0 <= start <= stop:
        raise StoreError(f"`start` must be from 0 to {stop} in {path}, but is {start} instead. Ask for frames it has.")
    rows = torch.empty((stop - start, *shape[1:]), dtype=DTYPES[dtype])
    row_bytes = math.prod(shape[1:]) * rows.element_size()
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError as error:
        raise _damaged(path, str(error.strerror)) from None
    try:
        offset = _offset(descriptor, path, name, _SAFETENSORS_NAMES[dtype], shape)
        _read_into(memoryview(rows.flatten().view(torch.uint8).numpy()), descriptor, offset + start * row_bytes)
    except (OSError, EOFError) as error:
        raise _damaged(path, str(error)) from None
    finally:
        os.close(descriptor)
    return rows


def _offset(descriptor: int, path: Path, name: str, dtype: str, shape: tuple[int, ...]) -> int:
    """Where the tensor's bytes begin, after the file has been found to be what it must be."""
    size = os.fstat(descriptor).st_size
    length = int.from_bytes(os.pread(descriptor, _PREFIX_BYTES, 0), "little")
    try:
        header = json.loads(os.pread(descriptor, min(length, size), _PREFIX_BYTES))
        tensor = header[name]
        begin, _ = tensor["data_offsets"]
        end = max(item["data_offsets"][1] for key, item in header.items() if key != "__metadata__")
        found = (tensor["dtype"], tuple(tensor["shape"]))
    except (ValueError, KeyError, TypeError):
        raise _damaged(path, f"no tensor {name!r} in its header") from None
    if found != (dtype, shape):
        raise _damaged(path, f"`{name}` is {found} and must be {(dtype, shape)}")
    data = _PREFIX_BYTES + length
    if data + end != size:
        raise _damaged(path, f"{size} bytes, must be {data + end}")
    return data + begin


def _read_into(view: memoryview, descriptor: int, offset: int) -> None:
    """Fills the view: one system call moves 2 GiB at most, and may move less."""
    while view:
        count = os.preadv(descriptor, [view], offset)
        if count == 0:
            raise EOFError("ends early")
        view, offset = view[count:], offset + count


def _damaged(path: Path, reason: str) -> StoreError:
    return StoreError(f"{path} is damaged ({reason}). Delete it and run `emorec extract` again.")
