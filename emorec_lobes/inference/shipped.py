"""The model that comes with the package."""

from pathlib import Path

from emorec_lobes.errors import UnavailableError


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
