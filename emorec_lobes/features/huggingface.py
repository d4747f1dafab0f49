"""Hugging Face speech models as encoders: wav2vec 2.0, HuBERT, WavLM, data2vec-audio and Whisper's encoder."""

import math
import pickle
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.nn import functional

from emorec_lobes.errors import ConfigError, DataError, UnavailableError, not_one_of
from emorec_lobes.features.huggingface_batch import masks_padding, standardise, together
from emorec_lobes.features.huggingface_folder import content_identity, is_hub_id, locate_model, normalises_input
from emorec_lobes.features.huggingface_layers import keep_layers
from emorec_lobes.features.huggingface_precision import FP32, Precise
from emorec_lobes.units import FRAME_SHIFT_S, HOP_SAMPLES, MIN_SAMPLES, SAMPLE_RATE_HZ, Seconds, num_frames

PADDINGS = ("centred", "authors")

_CENTRED_PADDING_SAMPLES = 200
# Whisper's encoder halves the frame rate of its 10 ms log-mel input.
_WHISPER_STRIDE = 2


class HuggingFaceEncoder:
    """All hidden states of a frozen speech model, on the 20 ms grid.

    Layer 0 is the input of the first transformer layer; the last one is after the final layer norm
    where a model has one. An utterance goes through whole, and is what it would be alone.
    Whisper, which only takes 30 s, sees longer audio in consecutive windows.

    Source: Makiuchi 2021, section 3.2 (25 features of wav2vec 2.0 large).
    Deviates: `centred` padding, zeros of 200 samples on both sides, puts every frame exactly where
    the mel spectrogram's is; `authors` is their rule, up to 7 ms off.

    Arguments
    ---------
    encoder : str
        Hub id or local folder.
    num_layers : int
        Hidden states, L: the transformer layers and one.
    encoder_dim : int
        Width, D.
    padding : str
        `centred` or `authors`. Whisper pads in its own way and ignores it.
    device : str
        Where the model runs; results come back on the CPU.
    precision : str
        `fp32`, or `bf16` or `int8` for its matrices: faster where the processor has instructions for it, less exact.
    kept_layers : int, optional
        Of the L hidden states, how many are computed, from the lowest on.

    Raises
    ------
    ConfigError
        If the sizes are not the model's, or it is not a speech model with 20 ms frames.
    UnavailableError
        If the model is not here, or its weights are damaged or incomplete.
    """

    frame_shift_s: Seconds = FRAME_SHIFT_S

    def __init__(
        self,
        encoder: str,
        num_layers: int,
        encoder_dim: int,
        padding: str = "centred",
        device: str = "cpu",
        precision: str = FP32,
        kept_layers: int | None = None,
    ) -> None:
        if padding not in PADDINGS:
            raise ConfigError(not_one_of("padding", padding, PADDINGS))
        folder = locate_model(encoder)
        config = read_config(folder)
        check_sizes(encoder, sizes_of(config, folder), (num_layers, encoder_dim))
        self.num_layers = num_layers if kept_layers is None else kept_layers
        self.dim = encoder_dim
        self._encoder = encoder
        self._padding = padding
        self._precision = precision
        self._device = torch.device(device)
        model = load_model(folder, config, unused=("masked_spec_embed",))
        self._whisper = _WhisperInput(folder, config) if config.model_type == "whisper" else None
        model = model.get_encoder() if self._whisper else model
        if self.num_layers < num_layers:
            keep_layers(model, self.num_layers)
        model = model.to(self._device)
        self._normalise = normalises_input(folder)
        self._pads = masks_padding(config)
        self._model = Precise(model, precision)

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What decides the values; part of the store's fingerprint."""
        return identity(self._encoder, self._padding, self._precision)

    @torch.no_grad()
    def layers(self, wave: Tensor) -> Tensor:
        """Hidden states of one utterance.

        Arguments
        ---------
        wave : torch.Tensor, (S,), float32
            16 kHz.

        Returns
        -------
        torch.Tensor, (T, L, D), float32
            T = S // 320 + 1.

        Raises
        ------
        DataError
            If the model gives another number of frames.
        """
        return self.batch([wave])[0]

    @torch.no_grad()
    def batch(self, waves: Sequence[Tensor]) -> list[Tensor]:
        """`layers` of several waves at once, each but for rounding what it gives alone.

        Where a mask cannot keep the padding out of a model, only waves of one length share a forward.
        """
        if self._whisper:
            states = [self._windowed(wave) for wave in waves]
        else:
            padded = [functional.pad(wave, padding_samples(len(wave), self._padding)) for wave in waves]
            inputs = [standardise(wave) if self._normalise else wave for wave in padded]
            states = together(inputs, self._states, self._pads, self._model.most_samples)
        return [self._checked(each, len(wave)) for each, wave in zip(states, waves, strict=True)]

    def _windowed(self, wave: Tensor) -> Tensor:
        windows = self._whisper.windows(wave, num_frames(len(wave)))
        return torch.cat([self._states(item, None)[0] for item in windows])[: num_frames(len(wave))]

    def _checked(self, states: Tensor, num_samples: int) -> Tensor:
        wanted = num_frames(num_samples)
        if len(states) < wanted:
            raise DataError(
                f"The encoder must give {wanted} frames for {num_samples} samples, but gives {len(states)} instead. "
                "Use an encoder with 20 ms frames."
            )
        return states[:wanted]  # what stands behind is padding

    def _states(self, model_input: Tensor, mask: Tensor | None) -> Tensor:
        """Model input with a batch axis, and which of its samples are real -> (B, T, L, D)."""
        masked = {} if mask is None else {"attention_mask": mask.to(self._device)}
        output = self._model(model_input.to(self._device), output_hidden_states=True, **masked)
        # transformers 5 leaves the last hidden state of some models before the final layer norm.
        states = (*output.hidden_states[:-1], output.last_hidden_state)
        return torch.stack(states, dim=2).float().cpu()  # L x (B, T, D) -> (B, T, L, D)


class _WhisperInput:
    """Log-mel windows of 30 s for Whisper."""

    def __init__(self, folder: Path, config: Any) -> None:
        from transformers import WhisperFeatureExtractor

        if (folder / "preprocessor_config.json").is_file():
            self._extractor = WhisperFeatureExtractor.from_pretrained(folder, local_files_only=True)
        else:
            self._extractor = WhisperFeatureExtractor(feature_size=config.num_mel_bins)
        self._window_frames = config.max_source_positions

    def windows(self, wave: Tensor, wanted: int) -> Iterator[Tensor]:
        """As many windows as give `wanted` frames: the last one is padded with zeros."""
        window_samples = self._window_frames * HOP_SAMPLES
        for index in range(math.ceil(wanted / self._window_frames)):
            part = wave[index * window_samples : (index + 1) * window_samples]
            part = functional.pad(part, (0, window_samples - len(part)))
            features = self._extractor(part.numpy(), sampling_rate=SAMPLE_RATE_HZ, return_tensors="pt")
            yield features.input_features[..., : self._window_frames * _WHISPER_STRIDE]


def identity(encoder: str, padding: str, precision: str = FP32) -> dict[str, Any]:
    """What decides the values of an encoder: a hub id's name, a folder's content wherever it lies.

    A hub id needs no model on this machine, so a store can be used where only it was copied to.
    """
    weights = encoder if is_hub_id(encoder) else content_identity(locate_model(encoder))
    rounded = {} if precision == FP32 else {"precision": precision}
    return {"version": 1, "weights": weights, "padding": padding, **rounded}


def padding_samples(num_samples: int, padding: str) -> tuple[int, int]:
    """Zeros before and after the wave, so that the encoder's frames are as many as the mel's.

    Example
    -------
    >>> padding_samples(16_000, "centred"), padding_samples(16_000, "authors"), padding_samples(16_080, "authors")
    ((200, 200), (319, 319), (160, 160))
    """
    if padding == "centred":
        return _CENTRED_PADDING_SAMPLES, _CENTRED_PADDING_SAMPLES
    side = 160 if num_samples % HOP_SAMPLES >= 80 else 319
    return side, side


def read_config(folder: Path) -> Any:
    """A model's configuration, for which no code of the model's own is run."""
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"`encoder` {folder} must have a config.json that transformers reads ({first_line(error)})."
        ) from None
    if hasattr(config, "add_adapter"):
        config.add_adapter = False  # the adapter halves the frame rate of the last layer
    return config


def sizes_of(config: Any, folder: Path) -> tuple[int, int]:
    """Hidden states and width of a speech model with 20 ms frames; ConfigError for any other model."""
    if config.model_type == "whisper":
        return config.encoder_layers + 1, config.d_model
    strides, kernels = getattr(config, "conv_stride", None), getattr(config, "conv_kernel", None)
    if not strides or not kernels:
        raise ConfigError(
            f"`encoder` {folder} must be a wav2vec 2.0, HuBERT, WavLM, data2vec-audio or Whisper model, "
            f"but is {config.model_type!r} instead. Name another folder or hub id."
        )
    window = 1 + sum((kernel - 1) * math.prod(strides[:index]) for index, kernel in enumerate(kernels))
    if (math.prod(strides), window) != (HOP_SAMPLES, MIN_SAMPLES):
        raise ConfigError(
            f"`encoder` {folder} must have a frame every {HOP_SAMPLES} samples over {MIN_SAMPLES}, but has one every "
            f"{math.prod(strides)} over {window} instead. Name another folder or hub id."
        )
    return config.num_hidden_layers + 1, config.hidden_size


def check_sizes(encoder: str, found: tuple[int, int], asked: tuple[int, int]) -> None:
    """Refuses sizes that are not the encoder's, naming all three keys and their right values."""
    if found != asked:
        raise ConfigError(
            f"`encoder` {encoder} has num_layers {found[0]} and encoder_dim {found[1]}, but num_layers {asked[0]} and "
            f"encoder_dim {asked[1]} are asked for. Set encoder: {encoder}, num_layers: {found[0]}, "
            f"encoder_dim: {found[1]}."
        )


def load_model(folder: Path, config: Any, unused: tuple[str, ...]) -> nn.Module:
    """The model with every weight from its file, none left random but those whose names begin with one of `unused`."""
    from transformers import AutoModel

    try:
        with quiet():
            model, info = AutoModel.from_pretrained(
                folder,
                config=config,
                dtype=torch.float32,
                local_files_only=True,
                trust_remote_code=False,
                output_loading_info=True,
            )
    except (OSError, ValueError, RuntimeError, KeyError, EOFError, pickle.UnpicklingError, SafetensorError) as error:
        raise UnavailableError(
            f"The weights in {folder} cannot be loaded ({first_line(error)}). Get the model again, e.g. with "
            "`hf download`."
        ) from None
    part = "encoder." if config.model_type == "whisper" else ""
    missing = sorted(key for key in info["missing_keys"] if key.startswith(part) and not key.startswith(unused))
    if missing:
        raise UnavailableError(
            f"The weights in {folder} must be complete, but lack {len(missing)} tensors, the first is {missing[0]}. "
            "They would be left random: get the model again."
        )
    return model.eval()


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps transformers' loading report and bar off the terminal: what matters of it becomes an error."""
    from transformers.utils import logging

    verbosity, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bar:
            logging.enable_progress_bar()


def first_line(error: Exception) -> str:
    """The first line of a library's message."""
    return " ".join(str(error).strip().split("\n")[0].split()).rstrip(".")[:300] or type(error).__name__
