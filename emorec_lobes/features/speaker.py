"""The speaker vector: Resemblyzer's utterance embedding, by Resemblyzer's own code."""

import importlib.metadata
import sys
import types
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from emorec_lobes.errors import UnavailableError
from emorec_lobes.features import resemblyzer

DIM = 256

# Windows of 1.6 s that go through the network together: a long file must not fill the memory.
_WINDOWS = 256


class SpeakerEmbedding:
    """One unit vector an utterance, which tells speakers apart.

    Source: Makiuchi 2021, section 4.1, and Resemblyzer: level raised to -30 dBFS, long silences
    cut, mean of windows of 1.6 s, brought to unit length.
    Deviates: where Resemblyzer's voice detector finds no voice at all, it would embed an empty wave;
    the whole utterance, silences included, is embedded instead.

    Raises
    ------
    UnavailableError
        If resemblyzer cannot be imported.

    Example
    -------
    >>> embed = SpeakerEmbedding()
    >>> embed(torch.randn(16_000)).shape
    torch.Size([1, 256])
    """

    def __init__(self) -> None:
        self.identity = identity()
        library = _import_resemblyzer()
        self._preprocess = library.preprocess_wav
        self._mels = library.audio.wav_to_mel_spectrogram
        self._encoder = library.VoiceEncoder("cpu", verbose=False).eval()

    def __call__(self, wave: Tensor) -> Tensor:
        """Embedding of an utterance.

        Arguments
        ---------
        wave : torch.Tensor, (S,), float32
            16 kHz.

        Returns
        -------
        torch.Tensor, (1, E), float32
            Non-negative, of unit length; E = 256.
        """
        return self.batch([wave])

    @torch.no_grad()
    def batch(self, waves: Sequence[Tensor]) -> Tensor:
        """Embeddings of several utterances, as each would be alone, but for rounding: (B, E).

        The windows of all of them go through the network together, some at a time.
        """
        windows = [self._windows(wave) for wave in waves]
        parts = torch.cat(windows).split(_WINDOWS)
        found = torch.cat([self._encoder(part) for part in parts]).split([len(each) for each in windows])
        return torch.nn.functional.normalize(torch.stack([each.mean(dim=0) for each in found]), dim=1)

    def _windows(self, wave: Tensor) -> Tensor:
        """Mel spectrograms of the utterance's windows as `embed_utterance` cuts them, (N, T, M)."""
        samples = wave.numpy()
        # Digital silence has no level to raise: the library would divide by zero.
        voiced = self._preprocess(samples) if samples.any() else samples
        if not len(voiced):
            voiced = resemblyzer.raise_level(wave).numpy()
        in_samples, in_frames = self._encoder.compute_partial_slices(len(voiced), rate=1.3, min_coverage=0.75)
        missing = max(0, in_samples[-1].stop - len(voiced))
        mels = self._mels(np.pad(voiced, (0, missing)))
        return torch.from_numpy(np.stack([mels[window] for window in in_frames]))


def identity() -> dict[str, Any]:
    """What decides the values; part of the store's fingerprint. Reads the weights, imports nothing."""
    return {**resemblyzer.identity(), "silences": "cut"}


def _import_resemblyzer() -> types.ModuleType:
    resemblyzer.weights_file()
    try:
        with _package_resources(), warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            import resemblyzer as library
    except Exception as error:  # whatever a compiled dependency of it may raise
        reason = " ".join(str(error).split())
        raise UnavailableError(
            f"Speaker vectors need resemblyzer, which cannot be imported ({type(error).__name__}: {reason}). "
            "Install it again with `pip install --force-reinstall resemblyzer 'scipy<2'`."
        ) from None
    return library


@contextmanager
def _package_resources() -> Iterator[None]:
    """Stands in for `pkg_resources` during the import: webrtcvad asks it for its own version, and setuptools 82
    no longer has it."""
    name = "pkg_resources"
    if name in sys.modules:
        yield
        return
    stand_in = types.ModuleType(name)
    stand_in.get_distribution = importlib.metadata.distribution  # type: ignore[attr-defined]
    sys.modules[name] = stand_in
    try:
        yield
    finally:
        del sys.modules[name]
