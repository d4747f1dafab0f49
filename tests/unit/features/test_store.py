import errno
import json
import multiprocessing
import os
import pickle
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch.utils.data import DataLoader

from emorec_lobes.errors import DataError, StoreError
from emorec_lobes.features import store as store_module
from emorec_lobes.features import store_index
from emorec_lobes.features.store import FeatureStore, StoreHeader, read_header

SHAPE = (3, 8)


def header(**changes):
    values = {
        "extractor": "layers-test",
        "identity": {"version": 1, "weights": "abc"},
        "sample_rate_hz": 16_000,
        "frame_shift_s": 0.02,
        "shape": SHAPE,
        "dtype": "float16",
    }
    return StoreHeader(**{**values, **changes})


def frames(num_frames, seed=0, shape=SHAPE):
    return torch.randn(num_frames, *shape, generator=torch.Generator().manual_seed(seed))


def write(store, utterance_id, values, audio_hash="hash", source=(10, 20)):
    store.write(utterance_id, values, audio_hash, source)


@pytest.fixture()
def store(tmp_path):
    return FeatureStore.open(tmp_path, header())


@pytest.fixture()
def filled(store):
    for index in range(5):
        write(store, f"u{index}", frames(100 + index, seed=index), audio_hash=f"hash{index}")
    return store


def reopened(store):
    return FeatureStore.open(store.folder.parent, store.header)


def file_of(store, utterance_id):
    return store.folder / store.entry(utterance_id).file


def one_line(caught):
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ------------------------------------------------------------------------------------------ round trip


@pytest.mark.parametrize(
    ("dtype", "shape", "tolerance"),
    [("float16", (25, 7), 2**-11), ("float16", (80,), 2**-11), ("float32", (256,), 0), ("uint8", (), 0)],
)
def test_what_is_written_is_read_back_in_the_stores_precision(tmp_path, dtype, shape, tolerance):
    store = FeatureStore.open(tmp_path, header(dtype=dtype, shape=shape))
    values = frames(50, shape=shape)
    if dtype == "uint8":
        values = (values.abs() * 40).to(torch.uint8)
    write(store, "a", values)

    found = reopened(store).read("a")

    assert found.dtype == getattr(torch, dtype)
    assert found.shape == values.shape
    assert (found.double() - values.double()).abs().le(tolerance * values.double().abs()).all()


@pytest.mark.filterwarnings("error")
def test_numpy_arrays_and_views_are_written_as_their_values(store):
    values = frames(40).numpy()
    write(store, "a", values)
    write(store, "b", torch.from_numpy(values).transpose(1, 2).contiguous().transpose(1, 2))
    write(store, "c", np.broadcast_to(values[:1], values.shape))

    assert torch.equal(store.read("a"), store.read("b"))
    assert torch.equal(store.read("c")[7], store.read("a")[0])


def test_every_slice_equals_that_slice_of_the_whole(filled):
    whole = filled.read("u3")

    for start, stop in [(0, 1), (0, 103), (17, 96), (102, 103), (50, 50), (7, None), (90, 500)]:
        assert torch.equal(filled.read("u3", start, stop), whole[start:stop])


@pytest.mark.parametrize(("start", "stop"), [(-1, 5), (104, None), (5, 4)])
def test_a_slice_outside_the_utterance_is_refused(filled, start, stop):
    with pytest.raises(StoreError, match="`start` must be from 0 to"):
        filled.read("u3", start, stop)


def test_the_files_are_ordinary_safetensors(filled):
    with safe_open(file_of(filled, "u0"), "pt") as file:
        assert sorted(file.keys()) == ["features", "mean", "std"]
        assert torch.equal(file.get_slice("features")[10:20], filled.read("u0", 10, 20))


def test_statistics_are_those_of_the_stored_frames(filled):
    stored = filled.read("u1").double().numpy()

    mean, std = filled.statistics("u1")

    assert mean.dtype == std.dtype == torch.float32
    assert np.allclose(mean, stored.mean(axis=0), atol=1e-6)
    assert np.allclose(std, stored.std(axis=0), atol=1e-6)


def test_one_frame_has_a_deviation_of_0(store):
    write(store, "a", frames(1))

    assert store.statistics("a")[1].abs().max() == 0


def test_integers_have_no_statistics(tmp_path):
    store = FeatureStore.open(tmp_path, header(dtype="uint8", shape=()))
    write(store, "a", torch.zeros(5))

    with pytest.raises(StoreError, match="has no statistics"):
        store.statistics("a")


def test_the_index_knows_all_that_was_written_in_its_order(filled):
    again = reopened(filled)

    assert again.ids == [f"u{index}" for index in range(5)]
    assert len(again) == 5
    assert [again.num_frames(item) for item in again.ids] == [100, 101, 102, 103, 104]
    assert again.audio_hashes == {f"u{index}": f"hash{index}" for index in range(5)}
    assert again.entry("u2").source == (10, 20)
    assert "u2" in again
    assert "u5" not in again


def test_writing_again_replaces(filled):
    write(filled, "u1", frames(7), audio_hash="new")

    for store in (filled, reopened(filled)):
        assert store.num_frames("u1") == len(store.read("u1")) == 7
        assert store.audio_hashes["u1"] == "new"
        assert len(store) == 5


def test_a_confirmed_utterance_keeps_its_features_and_has_the_new_source(filled):
    before = file_of(filled, "u1").read_bytes()

    filled.confirm("u1", (11, 22, None, 1.5))

    assert reopened(filled).entry("u1").source == (11, 22, None, 1.5)
    assert file_of(filled, "u1").read_bytes() == before


@pytest.mark.parametrize(
    "utterance_id", ["a/b", "../../x", ".", "", "ü ' \" \n \u2028 \\", "x" * 5_000, "con", "A", "a"]
)
def test_any_string_is_an_id(filled, utterance_id):
    write(filled, utterance_id, frames(3))

    assert reopened(filled).num_frames(utterance_id) == 3
    assert file_of(filled, utterance_id).resolve().is_relative_to(filled.folder.resolve())


# ------------------------------------------------------------------------------------------ only its bytes


def bytes_asked_for():
    counters = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(counters["rchar"])


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="needs Linux's byte counters")
def test_a_crop_reads_its_own_bytes_and_a_header(tmp_path):
    store = FeatureStore.open(tmp_path, header(shape=(25, 1024)))
    write(store, "a", frames(226, shape=(25, 1024)))
    crop_bytes = 96 * 25 * 1024 * 2

    before = bytes_asked_for()
    store.read("a", 60, 156)
    read_bytes = bytes_asked_for() - before

    assert crop_bytes <= read_bytes < crop_bytes + 4_096
    assert 226 * 25 * 1024 * 4 / read_bytes > 4.5  # against the whole utterance in single precision


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="needs Linux's byte counters")
def test_statistics_and_counts_read_no_frames(filled):
    before = bytes_asked_for()
    filled.num_frames("u0")
    assert bytes_asked_for() - before < 2_048  # the counter's own file

    before = bytes_asked_for()
    filled.statistics("u0")
    assert bytes_asked_for() - before < 100 * 24 * 2


# ------------------------------------------------------------------------------------------ processes and threads


class Crops(torch.utils.data.Dataset):
    def __init__(self, store):
        self.store = store

    def __len__(self):
        return 40

    def __getitem__(self, index):
        return self.store.read(f"u{index % 5}", index, index + 50)


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_dataloader_workers_read_what_this_process_reads(filled, context):
    crops = Crops(filled) if context == "fork" else pickle.loads(pickle.dumps(Crops(filled)))
    if context == "spawn":  # a spawned worker gets a pickled copy; starting one takes seconds
        batches = list(DataLoader(crops, batch_size=4))
    else:
        batches = list(DataLoader(crops, batch_size=4, num_workers=2, multiprocessing_context=context))

    assert torch.equal(torch.cat(batches), torch.stack([filled.read(f"u{i % 5}", i, i + 50) for i in range(40)]))


def test_threads_read_what_one_thread_reads(filled):
    jobs = [(f"u{index % 5}", index % 50) for index in range(400)]

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda job: filled.read(job[0], job[1], job[1] + 50), jobs))

    assert all(torch.equal(item, filled.read(name, at, at + 50)) for item, (name, at) in zip(found, jobs, strict=True))


def _write_some(folder, first):
    store = FeatureStore.open(folder, header())
    for index in range(first, first + 30):
        write(store, f"u{index}", frames(10, seed=index))


def test_processes_may_write_at_once(tmp_path):
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_write_some, args=(tmp_path, 30 * index)) for index in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    store = FeatureStore.open(tmp_path, header())
    assert sorted(store.ids) == sorted(f"u{index}" for index in range(120))
    assert all(torch.equal(store.read(f"u{i}"), frames(10, seed=i).half()) for i in range(120))


# ------------------------------------------------------------------------------------------ header


def test_a_store_opened_by_its_folder_says_what_it_holds(filled):
    found = FeatureStore.read_only(filled.folder)

    assert found.header == filled.header
    assert torch.equal(found.read("u0"), filled.read("u0"))


@pytest.mark.parametrize(
    "changes",
    [
        {"identity": {"version": 2, "weights": "abc"}},
        {"identity": {"version": 1, "weights": "abd"}},
        {"extractor": "layers-other"},
        {"sample_rate_hz": 8_000},
        {"frame_shift_s": 0.01},
        {"dtype": "float32"},
    ],
)
def test_other_features_lie_beside_and_do_not_mix(filled, changes):
    other = FeatureStore.open(filled.folder.parent, header(**changes))
    assert len(other) == 0

    write(other, "u0", frames(3))

    assert other.folder != filled.folder
    assert reopened(filled).num_frames("u0") == 100


def test_the_fingerprint_does_not_depend_on_the_order_of_keys_or_on_the_process():
    same = header(identity={"weights": "abc", "version": 1})

    assert same.fingerprint == header().fingerprint
    # Stores that exist stay valid: this value may only change on purpose.
    assert header().folder_name == "layers-test-" + header().fingerprint
    assert len(header().fingerprint) == 12
    assert set(header().fingerprint) <= set("0123456789abcdef")


def test_another_width_finds_the_store_and_is_refused(filled):
    with pytest.raises(StoreError) as caught:
        FeatureStore.open(filled.folder.parent, header(shape=(3, 9)))

    message = one_line(caught)
    assert "`shape`" in message
    assert "(3, 9)" in message
    assert "(3, 8)" in message
    assert str(filled.folder) in message


def test_a_header_edited_by_hand_is_refused(filled):
    path = filled.folder / "header.json"
    path.write_text(path.read_text().replace('"abc"', '"abd"'))

    with pytest.raises(StoreError, match="`identity`"):
        reopened(filled)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"extractor": 1, "shape": 3}', '{"shape": [1], "x": 2}'])
def test_a_damaged_header_is_one_line(filled, content):
    (filled.folder / "header.json").write_text(content)

    for open_it in (lambda: FeatureStore.read_only(filled.folder), lambda: reopened(filled)):
        with pytest.raises(StoreError) as caught:
            open_it()
        assert str(filled.folder) in one_line(caught)


def test_a_folder_that_is_no_store_is_one_line(tmp_path):
    with pytest.raises(StoreError, match="is not a feature store"):
        FeatureStore.read_only(tmp_path)
    with pytest.raises(StoreError, match="is not a feature store"):
        read_header(tmp_path / "missing")


def test_nothing_is_made_on_disk_before_something_is_written(tmp_path):
    store = FeatureStore.open(tmp_path / "features", header())

    assert len(store) == 0
    assert not (tmp_path / "features").exists()


# ------------------------------------------------------------------------------------------ what cannot be stored


@pytest.mark.parametrize("shape", [(0, 3, 8), (5, 3, 9), (5, 8, 3), (5, 24), (5,), (3, 8)])
def test_a_wrong_shape_is_refused(store, shape):
    with pytest.raises(StoreError) as caught:
        write(store, "a", torch.zeros(shape))

    assert "'a'" in one_line(caught)
    assert str(shape) in str(caught.value)
    assert "a" not in reopened(store)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_values_that_are_not_finite_are_refused(tmp_path, value, dtype):
    store = FeatureStore.open(tmp_path, header(dtype=dtype))
    values = frames(5)
    values[2, 1, 4] = value

    with pytest.raises(DataError, match="'a' must be finite"):
        write(store, "a", values)
    assert "a" not in reopened(store)


def test_values_beyond_half_precision_become_its_largest_and_are_counted(store):
    values = frames(5)
    values[0, 0, 0], values[1, 1, 1], values[2, 2, 2] = 1e5, -7e4, 65_504

    write(store, "a", values)

    found = store.read("a")
    assert torch.isfinite(found).all()
    assert [float(found[i, i, i]) for i in range(3)] == [65_504, -65_504, 65_504]
    assert reopened(store).entry("a").num_clipped == 2
    assert all(torch.isfinite(part).all() for part in store.statistics("a"))


def test_an_unknown_id_is_one_line_with_the_cure(filled):
    for ask in (filled.read, filled.num_frames, filled.statistics):
        with pytest.raises(StoreError, match=r"'nobody' is not in .* Run `emorec extract`"):
            ask("nobody")


# ------------------------------------------------------------------------------------------ damage


def _cut(path):
    path.write_bytes(path.read_bytes()[:-1])


def _longer(path):
    path.write_bytes(path.read_bytes() + b"\0")


def _empty(path):
    path.write_bytes(b"")


def _garbage(path):
    path.write_bytes(os.urandom(path.stat().st_size))


def _huge_header(path):
    path.write_bytes((2**60).to_bytes(8, "little") + path.read_bytes()[8:])


def _other_name(path):
    path.write_bytes(path.read_bytes().replace(b'"features"', b'"featurez"'))


def _other_dtype(path):
    path.write_bytes(path.read_bytes().replace(b'"F16"', b'"I16"'))


def _gone(path):
    path.unlink()


@pytest.mark.parametrize("damage", [_cut, _longer, _empty, _garbage, _huge_header, _other_name, _other_dtype, _gone])
def test_a_damaged_file_is_one_line_that_names_it_and_the_cure(filled, damage):
    path = file_of(filled, "u2")
    damage(path)

    with pytest.raises(StoreError) as caught:
        filled.read("u2", 0, 10)

    message = one_line(caught)
    assert str(path) in message
    assert "Delete it and run `emorec extract` again" in message
    assert filled.read("u1").shape == (101, 3, 8)


def test_a_file_of_another_length_than_the_index_says_is_damaged(filled):
    file_of(filled, "u2").write_bytes(file_of(filled, "u3").read_bytes())

    with pytest.raises(StoreError, match="is damaged"):
        filled.read("u2")


def test_an_utterance_whose_file_is_gone_counts_as_absent(filled):
    file_of(filled, "u2").unlink()

    assert reopened(filled).ids == ["u0", "u1", "u3", "u4"]


@pytest.mark.parametrize("kept", range(1, 12))
def test_a_torn_last_line_counts_for_nothing_and_the_next_one_is_whole(filled, kept):
    path = filled.folder / "index.jsonl"
    lines = path.read_bytes().split(b"\n")[:-1]
    path.write_bytes(b"\n".join(lines[:-1]) + b"\n" + lines[-1][: kept * len(lines[-1]) // 12])

    store = reopened(filled)
    assert store.ids == ["u0", "u1", "u2", "u3"]

    write(store, "new", frames(3))
    assert reopened(store).ids == ["u0", "u1", "u2", "u3", "new"]
    assert all(json.loads(line) for line in path.read_bytes().split(b"\n")[:-1])


@pytest.mark.parametrize("line", [b"{}", b"[1]", b"null", b'"x"', b'{"id": "x", "source": []}', b"\xff\xfe", b"7"])
def test_a_line_that_is_none_of_ours_is_passed_over(filled, line):
    path = filled.folder / "index.jsonl"
    path.write_bytes(line + b"\n" + path.read_bytes())

    assert len(reopened(filled)) == 5


# ------------------------------------------------------------------------------------------ full disk


@pytest.fixture()
def small_disk(tmp_path):
    """A real file system of 256 KiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a small file system needs more rights")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_is_one_line_and_what_was_written_stays(small_disk):
    store = FeatureStore.open(small_disk, header())
    written = 0
    with pytest.raises(StoreError) as caught:
        for written in range(1_000):
            write(store, f"u{written}", frames(200, seed=written))

    assert "No space left" in one_line(caught)
    assert str(store.folder) in str(caught.value)
    assert 5 < written < 100
    again = reopened(store)
    assert again.ids == [f"u{index}" for index in range(written)] == store.ids
    assert all(torch.equal(again.read(f"u{i}"), frames(200, seed=i).half()) for i in range(written))
    assert list(store.folder.rglob("*.tmp")) == []


def test_a_store_goes_on_after_space_was_made(small_disk):
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(200_000))
    store = FeatureStore.open(small_disk, header())
    with pytest.raises(StoreError, match="No space left"):
        for index in range(100):
            write(store, f"u{index}", frames(200))
    ballast.unlink()

    again = reopened(store)
    write(again, "after", frames(200))

    assert torch.equal(reopened(store).read("after"), frames(200).half())


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO])
def test_a_disk_that_refuses_leaves_nothing_half_written(filled, monkeypatch, call, code):
    def refuse(*args):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, call, refuse)
    with pytest.raises(StoreError) as caught:
        write(filled, "new", frames(9))
    monkeypatch.undo()

    assert os.strerror(code) in one_line(caught)
    assert ("Free some space" in str(caught.value)) == (code in (errno.ENOSPC, errno.EDQUOT))
    assert "new" not in filled
    assert len(reopened(filled)) == 5
    assert list(filled.folder.rglob("*.tmp")) == []


def test_an_index_that_cannot_take_the_whole_line_takes_none_of_it(filled, monkeypatch):
    before = (filled.folder / "index.jsonl").read_bytes()

    class Full(store_index.FileIO):
        def write(self, data):
            return super().write(data[:20])

    monkeypatch.setattr(store_index, "FileIO", Full)
    with pytest.raises(StoreError, match="No space left"):
        write(filled, "new", frames(9))

    assert (filled.folder / "index.jsonl").read_bytes() == before


def test_sweeping_removes_what_a_killed_writer_left_and_nothing_else(filled):
    leftovers = [filled.folder / ".header.json.7.tmp", file_of(filled, "u0").with_name(".x.safetensors.7.tmp")]
    for path in leftovers:
        path.write_bytes(b"x")

    filled.sweep()

    assert not any(path.exists() for path in leftovers)
    assert all(len(filled.read(item)) for item in reopened(filled).ids)


def test_a_header_does_not_appear_before_it_is_whole(store, monkeypatch):
    monkeypatch.setattr(store_module, "write_json", lambda path, content: (_ for _ in ()).throw(OSError(28, "full")))

    with pytest.raises(StoreError, match="full"):
        write(store, "a", frames(3))
    assert list(store.folder.iterdir()) == []
