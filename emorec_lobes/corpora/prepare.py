"""A corpus folder -> manifest.json, whichever corpus it is."""

import inspect
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from emorec_lobes.corpora import emodb, emorynlp, goemotions, iemocap, meld, table
from emorec_lobes.corpora.manifest import ManifestInfo, Utterance, write_manifest
from emorec_lobes.errors import ConfigError, DataError, not_one_of
from emorec_lobes.labels import CANONICAL, ordered

Reader = Callable[..., tuple[list[Utterance], list[str]]]

CORPORA: dict[str, Reader] = {
    "iemocap": iemocap.read,
    "emodb": emodb.read,
    "synthetic": partial(iemocap.read, prefix="synthetic"),
    "emorynlp": emorynlp.read,
    "goemotions": goemotions.read,
    "meld": meld.read,
    "table": table.read,
}

# What every reader takes, and what a corpus's entry in `CORPORA` fixes: neither is an option of one corpus.
_NOT_OPTIONS = ("data_folder", "labels", "allow_incomplete", "prefix")


def options_of(corpus: str) -> dict[str, Any]:
    """The options a corpus's reader knows beside the common ones, with their defaults.

    Example
    -------
    >>> options_of("iemocap")
    {'selection': 'makiuchi2021', 'merge_excited': False}
    """
    if corpus not in CORPORA:
        raise ConfigError(not_one_of("corpus", corpus, CORPORA))
    parameters = inspect.signature(CORPORA[corpus]).parameters
    return {name: parameter.default for name, parameter in parameters.items() if name not in _NOT_OPTIONS}


def prepare(
    corpus: str,
    data_folder: Path | str,
    manifest: Path | str,
    labels: Sequence[str] | None = None,
    allow_incomplete: bool = False,
    **options: Any,
) -> ManifestInfo:
    """Reads a corpus and writes its manifest, whole or not at all.

    Arguments
    ---------
    corpus : str
        A key of `CORPORA`.
    data_folder : Path or str
        Where the corpus lies; for `table` it may be the table itself.
    manifest : Path or str
        The manifest to write.
    labels : sequence of str, optional
        Canonical emotions to keep; each must have an utterance.
    allow_incomplete : bool
        Whether an incomplete corpus is a recorded warning.
    **options
        Options of the corpus, as `options_of` lists them; one that is None stays at its default.

    Returns
    -------
    ManifestInfo
        What was recorded beside the manifest.

    Raises
    ------
    ConfigError
        If the corpus, a label, an option or the manifest's path cannot be used.
    DataError
        If the corpus is not what it should be.
    """
    known = options_of(corpus)
    given = {name: value for name, value in options.items() if value is not None}
    _check_options(corpus, given, known)
    _check_labels(labels)
    data_folder, manifest = Path(data_folder), Path(manifest)
    if not data_folder.exists():
        raise DataError(f"`--data-folder` must hold {corpus}, but {data_folder} does not exist. Check the path.")
    utterances, warnings = CORPORA[corpus](data_folder, labels=labels, allow_incomplete=allow_incomplete, **given)
    absent = sorted(set(labels or ()) - {item.emotion for item in utterances})
    if absent:
        present = ", ".join(ordered(item.emotion for item in utterances)) or "none"
        raise DataError(f"`labels` must be labels of {data_folder} ({present}), but {absent[0]} is not. Leave it out.")
    recorded = {**known, **given, "labels": labels, "allow_incomplete": allow_incomplete}
    info = ManifestInfo(
        corpus=recorded.get("corpus_name", corpus),
        selection=recorded.pop("selection", None),
        options={name: str(value) if isinstance(value, Path) else value for name, value in recorded.items()},
        warnings=warnings,
    )
    _write(manifest, utterances, info)
    return info


def _check_options(corpus: str, given: Iterable[str], known: Iterable[str]) -> None:
    unknown = next((name for name in given if name not in known), None)
    if unknown and not known:
        raise ConfigError(f"`{unknown}` must be an option of {corpus}, but {corpus} has none. Leave it out.")
    if unknown:
        raise ConfigError(not_one_of(f"option of {corpus}", unknown, known))


def _check_labels(labels: Sequence[str] | None) -> None:
    for label in labels or ():
        if label not in CANONICAL:
            raise ConfigError(not_one_of("labels", label, CANONICAL))


def _write(manifest: Path, utterances: Sequence[Utterance], info: ManifestInfo) -> None:
    if manifest.is_dir():
        raise ConfigError(f"`--manifest` must be a file, but {manifest} is a folder. Name a file in it.")
    try:
        write_manifest(manifest, utterances, info)
    except OSError as error:
        raise ConfigError(f"{manifest} cannot be written ({error.strerror}). Choose another --manifest.") from None
