"""What to extract, as plain values: a YAML passes it, a worker process receives it."""

import hashlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor

from emorec_lobes.corpora.manifest import Utterance, locate
from emorec_lobes.errors import ConfigError, DataError, not_one_of
from emorec_lobes.features import speaker, text
from emorec_lobes.features.audio_source import audio_source, file_stamp, read_audio
from emorec_lobes.features.huggingface import check_sizes
from emorec_lobes.features.huggingface_precision import FP32
from emorec_lobes.features.mel import NUM_MELS, MelSpectrogram
from emorec_lobes.features.phones import PhoneExtractor
from emorec_lobes.features.speaker import SpeakerEmbedding
from emorec_lobes.features.speech import STORED_AS, layers_header, load_encoder
from emorec_lobes.features.speech_batches import SpeechLayers, batches_of
from emorec_lobes.features.store import HEADER, FeatureStore, StoreHeader, read_header
from emorec_lobes.features.text_brackets import check_transcript, has_letters, replace_brackets, split_context
from emorec_lobes.features.wave_copy import WaveCopy, header_of
from emorec_lobes.units import FRAME_SHIFT_S, SAMPLE_RATE_HZ

FEATURES = ("layers", "mel", "phones", "speaker")

TOKENS = "tokens"

# (wave (S,) or transcript, utterance, data folder, and of a transcript its batch) -> frames or tokens
Extractor = Callable[..., Tensor]


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
    dtype : str
        What the layers are stored as: `float16`, or `int8` with a scale for each frame and layer, in half the space.
    precision : str
        `fp32`, or `bf16`, with which utterances of about one length go through the encoder together.

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
    dtype: str = STORED_AS[0]
    precision: str = FP32

    reads_audio: ClassVar[bool] = True
    batched: ClassVar[str] = "layers"

    def __post_init__(self) -> None:
        for feature in self.features:
            if feature not in FEATURES:
                raise ConfigError(not_one_of("features", feature, FEATURES))
        object.__setattr__(self, "features", tuple(self.features))  # a YAML gives a list

    def header(self, feature: str) -> StoreHeader:
        """The header of a feature's store; loads no weights."""
        return header_of(self._header(feature), self.copy)

    def _header(self, feature: str) -> StoreHeader:
        if feature == "layers":
            sizes = (self.num_layers, self.encoder_dim)
            return layers_header(self.encoder, *sizes, self.padding, self.precision, self.dtype)
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
        headers = {feature: self.header(feature) for feature in self.features}
        if "layers" in headers:
            _check_stored_sizes(root, headers["layers"], self.encoder)
        return {feature: FeatureStore.open(root, header) for feature, header in headers.items()}

    def load(self, feature: str) -> Extractor:
        """Loads what computes a feature."""
        if feature == "layers":
            sizes = (self.num_layers, self.encoder_dim)
            encoder = load_encoder(self.encoder, *sizes, self.padding, self.device, self.precision)
            return SpeechLayers(encoder, self)
        if feature == "phones":
            return PhoneExtractor(self.aligner)
        extractor = MelSpectrogram() if feature == "mel" else SpeakerEmbedding()
        return lambda wave, utterance, data_folder: extractor(wave)

    def read(self, utterance: Utterance, data_folder: Path) -> tuple[Tensor, str]:
        """The wave of an utterance, and its hash."""
        return read_audio(utterance, data_folder)

    def source(self, feature: str, utterance: Utterance, data_folder: Path) -> tuple[Any, ...] | None:
        """What changes when a feature may have to be computed again, cheap to find out; None if the audio is gone."""
        source = audio_source(utterance, data_folder)
        if source is None or feature != "phones" or self.aligner == "none":
            return source
        alignment = file_stamp(locate(utterance.phones, data_folder)) if utterance.phones else None
        return (*source, _text_hash(utterance)[:16], *(alignment or ()))

    def batches(self, utterances: Mapping[str, Utterance]) -> list[dict[str, Utterance]]:
        """What goes through the encoder together, as id -> utterance: nothing at `fp32`, where each is to have the same
        bits in every manifest; else what is about as long, as the manifest alone decides."""
        if self.precision == FP32 or "layers" not in self.features:
            return []
        return batches_of(utterances)

    def warnings(self, stores: Mapping[str, FeatureStore], utterances: Mapping[str, Utterance]) -> list[str]:
        """Lines on utterances that were just extracted: none, since only transcripts need any."""
        return []


@dataclass(frozen=True)
class TextSpec:
    """Token features of the transcripts, by a text encoder. No audio is needed.

    Arguments
    ---------
    encoder, num_layers, encoder_dim, brackets, max_tokens, device
        As `text.load_text_encoder`. `device` is no part of what the features are.

    Example
    -------
    >>> spec = TextSpec("minilm", num_layers=1, encoder_dim=384, brackets="map")
    >>> spec.header("tokens").shape, spec.header("tokens").frame_shift_s
    ((1, 384), None)
    """

    encoder: str
    num_layers: int
    encoder_dim: int
    brackets: str = "keep"
    max_tokens: int = 512
    device: str = "cpu"

    features: ClassVar[tuple[str, ...]] = (TOKENS,)
    reads_audio: ClassVar[bool] = False
    batched: ClassVar[str] = TOKENS
    copy: ClassVar[None] = None

    def header(self, feature: str = TOKENS) -> StoreHeader:
        """The header of the store; loads no weights."""
        return text.text_header(self.encoder, self.num_layers, self.encoder_dim, self.brackets, self.max_tokens)

    def open(self, root: Path) -> dict[str, FeatureStore]:
        """The store below `root`, as far as it has been filled; raises as `ExtractionSpec.open`."""
        header = self.header()
        _check_stored_sizes(root, header, self.encoder)
        return {TOKENS: FeatureStore.open(root, header)}

    def load(self, feature: str = TOKENS) -> Extractor:
        """Loads what computes the tokens."""
        encoder = text.load_text_encoder(
            self.encoder, self.num_layers, self.encoder_dim, self.brackets, self.max_tokens, self.device
        )
        encode = lru_cache(maxsize=1)(encoder.batch)  # the utterances of a batch come one after another

        def tokens(transcript: str, utterance: Utterance, data_folder: Path, batch: tuple[str, ...]) -> Tensor:
            return encode(batch)[batch.index(transcript)]

        return tokens

    def batches(self, utterances: Mapping[str, Utterance]) -> list[dict[str, str]]:
        """The transcripts that go through the encoder together, as id -> transcript: as many tokens each, so that none
        is padded.

        They depend on the manifest alone, not on what is missing in the store: what was interrupted ends with the same
        bits. A transcript that cannot be used is in none.
        """
        usable = {}
        for key, utterance in utterances.items():
            with suppress(DataError):  # `read` raises it again
                usable[key] = _checked(utterance)
        return text.equally_long(usable, self.encoder, self.brackets, self.max_tokens)

    def read(self, utterance: Utterance, data_folder: Path) -> tuple[str, str]:
        """The transcript of an utterance, and its hash; DataError if there is none."""
        return _checked(utterance), _text_hash(utterance)

    def source(self, feature: str, utterance: Utterance, data_folder: Path) -> tuple[Any, ...]:
        """What changes when the tokens have to be computed again."""
        return (_text_hash(utterance),)

    def warnings(self, stores: Mapping[str, FeatureStore], utterances: Mapping[str, Utterance]) -> list[str]:
        """One line each on transcripts that were cut off, and on those that say nothing, if there are any."""
        cut = self.truncated(stores[TOKENS], utterances)
        silent = self.without_letters(stores[TOKENS], utterances)
        notes = {f"are longer than `max_tokens` ({self.max_tokens}) and cut off there": cut, "have no letters": silent}
        return [
            f"{len(ids)} of {len(utterances)} transcripts {note}. The first is that of {ids[0]!r}."
            for note, ids in notes.items()
            if ids
        ]

    def truncated(self, store: FeatureStore, utterances: Mapping[str, Utterance]) -> list[str]:
        """The utterances of a store whose transcript was cut off at `max_tokens`."""
        return text.truncated(store, utterances, self.encoder, self.brackets, self.max_tokens)

    def without_letters(self, store: FeatureStore, utterances: Mapping[str, Utterance]) -> list[str]:
        """The utterances of a store whose transcript has no letters, perhaps since its bracket tokens are dropped."""
        return [item for item, utterance in utterances.items() if item in store and not self._says_something(utterance)]

    def _says_something(self, utterance: Utterance) -> bool:
        _, own = split_context(utterance.text or "")
        return has_letters(replace_brackets(own, self.brackets))


def _checked(utterance: Utterance) -> str:
    """The text of an utterance, context and all; DataError if it says nothing itself."""
    check_transcript(utterance.text and split_context(utterance.text)[1], utterance.id)
    return utterance.text


def _check_stored_sizes(root: Path, header: StoreHeader, encoder: str) -> None:
    """Refuses an encoder's store that is there with other sizes."""
    folder = Path(root) / header.folder_name
    if (folder / HEADER).exists():
        check_sizes(encoder, read_header(folder).shape, header.shape)


def _text_hash(utterance: Utterance) -> str:
    """Identity of a transcript, also of one that is no proper Unicode."""
    return hashlib.sha256((utterance.text or "").encode(errors="surrogatepass")).hexdigest()
