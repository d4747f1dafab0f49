"""Model folders on the Hugging Face hub."""

from pathlib import Path

from emorec_lobes.errors import ConfigError, UnavailableError
from emorec_lobes.features.huggingface_folder import CONFIG, is_hub_id
from emorec_lobes.inference.verify import CHECKSUMS, FILES

# Of a model folder, and of a Hugging Face checkpoint: no pickle and no code but ours, which is compared.
_FETCHED = (*FILES, CONFIG, "preprocessor_config.json", "*.safetensors", "*.safetensors.index.json")


def locate_folder(source: str | Path) -> Path:
    """The folder of a model: a folder as it is; of a hub id the cache's, which is asked first, then the hub.

    Nothing is written but the hub's own cache.

    Raises
    ------
    ConfigError
        If it is neither.
    UnavailableError
        If the hub cannot be reached and the cache has no copy, or if it has no such model.
    """
    folder = Path(source).expanduser()
    if folder.is_dir():
        return folder
    if not is_hub_id(str(source)):
        raise ConfigError(f"{source} must be a model's folder or a hub id (owner/name), but is neither. Correct it.")
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import HTTPError, LocalEntryNotFoundError

    try:
        found = Path(snapshot_download(str(source), allow_patterns=list(_FETCHED), local_files_only=True))
        if (found / CHECKSUMS).exists() or (found / CONFIG).exists():
            return found
    except LocalEntryNotFoundError:
        found = None
    reason = "HF_HUB_OFFLINE is set"
    try:
        if not constants.HF_HUB_OFFLINE:
            return Path(snapshot_download(str(source), allow_patterns=list(_FETCHED)))
    except (OSError, ValueError, HTTPError) as error:
        reason = " ".join(str(error).split())[:200].rstrip(".")
    raise UnavailableError(
        f"{source} is no folder, not in the hub's cache and not to be had from the hub ({reason}). "
        f"Where there is a network, run `hf download {source}`."
    )


def check_hub_id(hub_id: str) -> None:
    """Refuses what cannot be the id of a model on the hub.

    Raises
    ------
    ConfigError

    Example
    -------
    >>> check_hub_id("owner/name")
    """
    if not is_hub_id(hub_id):
        raise ConfigError(f"`push` must be owner/name, a model on the hub, but is {hub_id!r} instead. Correct it.")


def push(folder: Path, hub_id: str) -> str:
    """Uploads a model folder, which becomes private where the hub has none of this name; gives its address.

    Raises
    ------
    UnavailableError
        If the hub cannot be reached, or refuses.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HTTPError

    try:
        api = HfApi()
        address = api.create_repo(hub_id, private=True, exist_ok=True)
        api.upload_folder(repo_id=hub_id, folder_path=str(folder), commit_message="emorec export")
    except (OSError, ValueError, HTTPError) as error:
        reason = " ".join(str(error).split())[:200].rstrip(".")
        raise UnavailableError(
            f"{folder} could not be uploaded to {hub_id} ({reason}). It is complete here: log in with `hf auth login`, "
            f"then run `hf upload {hub_id} {folder}`."
        ) from None
    return str(address)
