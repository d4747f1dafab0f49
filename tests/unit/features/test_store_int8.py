"""A store of whole numbers with scales: the same interface as of half precision, and a bounded error."""

import numpy as np
import pytest
import torch

from emorec_lobes.errors import DataError, StoreError
from emorec_lobes.features.store import FeatureStore, StoreHeader
from emorec_lobes.features.store_values import frame_bytes, quantised

SHAPE = (3, 16)


def header(dtype="int8", shape=SHAPE):
    return StoreHeader("layers-test", {"version": 1}, 16_000, 0.02, shape, dtype)


def frames(num_frames, shape=SHAPE, seed=0):
    """Rows of very different sizes, as layers are."""
    generator = torch.Generator().manual_seed(seed)
    sizes = 10 ** (6 * torch.rand(num_frames, *shape[:-1], 1, generator=generator) - 3)
    return torch.randn(num_frames, *shape, generator=generator) * sizes


@pytest.fixture()
def store(tmp_path):
    return FeatureStore.open(tmp_path, header())


def test_no_value_is_off_by_more_than_half_of_its_rows_scale(store):
    values = frames(200)
    store.write("a", values, "hash", (1,))

    found = FeatureStore.open(store.folder.parent, header()).read("a")

    scale = np.abs(values.double().numpy()).max(axis=-1, keepdims=True) / 127
    error = np.abs(found.double().numpy() - values.double().numpy())
    assert found.dtype == torch.float32 and found.shape == values.shape
    assert (error <= scale / 2 * (1 + 1e-5)).all()
    assert (error > scale / 4).any()  # it was rounded


@pytest.mark.parametrize("value", [0.0, 1e-42, 3e38, -1.0])
def test_rows_of_one_value_come_back(store, value):
    store.write("a", torch.full((2, *SHAPE), value), "hash", (1,))

    assert torch.allclose(store.read("a"), torch.tensor(value), rtol=1e-6, atol=1e-38)


def test_every_slice_equals_that_slice_of_the_whole(store):
    store.write("a", frames(103), "hash", (1,))
    whole = store.read("a")

    for start, stop in [(0, 1), (0, 103), (17, 96), (102, 103), (50, 50), (7, None), (90, 500)]:
        assert torch.equal(store.read("a", start, stop), whole[start:stop])
        assert torch.equal(store.read_single("a", start, stop), whole[start:stop])


@pytest.mark.parametrize("dtype", ["float16", "float32", "int8"])
def test_read_single_gives_what_read_gives_in_single_precision_over_many_blocks(tmp_path, dtype):
    store = FeatureStore.open(tmp_path, header(dtype, (5, 1000)))
    store.write("a", frames(150, (5, 1000)).clamp(-6e4, 6e4), "hash", (1,))

    for start, stop in [(0, 150), (31, 127), (149, 150), (3, 3)]:
        single = store.read_single("a", start, stop)
        assert single.dtype == torch.float32 and torch.equal(single, store.read("a", start, stop).float())


def test_statistics_are_those_of_what_is_read(store):
    store.write("a", frames(60), "hash", (1,))
    stored = store.read("a").double().numpy()

    mean, std = store.statistics("a")

    assert np.allclose(mean, stored.mean(axis=0), rtol=1e-5, atol=1e-4)
    assert np.allclose(std, stored.std(axis=0), rtol=1e-5, atol=1e-4)


def test_a_file_takes_what_its_frames_take_and_a_little(store):
    store.write("a", frames(500), "hash", (1,))

    beside = (store.folder / store.entry("a").file).stat().st_size - 500 * frame_bytes("int8", SHAPE)

    assert frame_bytes("int8", SHAPE) == 3 * 16 + 3 * 4
    assert 2 * 3 * 16 * 4 < beside < 2 * 3 * 16 * 4 + 400  # mean and std, and the file's header


def test_whole_numbers_and_half_precision_lie_beside_each_other(store):
    store.write("a", frames(5), "hash", (1,))
    half = FeatureStore.open(store.folder.parent, header("float16"))

    assert half.folder != store.folder and len(half) == 0
    text = (store.folder / "header.json").read_text()
    (store.folder / "header.json").write_text(text.replace('"int8"', '"float16"'))
    with pytest.raises(StoreError, match=r"`dtype` of .* must be 'int8', but is 'float16'"):
        FeatureStore.open(store.folder.parent, header())


@pytest.mark.parametrize("damage", [
    lambda content: content[:-1],
    lambda content: content.replace(b'"scales"', b'"scalez"'),
    lambda content: content.replace(b'"I8"', b'"U8"'),
    lambda content: b"",
])  # fmt: skip
def test_a_damaged_file_is_one_line_with_the_cure(store, damage):
    store.write("a", frames(9), "hash", (1,))
    path = store.folder / store.entry("a").file
    path.write_bytes(damage(path.read_bytes()))

    with pytest.raises(StoreError) as caught:
        store.read("a", 2, 5)

    message = str(caught.value)
    assert "\n" not in message and str(path) in message and "run `emorec extract` again" in message


def test_what_is_not_finite_is_refused(store):
    values = frames(5)
    values[1, 2, 3] = float("nan")

    with pytest.raises(DataError, match="'a' must be finite"):
        store.write("a", values, "hash", (1,))
    assert "a" not in store


def test_the_largest_value_of_a_row_is_kept_but_for_rounding():
    values, scales = quantised(frames(50))

    assert values.abs().amax(dim=-1).eq(127).all()
    assert torch.allclose(values.abs().amax(dim=-1) * scales, frames(50).abs().amax(dim=-1), rtol=1e-6)
