"""What a manifest, and the audio where it is at hand, say of each utterance: for reports that cut a test into parts."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import soundfile
from tqdm import tqdm

from emorec_lobes.corpora.audio import probe
from emorec_lobes.corpora.manifest import Utterance, locate, read_manifest
from emorec_lobes.errors import DataError
from emorec_lobes.evaluation.slices import Facts
from emorec_lobes.units import Decibels

_LEAST_DB: Decibels = -120.0  # of silence, which has no level
_BLOCK = 1 << 16
_BAR_AFTER_S = 2.0


def read_facts(manifest: Path, ids: Iterable[str], data_folder: Path | None = None) -> dict[str, Facts]:
    """Session, kind, duration and level of some utterances.

    Arguments
    ---------
    manifest : Path
    ids : iterable of str
        Which utterances.
    data_folder : Path, optional
        The corpus folder; without it levels are None.

    Returns
    -------
    dict
        Id -> `Facts`.

    Raises
    ------
    DataError
        If the manifest is broken or lacks an id, or if an audio file cannot be read.
    """
    utterances = read_manifest(manifest)
    found = {}
    for each in tqdm(list(ids), desc="levels", unit="file", delay=_BAR_AFTER_S, leave=False, disable=not data_folder):
        if each not in utterances:
            raise DataError(f"{manifest} must hold the tested utterance {each!r}, but does not. Name the run's own.")
        item = utterances[each]
        level = level_db(item, data_folder) if data_folder else None
        found[each] = Facts(item.session, item.kind, item.duration or None, level)
    return found


def level_db(utterance: Utterance, data_folder: Path) -> Decibels:
    """Root mean square of an utterance's samples, all channels together, in decibels of full scale."""
    path = locate(utterance.wav, data_folder)
    rate = probe(path).sample_rate_hz
    start = round((utterance.start or 0.0) * rate)
    stop = None if utterance.stop is None else round(utterance.stop * rate)
    total, count = 0.0, 0
    try:
        for block in soundfile.blocks(str(path), _BLOCK, start=start, stop=stop, dtype="float64"):
            total, count = total + float(np.square(block).sum()), count + block.size
    except soundfile.SoundFileError as error:
        raise DataError(f"{path} must be audio that libsndfile reads, but is not ({error}). Convert it.") from None
    level = 10 * np.log10(max(total / max(count, 1), 10 ** (_LEAST_DB / 10)))
    if not np.isfinite(level):
        raise DataError(f"{path} must hold finite samples, but does not. Restore it, or leave out --data-folder.")
    return float(level)
