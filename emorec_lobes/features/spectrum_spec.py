"""Which spectral features to store, as plain values: a YAML passes it, a worker process receives it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor

from emorec_lobes.corpora.manifest import Utterance, locate
from emorec_lobes.features.audio_source import audio_source, read_audio
from emorec_lobes.features.spec import Extractor
from emorec_lobes.features.spectrum import FBANK, Spectrum
from emorec_lobes.features.store import FeatureStore, StoreHeader
from emorec_lobes.features.vad import build_vad
from emorec_lobes.features.wave_copy import WaveCopy, header_of
from emorec_lobes.units import SAMPLE_RATE_HZ

SPECTRUM = "spectrum"


@dataclass(frozen=True)
class SpectrumSpec:
    """Spectral frames of the utterances, silences cut and mean taken out.

    A detector removes frames, so that those of a store stand on no grid of time.

    Arguments
    ---------
    kind, num_mels, window_ms, hop_ms, vad, vad_options, subtract_mean
        As `spectrum.Spectrum`.
    copy : WaveCopy, optional
        Augments the waves first; its frames lie in a store of their own.

    Raises
    ------
    ConfigError
        If an option cannot be used.

    Example
    -------
    >>> spec = SpectrumSpec("fbank", vad="energy", vad_options={"offset": -3.0})
    >>> spec.header().shape, spec.header().frame_shift_s, spec == SpectrumSpec(vad_options={"offset": -3})
    ((41,), None, True)
    """

    kind: str = FBANK
    num_mels: int = 40
    window_ms: float = 40.0
    hop_ms: float = 10.0
    vad: str = "energy"
    vad_options: Mapping[str, float] | tuple[tuple[str, float], ...] = ()
    subtract_mean: bool = True
    copy: WaveCopy | None = None

    features: ClassVar[tuple[str, ...]] = (SPECTRUM,)
    reads_audio: ClassVar[bool] = True
    batched: ClassVar[None] = None

    def __post_init__(self) -> None:
        options = dict(self.vad_options) if isinstance(self.vad_options, tuple) else self.vad_options or {}
        build_vad(self.vad, options)
        object.__setattr__(self, "vad_options", tuple(sorted(options.items())))  # a mapping has no hash
        self._build()

    def header(self, feature: str = SPECTRUM) -> StoreHeader:
        """The header of the store; loads no weights."""
        spectrum = self._build()
        dtype = "float16" if self.kind == FBANK else "float32"
        name = f"spectrum-{self.kind}"
        header = StoreHeader(name, spectrum.identity, SAMPLE_RATE_HZ, None, (spectrum.dim,), dtype)
        return header_of(header, self.copy)

    def open(self, root: Path) -> dict[str, FeatureStore]:
        """The store below `root`, as far as it has been filled.

        Raises
        ------
        StoreError
            If its header is damaged or not the one asked for.
        """
        return {SPECTRUM: FeatureStore.open(root, self.header())}

    def load(self, feature: str = SPECTRUM) -> Extractor:
        """What computes the frames; DataError where an utterance is too short, or nothing but silence."""
        spectrum = self._build()

        def frames(wave: Tensor, utterance: Utterance, data_folder: Path) -> Tensor:
            name = f"{locate(utterance.wav, data_folder)} ({utterance.id})"
            return spectrum(wave.unsqueeze(0), names=[name])[0].squeeze(0)  # (S,) -> (1, S); (1, T, M) -> (T, M)

        return frames

    def read(self, utterance: Utterance, data_folder: Path) -> tuple[Tensor, str]:
        """The wave of an utterance, and its hash."""
        return read_audio(utterance, data_folder)

    def source(self, feature: str, utterance: Utterance, data_folder: Path) -> tuple[Any, ...] | None:
        """What changes when the frames may have to be computed again; None if the audio is gone."""
        return audio_source(utterance, data_folder)

    def batches(self, utterances: Mapping[str, Utterance]) -> list[dict[str, str]]:
        """What goes through together: nothing does, each utterance goes alone."""
        return []

    def warnings(self, stores: Mapping[str, FeatureStore], utterances: Mapping[str, Utterance]) -> list[str]:
        """Lines on utterances that were just extracted: none."""
        return []

    def _build(self) -> Spectrum:
        return Spectrum(
            self.kind,
            self.num_mels,
            self.window_ms,
            self.hop_ms,
            self.vad,
            dict(self.vad_options),
            self.subtract_mean,
        )
