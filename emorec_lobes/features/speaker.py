"""The speaker vector: Resemblyzer's utterance embedding, by Resemblyzer's own code."""

import importlib.metadata
import sys
import types
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from emorec_lobes.errors import UnavailableError
from emorec_lobes.features import resemblyzer

DIM = 256


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
        samples = wave.numpy()
        # Digital silence has no level to raise: the library would divide by zero.
        voiced = self._preprocess(samples) if samples.any() else samples
        if not len(voiced):
            voiced = resemblyzer.raise_level(wave).numpy()
        return torch.from_numpy(self._encoder.embed_utterance(voiced)).float().unsqueeze(0)  # (E,) -> (1, E)


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
