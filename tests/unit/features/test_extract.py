import errno
import json
import multiprocessing
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import fsspec
import numpy as np
import pytest
import soundfile
import torch

from emorec_lobes.cli.main import main
from emorec_lobes.corpora.manifest import ManifestInfo, write_manifest
from emorec_lobes.errors import ConfigError, DataError, StoreError, UnavailableError
from emorec_lobes.features import extract as extract_module
from emorec_lobes.features import store_index
from emorec_lobes.features.audio import audio_hash, load_audio
from emorec_lobes.features.extract import ExtractionSpec, extract
from emorec_lobes.features.mel import MelSpectrogram
from emorec_lobes.features.speaker import SpeakerEmbedding
from emorec_lobes.features.speech import load_encoder
from emorec_lobes.files import locked
from emorec_lobes.units import num_frames

MEL = ExtractionSpec("mel", 1, 80, features=("layers", "mel"))
ALL = ExtractionSpec("resemblyzer", 3, 256)


def run(utterances, folder, root, spec=MEL, **options):
    return extract(utterances, folder, root, spec, progress=False, **options)


def one_line(caught):
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture()
def computed(monkeypatch):
    """The (feature, id) pairs computed, and the features whose extractor was loaded."""
    pairs, loaded = [], []
    real_load = ExtractionSpec.load

    def load(spec, feature):
        loaded.append(feature)
        extractor = real_load(spec, feature)

        def counted(wave, utterance, data_folder):
            pairs.append((feature, utterance.id))
            return extractor(wave, utterance, data_folder)

        return counted

    monkeypatch.setattr(ExtractionSpec, "load", load)
    return pairs, loaded


# ------------------------------------------------------------------------------------------ what it makes


def test_every_feature_of_every_utterance_is_what_its_extractor_gives(tmp_path, corpus):
    utterances, folder = corpus(3)

    stores = run(utterances, folder, tmp_path / "f", ALL)

    encoder, mel, embed = load_encoder("resemblyzer", 3, 256), MelSpectrogram(), SpeakerEmbedding()
    assert list(stores) == ["layers", "mel", "phones", "speaker"]
    for index, utterance_id in enumerate(utterances):
        wave = load_audio(folder / f"{index}.wav")
        assert torch.equal(stores["layers"].read(utterance_id), encoder.layers(wave).half())
        assert torch.equal(stores["mel"].read(utterance_id), mel(wave).half())
        assert torch.equal(stores["speaker"].read(utterance_id), embed(wave))
        assert stores["phones"].read(utterance_id).tolist() == [1] * num_frames(len(wave))
        assert {store.audio_hashes[utterance_id] for store in stores.values()} == {audio_hash(wave)}


def test_a_model_folder_is_extracted_through_the_same_code(tmp_path, corpus, tiny_models):
    utterances, folder = corpus(2)
    model_folder = str(tiny_models("wav2vec2")[1])

    stores = run(utterances, folder, tmp_path / "f", ExtractionSpec(model_folder, 4, 16, features=("layers",)))

    expected = load_encoder(model_folder, 4, 16).layers(load_audio(folder / "1.wav")).half()
    assert torch.equal(stores["layers"].read("u1"), expected)


def test_a_corpus_in_an_object_store_makes_the_store_of_one_on_the_disk(tmp_path, corpus, computed):
    utterances, folder = corpus(2)
    utterances["part"] = replace(utterances["u1"], id="part", start=0.05, stop=0.15)
    for path in folder.glob("*.wav"):
        fsspec.filesystem("memory").pipe(f"/{tmp_path.name}/{path.name}", path.read_bytes())
    expected = run(utterances, folder, tmp_path / "f")
    computed[1].clear()

    found = run(utterances, f"memory://{tmp_path.name}", tmp_path / "g")
    again = computed[1].copy()
    run(utterances, f"memory://{tmp_path.name}", tmp_path / "g")

    for utterance_id in utterances:
        files = [store["mel"].folder / store["mel"].entry(utterance_id).file for store in (expected, found)]
        assert files[0].read_bytes() == files[1].read_bytes()
    assert again and computed[1] == again
    url = f"memory://{tmp_path.name}/none.wav"
    with pytest.raises(DataError, match="must be a file that can be read"):
        run({"u0": replace(utterances["u0"], wav=url)}, folder, tmp_path / "g")


def test_an_engine_that_there_is_not_is_one_line(tmp_path, corpus):
    with pytest.raises(ConfigError, match="`engine` must be one of local, ray"):
        run(*corpus(1), tmp_path / "f", engine="spark")


def test_a_part_of_a_recording_is_that_part_only(tmp_path, corpus):
    utterances, folder = corpus(1)
    part = replace(utterances["u0"], id="part", start=0.05, stop=0.15)

    store = run({"part": part}, folder, tmp_path / "f")["mel"]

    assert torch.equal(store.read("part"), MelSpectrogram()(load_audio(folder / "0.wav", 0.05, 0.15)).half())


def test_a_spec_is_plain_data():
    spec = ExtractionSpec("mel", 1, 80, features=["mel", "layers"])

    assert pickle.loads(pickle.dumps(spec)) == spec == replace(spec)
    assert spec.features == ("mel", "layers")
    assert hash(spec) == hash(replace(spec))


def test_the_device_is_no_part_of_what_the_features_are():
    assert [ALL.header(name) for name in ALL.features] == [
        replace(ALL, device="cuda").header(name) for name in ALL.features
    ]


# ------------------------------------------------------------------------------------------ only what is missing


def test_a_second_run_loads_nothing_and_changes_nothing(tmp_path, corpus, computed, folder_contents):
    utterances, folder = corpus(3)
    run(utterances, folder, tmp_path / "f", ALL)
    before = folder_contents(tmp_path / "f")
    computed[0].clear()
    computed[1].clear()

    stores = run(utterances, folder, tmp_path / "f", ALL)

    assert computed == ([], [])
    assert folder_contents(tmp_path / "f") == before
    assert all(len(store) == 3 for store in stores.values())


def test_only_new_utterances_and_missing_features_are_computed(tmp_path, corpus, computed):
    utterances, folder = corpus(3)
    some = {key: utterances[key] for key in ("u0", "u2")}
    run(some, folder, tmp_path / "f", replace(MEL, features=("mel",)))
    computed[0].clear()

    run(utterances, folder, tmp_path / "f", MEL)

    assert sorted(computed[0]) == [("layers", "u0"), ("layers", "u1"), ("layers", "u2"), ("mel", "u1")]


def test_relabelled_and_selected_utterances_use_the_store_as_it_is(tmp_path, corpus, computed):
    utterances, folder = corpus(3)
    run(utterances, folder, tmp_path / "f")
    computed[0].clear()

    run({"u1": replace(utterances["u1"], emotion="sad", speaker="x", text="other")}, folder, tmp_path / "f")

    assert computed[0] == []


def test_changed_audio_is_computed_again_and_touched_audio_is_not(tmp_path, corpus, computed):
    utterances, folder = corpus(3)
    run(utterances, folder, tmp_path / "f")
    soundfile.write(folder / "1.wav", np.zeros(9_000), 16_000)
    os.utime(folder / "2.wav", (1, 1))
    computed[0].clear()

    stores = run(utterances, folder, tmp_path / "f")
    assert sorted(computed[0]) == [("layers", "u1"), ("mel", "u1")]
    assert stores["mel"].num_frames("u1") == num_frames(9_000)

    computed[1].clear()
    run(utterances, folder, tmp_path / "f")
    assert computed[1] == []  # the touched file's new time is known now


def test_an_id_that_names_another_file_is_computed_again_though_size_and_time_are_equal(tmp_path, corpus):
    utterances, folder = corpus(1)
    soundfile.write(folder / "twin.wav", np.zeros(4_000), 16_000)
    for name in ("0.wav", "twin.wav"):
        os.utime(folder / name, (1, 1))
    assert (folder / "0.wav").stat().st_size == (folder / "twin.wav").stat().st_size
    run(utterances, folder, tmp_path / "f")

    stores = run({"u0": replace(utterances["u0"], wav="{data_root}/twin.wav")}, folder, tmp_path / "f")

    assert stores["mel"].audio_hashes["u0"] == audio_hash(load_audio(folder / "twin.wav"))
    assert torch.equal(stores["mel"].read("u0"), MelSpectrogram()(load_audio(folder / "twin.wav")).half())


def test_other_bounds_in_the_same_file_are_other_audio(tmp_path, corpus):
    utterances, folder = corpus(1)
    run({"u0": replace(utterances["u0"], start=0.0, stop=0.1)}, folder, tmp_path / "f")

    store = run({"u0": replace(utterances["u0"], start=0.1, stop=0.2)}, folder, tmp_path / "f")["mel"]

    assert torch.equal(store.read("u0"), MelSpectrogram()(load_audio(folder / "0.wav", 0.1, 0.2)).half())


def test_phones_follow_their_alignment_file(tmp_path, corpus, computed):
    utterances, folder = corpus(2)
    spec = replace(MEL, features=("mel", "phones"), aligner="file")
    rows = ["\t SFrm  EFrm  SegAScr Phone", "\t 0  9  1 AA", "\t 10  24  1 B", "Total score: 1"]
    (folder / "0.phseg").write_text("\n".join(rows) + "\n")
    utterances["u0"] = replace(utterances["u0"], phones="{data_root}/0.phseg")
    first = run(utterances, folder, tmp_path / "f", spec)["phones"].read("u0")
    computed[0].clear()

    (folder / "0.phseg").write_text("\n".join(rows).replace("AA", "IY") + "\nmore\n".replace("more\n", ""))
    os.utime(folder / "0.phseg", (1, 1))
    second = run(utterances, folder, tmp_path / "f", spec)["phones"].read("u0")

    assert computed[0] == [("phones", "u0")]
    assert not torch.equal(first, second)


def test_a_store_can_be_used_where_its_audio_is_not(tmp_path, corpus, computed):
    utterances, folder = corpus(2)
    run(utterances, folder, tmp_path / "f")
    shutil.rmtree(folder)
    computed[0].clear()

    assert len(run(utterances, folder, tmp_path / "f")["mel"]) == 2
    assert computed[0] == []


def test_two_encoders_lie_side_by_side(tmp_path, corpus, tiny_models):
    utterances, folder = corpus(1)
    first = run(utterances, folder, tmp_path / "f", MEL)["layers"]

    second = run(utterances, folder, tmp_path / "f", ExtractionSpec(str(tiny_models("wav2vec2")[1]), 4, 16))["layers"]

    assert first.read("u0").shape[1:] == (1, 80)
    assert second.read("u0").shape[1:] == (4, 16)


# ------------------------------------------------------------------------------------------ interruptions


@pytest.fixture()
def reference(tmp_path, corpus, folder_contents):
    """(utterances, folder, contents of the store an uninterrupted run makes)."""
    utterances, folder = corpus(12)
    run(utterances, folder, tmp_path / "reference")
    return utterances, folder, folder_contents(tmp_path / "reference")


def _dying(module, name, at_call, after, utterances, folder, root):
    """Extracts, and dies as by kill -9 at the given call of a function: before it, or right after it."""
    real, calls = getattr(module, name), []

    def call(*args):
        calls.append(args)
        if len(calls) == at_call and not after:
            os._exit(9)
        result = real(*args)
        if len(calls) == at_call:
            os._exit(9)
        return result

    setattr(module, name, call)
    run(utterances, folder, root)


def _dying_within_a_line(utterances, folder, root):
    """Extracts, and dies with half an index line written."""

    class Half(store_index.FileIO):
        def write(self, data):
            if b'"u7"' in data:
                super().write(data[: len(data) // 2])
                os._exit(9)
            return super().write(data)

    store_index.FileIO = Half
    run(utterances, folder, root)


def _on_one_thread(target, *args):
    """Threads are not forked: a child that asks for those its parent had waits for them for ever."""
    torch.set_num_threads(1)
    target(*args)


def forked(target, *args):
    child = multiprocessing.get_context("fork").Process(target=_on_one_thread, args=(target, *args))
    child.start()
    return child


def die(target, *args):
    child = forked(target, *args)
    child.join(60)
    assert child.exitcode == 9


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("at_call", [1, 2, 3, 14])
def test_dying_at_any_step_of_writing_leaves_a_smaller_store(
    tmp_path, reference, folder_contents, computed, call, at_call, after
):
    utterances, folder, expected = reference
    die(_dying, os, call, at_call, after, utterances, folder, tmp_path / "f")

    for store in MEL.open(tmp_path / "f").values():
        assert all(len(store.read(item)) == store.num_frames(item) for item in store.ids)
    run(utterances, folder, tmp_path / "f")

    assert folder_contents(tmp_path / "f") == expected


def test_dying_within_an_index_line_leaves_a_smaller_store(tmp_path, reference, folder_contents):
    utterances, folder, expected = reference
    die(_dying_within_a_line, utterances, folder, tmp_path / "f")

    assert "u7" not in MEL.open(tmp_path / "f")["layers"]
    run(utterances, folder, tmp_path / "f")

    assert folder_contents(tmp_path / "f") == expected


def test_killed_again_and_again_it_ends_with_the_same_store(tmp_path, reference, folder_contents):
    utterances, folder, expected = reference
    delays = np.random.default_rng(0).uniform(0.005, 0.06, 12)
    for delay_s in delays:
        child = forked(run, utterances, folder, tmp_path / "f")
        time.sleep(delay_s)
        os.kill(child.pid, signal.SIGKILL)
        child.join()
        for store in MEL.open(tmp_path / "f").values():
            assert all(len(store.read(item)) == store.num_frames(item) for item in store.ids)

    run(utterances, folder, tmp_path / "f")

    assert folder_contents(tmp_path / "f") == expected


# ------------------------------------------------------------------------------------------ workers


def test_workers_make_the_same_store_and_report_the_same_failures(tmp_path, corpus, folder_contents):
    utterances, folder = corpus(6)
    for name in ("3.wav", "4.wav", "5.wav"):
        (folder / name).write_bytes(b"no audio")
    messages = []
    for name, workers in (("one", 0), ("two", 2)):
        with pytest.raises(DataError) as caught:
            run(utterances, folder, tmp_path / name, workers=workers)
        messages.append(str(caught.value).replace(str(tmp_path / name), ""))

    assert messages[0] == messages[1]
    assert "3 of 6" in messages[0]
    assert "'u3'" in messages[0]
    assert folder_contents(tmp_path / "one") == folder_contents(tmp_path / "two")


def test_a_workers_error_reaches_the_caller_as_it_is(tmp_path, corpus, tiny_models):
    utterances, folder = corpus(2)
    model = shutil.copytree(tiny_models("wav2vec2")[1], tmp_path / "model")
    (model / "model.safetensors").write_bytes(b"hello")

    with pytest.raises(UnavailableError, match="cannot be loaded") as caught:
        run(utterances, folder, tmp_path / "f", ExtractionSpec(str(model), 4, 16), workers=1)
    one_line(caught)


@pytest.mark.slow
def test_workers_end_when_their_parent_is_killed(tmp_path, corpus):
    utterances, folder = corpus(200)
    write_manifest(tmp_path / "m.json", utterances.values(), ManifestInfo("table"))
    words = [
        "extract",
        "--manifest",
        str(tmp_path / "m.json"),
        "--data-folder",
        str(folder),
        "--to",
        str(tmp_path / "f"),
    ]
    words += ["--encoder", "resemblyzer", "--num-layers", "3", "--encoder-dim", "256", "--workers", "2"]
    parent = subprocess.Popen([sys.executable, "-c", f"from emorec_lobes.cli.main import main; main({words!r})"])
    deadline = time.monotonic() + 60
    while not list((tmp_path / "f").glob("layers*/index.jsonl")) and time.monotonic() < deadline:
        time.sleep(0.1)
    workers = _children(parent.pid)
    parent.kill()
    parent.wait()
    time.sleep(2)

    assert len(workers) >= 2
    assert not [pid for pid in workers if _runs(pid)]


def _children(pid):
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _runs(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


# ------------------------------------------------------------------------------------------ bad input


def test_bad_audio_does_not_stop_the_rest(tmp_path, corpus):
    utterances, folder = corpus(6)
    (folder / "1.wav").write_bytes(b"no audio")
    (folder / "4.wav").unlink()
    soundfile.write(folder / "5.wav", np.zeros(399), 16_000)

    with pytest.raises(DataError) as caught:
        run(utterances, folder, tmp_path / "f")

    message = one_line(caught)
    assert message.startswith("3 of 6 utterances")
    assert "'u1'" in message
    assert str(folder / "1.wav") in message
    assert sorted(MEL.open(tmp_path / "f")["layers"].ids) == ["u0", "u2", "u3"]
    failed = json.loads((tmp_path / "f" / "failed.json").read_text())
    assert list(failed) == ["u1", "u4", "u5"]
    assert str(folder / "4.wav") in failed["u4"]


def test_the_first_failure_is_the_manifests_first_whoever_ends_first(tmp_path, corpus, monkeypatch):
    utterances, folder = corpus(3)
    for name in ("1.wav", "2.wav"):
        (folder / name).write_bytes(b"no audio")
    real = extract_module._here
    monkeypatch.setattr(extract_module, "_here", lambda jobs, *work: real(jobs[::-1], *work))

    with pytest.raises(DataError, match="the first is 'u1'"):
        run(utterances, folder, tmp_path / "f")


def test_mended_audio_completes_the_store(tmp_path, corpus, computed):
    utterances, folder = corpus(3)
    whole = (folder / "1.wav").read_bytes()
    (folder / "1.wav").write_bytes(b"no audio")
    with pytest.raises(DataError):
        run(utterances, folder, tmp_path / "f")
    computed[0].clear()
    (folder / "1.wav").write_bytes(whole)

    stores = run(utterances, folder, tmp_path / "f")

    assert sorted(computed[0]) == [("layers", "u1"), ("mel", "u1")]
    assert len(stores["mel"]) == 3
    assert not (tmp_path / "f" / "failed.json").exists()


def test_features_that_are_not_finite_count_as_bad_data(tmp_path, corpus, monkeypatch):
    utterances, folder = corpus(2)
    real = MelSpectrogram.__call__

    def broken(self, wave):
        return real(self, wave) * (float("nan") if len(wave) == 4_000 else 1)

    monkeypatch.setattr(MelSpectrogram, "__call__", broken)
    with pytest.raises(DataError, match=r"1 of 2 .* must be finite"):
        run(utterances, folder, tmp_path / "f", replace(MEL, features=("mel",)))
    assert MEL.open(tmp_path / "f")["mel"].ids == ["u1"]


def test_an_extractor_off_the_grid_is_refused_with_both_counts(tmp_path, corpus, monkeypatch):
    utterances, folder = corpus(1)
    real = MelSpectrogram.__call__
    monkeypatch.setattr(MelSpectrogram, "__call__", lambda self, wave: real(self, wave)[1:])

    with pytest.raises(DataError, match="must have 13 frames, but has 12"):
        run(utterances, folder, tmp_path / "f", replace(MEL, features=("mel",)))


def test_a_missing_data_folder_is_said_once(tmp_path, corpus):
    utterances, _ = corpus(2)

    with pytest.raises(DataError, match=f"`data_folder` must be .*{re.escape(str(tmp_path / 'nowhere'))}") as caught:
        run(utterances, tmp_path / "nowhere", tmp_path / "f")
    assert "2 of 2" not in one_line(caught)
    assert not (tmp_path / "f").exists()


def test_sizes_that_are_not_the_stores_name_all_three_keys(tmp_path, corpus, monkeypatch):
    """A store copied from another machine: the model itself is not here."""
    utterances, folder = corpus(1)
    hub = ExtractionSpec("owner/name", 4, 16, features=("layers",))

    def fake(wave, utterance, data_folder):
        return torch.zeros(num_frames(len(wave)), 4, 16)

    monkeypatch.setattr(ExtractionSpec, "load", lambda spec, feature: fake)
    run(utterances, folder, tmp_path / "f", hub)
    monkeypatch.undo()

    assert len(run(utterances, folder, tmp_path / "f", hub)["layers"]) == 1
    for wrong in (replace(hub, num_layers=25), replace(hub, encoder_dim=1024)):
        with pytest.raises(ConfigError) as caught:
            run(utterances, folder, tmp_path / "f", wrong)
        assert "encoder: owner/name, num_layers: 4, encoder_dim: 16" in one_line(caught)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"features": ("layer",)}, "`features` must be one of layers, mel, phones, speaker, but is 'layer'"),
        ({"aligner": "gentle", "features": ("phones",)}, "`aligner` must be one of"),
        ({"padding": "center"}, "`padding` must be one of"),
        ({"encoder": "nothing"}, "`encoder` must be one of"),
    ],
)
def test_an_unknown_option_is_one_line(tmp_path, corpus, changes, expected):
    utterances, folder = corpus(1)

    with pytest.raises(ConfigError) as caught:
        run(utterances, folder, tmp_path / "f", replace(MEL, **changes))
    assert expected in one_line(caught)
    assert not (tmp_path / "f").exists()


def test_an_extraction_waits_for_another_one_into_its_folder_and_then_goes_on_from_there(tmp_path, corpus, caplog):
    utterances, folder = corpus(2)
    with ThreadPoolExecutor() as pool:
        with locked(tmp_path / "f", "extraction"):
            waiting = pool.submit(run, utterances, folder, tmp_path / "f")
            with pytest.raises(TimeoutError):
                waiting.result(timeout=1)
            assert not list((tmp_path / "f").glob("*/index.jsonl"))
        assert len(waiting.result(timeout=60)["mel"]) == 2
    assert f"Waiting for another extraction that is using {tmp_path / 'f'}." in caplog.messages

    with locked(tmp_path / "f", "extraction"):
        assert len(run(utterances, folder, tmp_path / "f")["mel"]) == 2  # nothing to write, no lock needed


def test_a_full_disk_stops_at_once_keeps_what_is_finished_and_the_next_run_goes_on(tmp_path, corpus, monkeypatch):
    utterances, folder = corpus(4)
    real, calls = os.fsync, []

    def fsync(descriptor):
        calls.append(descriptor)
        if len(calls) > 5:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(StoreError, match="No space left") as caught:
        run(utterances, folder, tmp_path / "f")
    monkeypatch.undo()

    one_line(caught)
    assert len(calls) == 6
    assert list((tmp_path / "f").rglob("*.tmp")) == []
    stores = run(utterances, folder, tmp_path / "f")
    assert len(stores["layers"]) == len(stores["mel"]) == 4


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path, corpus):
    utterances, folder = corpus(1)
    (tmp_path / "file").write_text("")

    with pytest.raises(StoreError, match="cannot be written") as caught:
        run(utterances, folder, tmp_path / "file" / "features")
    one_line(caught)


def test_clipped_values_are_told_of(tmp_path, corpus, monkeypatch, caplog):
    utterances, folder = corpus(2)
    real = MelSpectrogram.__call__
    monkeypatch.setattr(MelSpectrogram, "__call__", lambda self, wave: real(self, wave) + 1e6)

    run(utterances, folder, tmp_path / "f", replace(MEL, features=("mel",)))

    assert "values in 2 utterances" in caplog.text


def test_negative_workers_are_refused(tmp_path, corpus):
    utterances, folder = corpus(1)

    with pytest.raises(ConfigError, match="`workers` must be 0 or more, but is -1"):
        run(utterances, folder, tmp_path / "f", workers=-1)


# ------------------------------------------------------------------------------------------ command line


@pytest.fixture()
def command(tmp_path, corpus):
    utterances, folder = corpus(2)
    write_manifest(tmp_path / "m.json", utterances.values(), ManifestInfo("table"))
    words = [
        "extract",
        "--manifest",
        str(tmp_path / "m.json"),
        "--data-folder",
        str(folder),
        "--to",
        str(tmp_path / "f"),
    ]
    return [*words, "--encoder", "resemblyzer", "--num-layers", "3", "--encoder-dim", "256"]


def test_the_command_fills_the_stores_and_says_where_they_are(command, tmp_path, capsys):
    assert main(command) == 0

    out, err = capsys.readouterr()
    for feature, store in ALL.open(tmp_path / "f").items():
        assert len(store) == 2
        assert re.search(rf"^{feature} +2 utterances .*{re.escape(str(store.folder))}$", out, re.MULTILINE)
    assert "2/2" in err
    assert "utt/s" in err or "s/utt" in err


def test_the_command_without_a_model_exits_2_with_one_line(command, capsys, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    at = command.index("--encoder")

    assert main(command[:at]) == 2

    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert "hf download facebook/wav2vec2-large-lv60" in err


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (["--num-layers", "25"], "num_layers: 3, encoder_dim: 256"),
        (["--features", "layers,fbank"], "`features` must be one of"),
        (["--device", "tpu"], "`device` tpu"),
        (["--manifest", "/nowhere.json"], "/nowhere.json does not exist"),
    ],
)
def test_the_command_turns_bad_options_into_one_line_and_exit_2(command, capsys, change, expected):
    assert main([*command, *change]) == 2

    err = capsys.readouterr().err
    assert expected in err
    assert err.count("\n") == 1


def test_the_progress_bar_is_for_what_is_left(tmp_path, corpus, capsys, monkeypatch):
    utterances, folder = corpus(3)
    real = MelSpectrogram.__call__
    # A bar is drawn ten times a second at most.
    monkeypatch.setattr(MelSpectrogram, "__call__", lambda self, wave: time.sleep(0.11) or real(self, wave))
    extract({"u0": utterances["u0"]}, folder, tmp_path / "f", MEL, progress=False)
    assert capsys.readouterr().err == ""

    extract(utterances, folder, tmp_path / "f", MEL)

    assert "2/2" in capsys.readouterr().err


def test_real_speech_is_extracted_with_sensible_numbers(tmp_path, real_data):
    from emorec_lobes.corpora.manifest import Utterance

    folder = real_data("emodb")
    paths = sorted((folder / "wav").glob("*.wav"))[:3]
    utterances = {
        path.stem: Utterance(path.stem, f"{{data_root}}/wav/{path.name}", 1.0, "angry", "W") for path in paths
    }

    stores = run(utterances, folder, tmp_path / "f", ALL)

    for utterance_id in utterances:
        assert stores["layers"].num_frames(utterance_id) == stores["mel"].num_frames(utterance_id) > 50
        assert 0.05 < stores["layers"].statistics(utterance_id)[1].mean() < 1
    assert not (tmp_path / "f" / "failed.json").exists()
