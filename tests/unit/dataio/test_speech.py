"""What the model is handed is cut from one place, padded with zeros, and counted right."""

from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest
import torch
from speechbrain.dataio.batch import PaddedBatch

from emorec_lobes.dataio.normalise import Normaliser
from emorec_lobes.dataio.speech import SpeechData
from emorec_lobes.errors import DataError, StoreError
from emorec_lobes.features.store import FeatureStore


@pytest.fixture()
def data(layers, mel, phones, utterances):
    vectors = {item: torch.full((5,), float(number)) for number, item in enumerate(utterances)}
    normaliser = Normaliser(layers, utterances, "none")
    return SpeechData(utterances, ("angry", "sad"), layers, mel, phones, vectors, normaliser, crop_frames=96)


@pytest.mark.parametrize("fraction", [0.0, 0.37, 0.999])
def test_layers_mel_and_phones_of_a_crop_are_the_same_frames(data, fraction):
    frames, mel, phones, num_valid = data.crop("a3", fraction)
    start = int(frames[0, 0, 0])
    assert num_valid == 96
    assert torch.equal(frames[:, 0, 0], torch.arange(start, start + 96.0))
    assert torch.equal(mel[:, 0] - 1, frames[:, 0, 0])
    assert torch.equal(phones, torch.arange(start, start + 96) % 128)


def test_a_short_utterance_is_padded_with_zeros_and_its_frames_are_counted(data):
    frames, mel, phones, num_valid = data.crop("a1", 0.9)
    assert num_valid == 40
    assert not frames[40:].any() and not mel[40:].any() and not phones[40:].any()
    assert mel[:40].all()


def test_a_training_batch_holds_each_draw_at_its_place(data):
    dataset = data.crops_dataset(["b1", "a1", "a3"])
    batch = PaddedBatch([dataset[2, 0.5], dataset[1, 0.0]])
    assert batch.id == ["a3", "a1"]
    assert batch.layers.data.shape == (2, 96, 2, 3)
    assert batch.num_valid.tolist() == [96, 40]
    assert batch.target.tolist() == [0, 0]
    assert batch.speaker_vector.data[:, 0].tolist() == [2.0, 0.0]
    assert int(batch.layers.data[0, 0, 0, 0]) == int(0.5 * (250 - 96 + 1))


def test_segments_put_end_to_end_are_the_utterance(data, layers):
    segments, num_valid = data.segments("a3")
    assert num_valid.tolist() == [96, 96, 58]
    glued = torch.cat([segment[:count] for segment, count in zip(segments, num_valid, strict=True)])
    assert torch.equal(glued, layers.read("a3"))
    assert not segments[-1, 58:].any()


def test_in_a_batch_of_utterances_padding_segments_have_no_valid_frame(data):
    dataset = data.segments_dataset(["a1", "a3"])
    batch = PaddedBatch([dataset[0], dataset[1]])
    assert batch.id == ["a3", "a1"]  # longest first
    assert batch.num_valid.data.tolist() == [[96, 96, 58], [40, 0, 0]]


def test_an_emotion_outside_the_labels_is_an_error_and_never_class_zero(data):
    with pytest.raises(DataError, match="must be one of angry, sad, but is 'happy'"):
        data.target("happy")


def test_stores_that_disagree_on_the_frames_are_refused(data, mel):
    mel.write("a2", torch.zeros(90, 4), audio_hash="a2", source=(0, 0))
    with pytest.raises(StoreError, match=r"'a2' have \[90, 96\] frames"):
        data.crop("a2", 0.0)


@pytest.fixture()
def with_copies(data, tmp_path):
    """Two copies of every utterance, a thousand and two thousand higher, and half as long."""

    def copy(number):
        stores = {}
        for name in ("layers", "mel", "phones"):
            store = getattr(data, name)
            extractor = f"{name}-copy{number}"
            stores[name] = FeatureStore.open(tmp_path / "copies", replace(store.header, extractor=extractor))
            for item in store.ids:
                frames = store.read(item)[: store.num_frames(item) // 2]
                frames = frames + 1000 * number if frames.is_floating_point() else frames
                stores[name].write(item, frames, audio_hash=item, source=(0, 0))
        return stores

    return replace(data, copies=(copy(1), copy(2)))


def test_a_draw_chooses_evenly_among_the_original_and_its_copies_and_where_in_it(with_copies):
    chosen = defaultdict(list)
    for fraction in np.linspace(0, 1, 3000, endpoint=False):
        frames, mel, phones, num_valid = with_copies.crop("a3", fraction)
        version, start = divmod(int(frames[0, 0, 0]), 1000)
        chosen[version].append(start)
        assert num_valid == 96 and torch.equal(mel[:, 0] - 1, frames[:, 0, 0])
        assert torch.equal(phones, torch.arange(start, start + 96) % 128)
    assert {version: len(starts) for version, starts in chosen.items()} == {0: 1000, 1: 1000, 2: 1000}
    assert {version: (min(starts), max(starts)) for version, starts in chosen.items()} == {
        0: (0, 250 - 96),
        1: (0, 125 - 96),
        2: (0, 125 - 96),
    }


def test_the_largest_draw_there_is_chooses_the_last_copy(with_copies):
    for num_copies in range(1, 40):
        data = replace(with_copies, copies=with_copies.copies[:1] * (num_copies - 1) + with_copies.copies[1:])
        assert data.crop("a3", float(np.nextafter(1.0, 0.0)))[0][0, 0, 0] >= 2000


def test_a_short_copy_is_padded_as_a_short_utterance_is(with_copies):
    frames, mel, _, num_valid = with_copies.crop("a2", 0.5)
    assert num_valid == 48 and mel[:48].all() and not mel[48:].any() and not frames[48:].any()


def test_what_is_evaluated_is_always_the_original(with_copies, data):
    for item in data.utterances:
        pairs = zip(data.segments(item), with_copies.segments(item), strict=True)
        assert all(torch.equal(one, other) for one, other in pairs)
    assert with_copies.crops_dataset(["a3"])[0, 0.0]["layers"].max() < 1000


@pytest.mark.parametrize("mode", ["none", "utterance", "speaker"])
def test_a_copy_is_scaled_by_its_speakers_originals_or_by_itself(with_copies, layers, utterances, mode):
    data = replace(with_copies, normaliser=Normaliser(layers, utterances, mode))
    frames, _, _, num_valid = data.crop("a2", 0.99)
    raw = data.copies[1]["layers"].read("a2")
    of_speaker = torch.cat([layers.read(item) for item in utterances if item.startswith("a")])
    basis = {"none": None, "utterance": raw, "speaker": of_speaker}[mode]
    expected = raw if basis is None else (raw - basis.mean(dim=0)) / basis.std(dim=0, correction=0)
    torch.testing.assert_close(frames[:num_valid], expected, rtol=1e-4, atol=1e-4)
