"""From what a model is called to the folder it lies in: a folder, a hub id, or the model in the package."""

from pathlib import Path

from emorec_lobes.errors import ConfigError, UnavailableError
from emorec_lobes.features.huggingface_folder import is_hub_id
from emorec_lobes.units import Seconds

# No pickles and no code: what is not fetched cannot be run.
_FETCHED = ("*.json", "*.yaml", "*.safetensors", "*.txt", "*.csv", "*.sha256", "*.onnx", "README.md")
_HUB_ANSWER_WITHIN_S: Seconds = 3.0


def locate(source: str | Path) -> Path:
    """The folder of a model.

    Arguments
    ---------
    source : str or Path
        A folder, or a hub id; of the latter the cache is asked first, then the hub.

    Raises
    ------
    ConfigError
        If it is neither.
    UnavailableError
        If the hub cannot be reached and the cache has no copy.
    """
    folder = Path(source).expanduser()
    if folder.is_dir():
        return folder
    if not is_hub_id(str(source)):
        raise ConfigError(
            f"`source` must be the folder of a model, or a hub id (organisation/name), but {source} is neither. "
            "Name a fold_<k> of a run, or a folder that `emorec export` made."
        )
    return _from_hub(str(source))


def shipped_model() -> Path:
    """The folder of the model that comes with the package.

    Raises
    ------
    UnavailableError
        If this installation has none.
    """
    folder = Path(__file__).parents[1] / "shipped_models" / "emodb"
    if not folder.is_dir():
        raise UnavailableError("No model comes with this installation. Name one with --model, e.g. a run's fold_1.")
    return folder


def _from_hub(hub_id: str) -> Path:
    from huggingface_hub import get_hf_file_metadata, hf_hub_url, snapshot_download
    from huggingface_hub.errors import HTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(hub_id, allow_patterns=list(_FETCHED), local_files_only=True))
    except LocalEntryNotFoundError:
        reason = "the cache has no copy"
    try:
        # The one request that keeps to a time limit: a download would wait minutes for a silent network.
        get_hf_file_metadata(hf_hub_url(hub_id, "README.md"), timeout=_HUB_ANSWER_WITHIN_S)
        return Path(snapshot_download(hub_id, allow_patterns=list(_FETCHED)))
    except (OSError, ValueError, HTTPError) as error:
        reason = " ".join(str(error).split("\n")[0].split()).rstrip(".") or reason
    raise UnavailableError(
        f"`source` {hub_id} is no folder, not in the local cache and not to be had from the hub ({reason}). On a "
        f"machine with network run `hf download {hub_id} --local-dir FOLDER`, and name FOLDER."
    )
