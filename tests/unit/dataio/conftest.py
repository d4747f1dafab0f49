"""A small feature store with known contents."""

import numpy as np
import pytest

from emorec_lobes.corpora.manifest import Utterance
from emorec_lobes.features.store import FeatureStore, StoreHeader

FRAMES = {"a1": 40, "a2": 96, "a3": 250, "b1": 97, "b2": 130}
EMOTIONS = ("angry", "sad")


def utterance(utterance_id, emotion="angry"):
    duration = FRAMES[utterance_id] * 0.02
    return Utterance(utterance_id, f"{utterance_id}.wav", duration, emotion, emotion, speaker=utterance_id[0])


@pytest.fixture()
def utterances():
    return {item: utterance(item, EMOTIONS[number % 2]) for number, item in enumerate(FRAMES)}


def make_store(root, name, shape, dtype, make):
    store = FeatureStore.open(root, StoreHeader(name, {"test": 1}, 16_000, 0.02, shape, dtype))
    for item, num_frames in FRAMES.items():
        store.write(item, make(item, num_frames), audio_hash=item, source=(0, 0))
    return store


@pytest.fixture()
def layers(tmp_path):
    """Each value is the frame's number, plus a tenth of the layer's."""

    def frames(item, num_frames):
        ramp = np.arange(num_frames, dtype=np.float32)[:, None, None]
        return np.broadcast_to(ramp + 0.1 * np.arange(2, dtype=np.float32)[:, None], (num_frames, 2, 3)).copy()

    return make_store(tmp_path, "layers", (2, 3), "float32", frames)


@pytest.fixture()
def mel(tmp_path):
    return make_store(
        tmp_path,
        "mel",
        (4,),
        "float32",
        lambda item, n: np.repeat(np.arange(n, dtype=np.float32)[:, None], 4, axis=1) + 1,
    )


@pytest.fixture()
def phones(tmp_path):
    return make_store(tmp_path, "phones", (), "uint8", lambda item, n: (np.arange(n) % 128).astype(np.uint8))


@pytest.fixture()
def embeddings(tmp_path):
    generator = np.random.default_rng(0)
    rows = {item: generator.random((1, 5), dtype=np.float32) for item in FRAMES}
    header = StoreHeader("speaker", {"test": 1}, 16_000, None, (5,), "float32")
    store = FeatureStore.open(tmp_path, header)
    for item, row in rows.items():
        store.write(item, row, audio_hash=item, source=(0, 0))
    return store
