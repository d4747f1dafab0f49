"""Utterances of about one length through a speech encoder together."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from emorec_lobes.corpora.manifest import Utterance
from emorec_lobes.errors import DataError
from emorec_lobes.features.by_length import by_length

if TYPE_CHECKING:
    from emorec_lobes.features.spec import ExtractionSpec
    from emorec_lobes.features.speech import SpeechEncoder

# Of audio with its padding: in the large models a second takes about 15 MB while it is computed.
_BATCH_MS = 32_000
_BATCH_SIZE = 32


def batches_of(utterances: Mapping[str, Utterance]) -> list[dict[str, Utterance]]:
    """All utterances in batches of about one length, the longest first; decided by ids and durations alone.

    Example
    -------
    >>> made = {name: Utterance(name, "", seconds, "sad", "") for name, seconds in {"a": 2, "b": 20, "c": 2.2}.items()}
    >>> [list(batch) for batch in batches_of(made)]
    [['b'], ['c', 'a']]
    """
    ids = sorted(utterances)
    lengths = [round(1000 * utterances[item].duration) for item in ids]
    found = by_length(lengths, _BATCH_SIZE, _BATCH_MS)
    return [{ids[index]: utterances[ids[index]] for index in batch} for batch in found]


class SpeechLayers:
    """The layers of an utterance, which goes through an encoder alone or with its batch.

    A batch is computed when the first of its utterances is asked for, and kept until another batch is.

    Arguments
    ---------
    encoder : SpeechEncoder
    spec : ExtractionSpec
        Reads audio, and says how it is augmented.
    """

    def __init__(self, encoder: "SpeechEncoder", spec: "ExtractionSpec") -> None:
        self._encoder = encoder
        self._spec = spec
        self._held: dict[str, Tensor] = {}
        self._held_of: tuple[str, ...] = ()

    def __call__(
        self, wave: Tensor, utterance: Utterance, data_folder: Path, batch: Sequence[Utterance] = ()
    ) -> Tensor:
        """The layers, (T, L, D)."""
        if not batch:
            return self._encoder.layers(wave)
        ids = tuple(item.id for item in batch)
        if ids != self._held_of:
            self._held, self._held_of = self._compute(batch, data_folder), ids
        return self._held[utterance.id]

    def _compute(self, batch: Sequence[Utterance], data_folder: Path) -> dict[str, Tensor]:
        waves = {}
        for item in batch:
            with suppress(DataError):  # reported when it is asked for itself
                wave, _ = self._spec.read(item, data_folder)
                waves[item.id] = wave if self._spec.copy is None else self._spec.copy(wave, item.id)
        return dict(zip(waves, self._encoder.batch(list(waves.values())), strict=True))
