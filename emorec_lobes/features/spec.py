"""What to extract, as plain values: a YAML passes it, a worker process receives it."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from emorec_lobes.corpora.manifest import Utterance, locate
from emorec_lobes.errors import ConfigError, not_one_of
from emorec_lobes.features import speaker
from emorec_lobes.features.huggingface import check_sizes
from emorec_lobes.features.mel import NUM_MELS, MelSpectrogram
from emorec_lobes.features.phones import PhoneExtractor
from emorec_lobes.features.speaker import SpeakerEmbedding
from emorec_lobes.features.speech import layers_header, load_encoder
from emorec_lobes.features.store import HEADER, FeatureStore, StoreHeader, read_header
from emorec_lobes.features.wave_copy import WaveCopy
from emorec_lobes.units import FRAME_SHIFT_S, SAMPLE_RATE_HZ

FEATURES = ("layers", "mel", "phones", "speaker")

# (wave (S,), utterance, data folder) -> frames
Extractor = Callable[[Tensor, Utterance, Path], Tensor]


@dataclass(frozen=True)
class ExtractionSpec:
    """Which features, by which extractors.

    Arguments
    ---------
    encoder, num_layers, encoder_dim, padding
        As `speech.load_encoder`.
    aligner : str
        `none`, `file` or `pocketsphinx`, as `phones.PhoneExtractor`.
    features : tuple of str
        Those of `layers` (T, L, D), `mel` (T, 80), `phones` (T,) and `speaker` (1, 256) that are wanted.
    device : str
        Where the encoder runs. Not part of what the features are.
    copy : WaveCopy, optional
        Augments the waves first; its features lie in stores of their own.

    Example
    -------
    >>> spec = ExtractionSpec("resemblyzer", num_layers=3, encoder_dim=256)
    >>> spec.header("layers").shape, spec.header("mel").dtype
    ((3, 256), 'float16')
    """

    encoder: str
    num_layers: int
    encoder_dim: int
    padding: str = "centred"
    aligner: str = "none"
    features: tuple[str, ...] = FEATURES
    device: str = "cpu"
    copy: WaveCopy | None = None

    def __post_init__(self) -> None:
        for feature in self.features:
            if feature not in FEATURES:
                raise ConfigError(not_one_of("features", feature, FEATURES))
        object.__setattr__(self, "features", tuple(self.features))  # a YAML gives a list

    def header(self, feature: str) -> StoreHeader:
        """The header of a feature's store; loads no weights."""
        header = self._header(feature)
        if self.copy is None:
            return header
        name = f"{header.extractor}-copy{self.copy.number}"
        return replace(header, extractor=name, identity={**header.identity, "wave": self.copy.identity})

    def _header(self, feature: str) -> StoreHeader:
        if feature == "layers":
            return layers_header(self.encoder, self.num_layers, self.encoder_dim, self.padding)
        if feature == "mel":
            identity = MelSpectrogram().identity
            return StoreHeader("mel", identity, SAMPLE_RATE_HZ, FRAME_SHIFT_S, (NUM_MELS,), "float16")
        if feature == "phones":
            identity = PhoneExtractor(self.aligner).identity
            return StoreHeader(f"phones-{self.aligner}", identity, SAMPLE_RATE_HZ, FRAME_SHIFT_S, (), "uint8")
        return StoreHeader("speaker", speaker.identity(), SAMPLE_RATE_HZ, None, (speaker.DIM,), "float32")

    def open(self, root: Path) -> dict[str, FeatureStore]:
        """The stores of all features below `root`, as far as they have been filled.

        Raises
        ------
        ConfigError
            If the encoder's store is there with other sizes.
        StoreError
            If a store's header is damaged or not the one asked for.
        """
        stores = {}
        for feature in self.features:
            header = self.header(feature)
            folder = Path(root) / header.folder_name
            if feature == "layers" and (folder / HEADER).exists():
                check_sizes(self.encoder, read_header(folder).shape, header.shape)
            stores[feature] = FeatureStore.open(root, header)
        return stores

    def load(self, feature: str) -> Extractor:
        """Loads what computes a feature."""
        if feature == "layers":
            encoder = load_encoder(self.encoder, self.num_layers, self.encoder_dim, self.padding, self.device)
            return lambda wave, utterance, data_folder: encoder.layers(wave)
        if feature == "phones":
            return PhoneExtractor(self.aligner)
        extractor = MelSpectrogram() if feature == "mel" else SpeakerEmbedding()
        return lambda wave, utterance, data_folder: extractor(wave)

    def source(self, feature: str, utterance: Utterance, data_folder: Path) -> tuple[Any, ...] | None:
        """What changes when a feature may have to be computed again, cheap to find out; None if the audio is gone."""
        audio = _stat(locate(utterance.wav, data_folder))
        if audio is None:
            return None
        source = (utterance.wav, *audio, utterance.start, utterance.stop)
        if feature != "phones" or self.aligner == "none":
            return source
        text = hashlib.sha256((utterance.text or "").encode()).hexdigest()[:16]
        alignment = _stat(locate(utterance.phones, data_folder)) if utterance.phones else None
        return (*source, text, *(alignment or ()))


def _stat(path: Path) -> tuple[int, int] | None:
    """Size in bytes and time of the last change in ns; None if there is no such file."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_size, stat.st_mtime_ns
