"""A recognizer that says which recording it was given, so that answers cannot be mixed up unnoticed."""

import contextlib
import io
import threading
import time
from dataclasses import dataclass, field

import numpy as np
import pytest
import soundfile

from emorec_lobes.errors import DataError

RATE_HZ = 16_000
LABELS = ("angry", "happy", "neutral", "sad")


@dataclass(frozen=True)
class Prediction:
    """The recognizer's answer, as the package's own has it."""

    label: str | None
    probabilities: dict[str, float]
    margin: float
    confidence: float
    embedding: np.ndarray | None
    warnings: tuple[str, ...]
    duration_s: float | None


@dataclass(frozen=True)
class Segment:
    """A part of a timeline."""

    start_s: float
    stop_s: float
    label: str | None
    probabilities: dict[str, float]


@dataclass(frozen=True)
class Timeline:
    """Segments in a row."""

    segments: tuple[Segment, ...]
    duration_s: float
    warnings: tuple[str, ...] = ()


class Stream:
    """Says one segment for each second that is full."""

    latency_s = 1.0

    def __init__(self, sample_rate_hz):
        self.rate, self.samples, self.said = sample_rate_hz, np.zeros(0, np.float32), 0

    def push(self, chunk):
        self.samples = np.concatenate([self.samples, chunk])
        found = []
        while len(self.samples) >= (self.said + 1) * self.rate:
            found.append(self._segment(self.said, self.said + 1))
            self.said += 1
        return found

    def finish(self):
        stop = len(self.samples) / self.rate
        return [self._segment(self.said, stop)] if stop > self.said else []

    def _segment(self, start, stop):
        level = float(np.abs(self.samples[int(start * self.rate) : int(stop * self.rate)]).mean())
        return Segment(start, stop, "angry", {"angry": level, "sad": 1 - level})


@dataclass
class StubRecognizer:
    """Hears the mean level of a recording, and answers with it as the first label's probability."""

    labels: tuple[str, ...] = LABELS
    device: str = "cpu"
    takes_audio: bool = True
    takes_text: bool = True
    seconds_per_call: float = 0.0
    batches: list[int] = field(default_factory=list)
    threads: set[str] = field(default_factory=set)
    fails_on: float | None = None  # a level that is a defect of the model
    calls: list[dict] = field(default_factory=list)

    def predict(self, inputs, *, text=None, sample_rate_hz=None, labels=None, threshold=None, embeddings=False):
        inputs = [None] * len(text) if inputs is None else inputs
        self.batches.append(len(inputs))
        self.threads.add(threading.current_thread().name)
        self.calls.append({"text": text, "labels": labels, "threshold": threshold, "embeddings": embeddings})
        time.sleep(self.seconds_per_call)
        assert sample_rate_hz is None
        words = [None] * len(inputs) if text is None else text
        return [self._one(item, said, labels, threshold, embeddings) for item, said in zip(inputs, words, strict=True)]

    def _one(self, data, text, labels, threshold, embeddings):
        wave, rate = (np.full(1, 0.5), RATE_HZ) if data is None else soundfile.read(io.BytesIO(data), dtype="float32")
        level = float(np.abs(wave if wave.ndim == 1 else wave.mean(axis=1)).mean())
        if self.fails_on is not None and abs(level - self.fails_on) < 1e-3:
            raise RuntimeError("secret inside of the model")
        if level == 0:
            raise DataError("The audio must hold speech, but is silent. Record it again.")
        first, *others = labels or self.labels
        probabilities = {first: level, **dict.fromkeys(others, (1 - level) / max(len(others), 1))}
        warnings = () if rate == RATE_HZ else (f"resampled from {rate} Hz",)
        warnings += () if text is None else (f"words: {text}",)
        vector = np.full(3, level, np.float32) if embeddings else None
        label = None if threshold is not None and level < threshold else first
        return Prediction(label, probabilities, level, level, vector, warnings, len(wave) / rate)

    def timeline(self, inputs, *, sample_rate_hz=None, window_s=1.0, shift_s=1.0, labels=None):
        wave, rate = soundfile.read(io.BytesIO(inputs), dtype="float32")
        stop_s, segments, start_s = len(wave) / rate, [], 0.0
        while start_s < stop_s:
            segments.append(Segment(start_s, min(start_s + window_s, stop_s), "angry", {"angry": 1.0}))
            start_s += shift_s
        return Timeline(tuple(segments), stop_s)

    def stream(self, sample_rate_hz, *, window_s=1.0, shift_s=1.0):
        return Stream(sample_rate_hz)


def recording(level=0.25, duration_s=0.2, rate=RATE_HZ, channels=1, form="WAV", subtype=None):
    """An audio file whose samples alternate between plus and minus this level."""
    signs = np.where(np.arange(int(duration_s * rate)) % 2, -1.0, 1.0)
    stream = io.BytesIO()
    soundfile.write(stream, np.repeat(level * signs[:, None], channels, axis=1), rate, format=form, subtype=subtype)
    return stream.getvalue()


@pytest.fixture(scope="session")
def make_recording():
    """The function that makes a recording of a level."""
    return recording


@pytest.fixture(scope="session")
def stub_kind():
    """The class of that recognizer."""
    return StubRecognizer


@pytest.fixture()
def recognizer():
    """A recognizer of a test's own."""
    return StubRecognizer()


@pytest.fixture()
def serve():
    """Starts an application around a recognizer: (recognizer, token=..., limits by name) -> a client."""
    pytest.importorskip("fastapi")
    pytest.importorskip("prometheus_client")
    pytest.importorskip("python_multipart")
    from fastapi.testclient import TestClient

    from emorec_lobes.server.app import build_app
    from emorec_lobes.server.limits import Limits

    with contextlib.ExitStack() as running:

        def start(recognizer, token=None, is_local=False, **limits):
            app = build_app(recognizer, Limits(**limits), token, is_local)
            return running.enter_context(TestClient(app, raise_server_exceptions=False))

        yield start


@pytest.fixture()
def client(serve, recognizer):
    """A client of a server with small limits."""
    return serve(recognizer, max_upload_mb=0.5, max_audio_s=5, decoders=1)
