"""Recipes, hyperparameter files and papers: beside the package in a clone, and inside it once installed."""

from collections.abc import Callable
from pathlib import Path

from emorec_lobes.errors import ConfigError, not_one_of

PACKAGE = Path(__file__).parents[1]


def shipped_folder(name: str) -> Path:
    """The folder `recipes`, `hparams` or `papers`."""
    beside = PACKAGE.parent / name
    return beside if (PACKAGE.parent / "setup.py").is_file() and beside.is_dir() else PACKAGE / name


def find_recipe(name: str) -> Path:
    """A recipe by its path, or by its name as in `IEMOCAP/train_ser.py`.

    Raises
    ------
    ConfigError
        Lists the names there are.

    Example
    -------
    >>> find_recipe("IEMOCAP/train_ser.py").name, find_recipe("recipes/IEMOCAP/train_ser").name
    ('train_ser.py', 'train_ser.py')
    """
    return _find(name, "recipe", shipped_folder("recipes"), ".py", lambda path: f"{path.parent.name}/{path.name}")


def find_hparams(name: str) -> Path:
    """A hyperparameter file by its path, or by its name as in `ser_small.yaml`.

    Raises
    ------
    ConfigError
        Lists the names there are.

    Example
    -------
    >>> find_hparams("ser_small").name, find_hparams("hparams/ser_small.yaml").name
    ('ser_small.yaml', 'ser_small.yaml')
    """
    return _find(name, "hparams", shipped_folder("hparams"), ".yaml", lambda path: path.name)


def short_name(path: Path, kind: str) -> str:
    """How a user may name a recipe or a hyperparameter file: `kind` is the folder of those that come with emorec.

    Example
    -------
    >>> short_name(find_recipe("IEMOCAP/train_ser"), "recipes"), short_name(Path("my/own.yaml"), "hparams")
    ('IEMOCAP/train_ser.py', 'my/own.yaml')
    """
    folder = shipped_folder(kind)
    return str(path.relative_to(folder) if path.is_relative_to(folder) else path)


def _find(name: str, what: str, folder: Path, ending: str, name_of: Callable[[Path], str]) -> Path:
    if Path(name).is_file():
        if Path(name).suffix != ending:
            raise ConfigError(f"`{what}` must be a file that ends in {ending}, but is {name} instead. Name another.")
        return Path(name)
    shipped = {name_of(path): path for path in sorted(folder.rglob(f"*{ending}"))}
    short = name.removeprefix(f"{folder.name}/").removesuffix(ending) + ending
    if short not in shipped:
        raise ConfigError(not_one_of(what, name, shipped))
    return shipped[short]
