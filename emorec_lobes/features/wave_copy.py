"""Augmented copies of a corpus's waves: each copy is a set of feature stores beside those of the originals."""

import hashlib
import importlib.metadata
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from emorec_lobes.errors import DataError
from emorec_lobes.features.store import StoreHeader
from emorec_lobes.units import MIN_SAMPLES, num_frames


@dataclass(frozen=True)
class WaveCopy:
    """One augmented version of every utterance.

    What an utterance becomes depends on its id and the copy's number alone.

    Arguments
    ---------
    number : int
        Of the copy, from 1.
    settings : str
        JSON text of all that `augment` was made from; names the stores, together with the number. What is in
        noise files that it names is not seen.
    augment : callable
        (wave (S,), seed) -> wave (S',).

    Example
    -------
    >>> copy = WaveCopy(1, '{"gain": 2}', lambda wave, seed: 2 * wave)
    >>> copy(torch.ones(16_000), "emodb_03a01Fa").max()
    tensor(2.)
    """

    number: int
    settings: str
    augment: Callable[[Tensor, int], Tensor] = field(compare=False)

    @property
    def identity(self) -> dict[str, Any]:
        """What decides the augmented waves; part of the stores' fingerprints."""
        return {
            "copy": self.number,
            "augment": json.loads(self.settings),
            "speechbrain": importlib.metadata.version("speechbrain"),
        }

    def __call__(self, wave: Tensor, utterance_id: str) -> Tensor:
        """Augments an utterance: (S,) -> (S',).

        Raises
        ------
        DataError
            If it becomes shorter than one analysis window.
        """
        seed = hashlib.sha256(f"{self.number} {utterance_id}".encode()).digest()[:8]
        augmented = self.augment(wave, int.from_bytes(seed))
        if len(augmented) < MIN_SAMPLES:
            raise DataError(
                f"{utterance_id!r} must hold at least {MIN_SAMPLES} samples at 16 kHz after augmentation, but holds "
                f"{len(augmented)} instead. Leave it out, or set wave_copies to 0."
            )
        return augmented


def header_of(header: StoreHeader, copy: WaveCopy | None) -> StoreHeader:
    """The header of a copy's store, given that of the originals."""
    if copy is None:
        return header
    name = f"{header.extractor}-copy{copy.number}"
    return replace(header, extractor=name, identity={**header.identity, "wave": copy.identity})


def stretched(frames: Tensor, num_samples: int, new_num_samples: int) -> Tensor:
    """Frames of a wave -> frames of the same wave at another speed; the nearest one in time stands for each.

    Example
    -------
    >>> stretched(torch.tensor([5, 6, 7]), 640, 1280)
    tensor([5, 5, 6, 7, 7])
    """
    wanted = torch.arange(num_frames(new_num_samples), dtype=torch.float64) * num_samples / new_num_samples
    return frames[wanted.round().long().clamp(max=len(frames) - 1)]
