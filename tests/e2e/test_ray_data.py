"""`--engine ray` of `emorec predict` and `emorec extract`: the bytes of one process, whatever dies on the way."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import soundfile

from emorec_lobes.corpora.manifest import ManifestInfo, Utterance, write_manifest

pytest.importorskip("ray")
pytest.importorskip("pyarrow")

ROOT = Path(__file__).parents[2]

# Python runs this at its start, in Ray's workers too: one file kills whatever decodes it, and none is decoded at once.
CUSTOM = """
import os, signal, time
import soundfile
opened = soundfile.SoundFile.__init__
def open_(self, file, *args, **kwargs):
    time.sleep(float(os.environ.get("DECODING_S", 0)))
    if "poison" in str(file):
        os.kill(os.getpid(), signal.SIGKILL)
    opened(self, file, *args, **kwargs)
soundfile.SoundFile.__init__ = open_
"""


@pytest.fixture()
def started(tmp_path, monkeypatch):
    """(arguments, seconds to decode a file) -> the command as a process in the folder of the test."""
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    (tmp_path / "custom").mkdir()
    (tmp_path / "custom/sitecustomize.py").write_text(CUSTOM)
    paths = [str(tmp_path / "custom"), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
    environment["RAY_worker_niceness"] = "0"  # a busy machine would leave its workers next to nothing

    def start(*words, decoding_s=0.0):
        return subprocess.Popen(
            [sys.executable, "-m", "emorec_lobes.cli.main", *map(str, words)],
            cwd=tmp_path,
            env={**environment, "DECODING_S": str(decoding_s)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


@pytest.fixture()
def recordings(tones, tmp_path):
    """Twelve tones, in the middle of them a file that is no audio."""
    names = sorted(path.name for path in tones.glob("*.wav"))[:12]
    for name in names:
        (tmp_path / name).write_bytes((tones / name).read_bytes())
    (tmp_path / "broken.wav").write_text("no audio")
    return [*names[:6], "broken.wav", *names[6:]]


def ended(process):
    out, err = process.communicate(timeout=400)
    return process.returncode, out, err


def names_of(path):
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line)["name"] for line in lines]


def ray_workers(driver):
    """The processes of Ray's actors below a process."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes()
            parents[int(folder.name)] = (int((folder / "stat").read_text().rpartition(")")[2].split()[1]), words)
        except (FileNotFoundError, ProcessLookupError):
            continue

    def is_below(process):
        return process == driver or (process in parents and is_below(parents[process][0]))

    return [process for process, (_, words) in parents.items() if words.startswith(b"ray::Map") and is_below(process)]


def wait_until(found, process):
    while not found():
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


@pytest.mark.slow
def test_predictions_on_ray_are_those_of_one_process_though_workers_files_and_the_driver_die(
    started, recordings, tmp_path
):
    words = ("predict", "--format", "json", "--batch-size", "1")  # four files a group
    good = [name for name in recordings if name != "broken.wav"]
    code, expected, errors = ended(started(*words, *recordings))
    assert code == 1 and expected.count("\n") == 12

    assert ended(started(*words, *recordings, "--engine", "ray")) == (1, expected, errors)

    (tmp_path / "poison.wav").write_bytes((tmp_path / recordings[0]).read_bytes())
    asked = (*words, *recordings[:5], "poison.wav", *recordings[5:], "--engine", "ray", "--to", "answers.jsonl")
    answers = tmp_path / "answers.jsonl"
    first = started(*asked, decoding_s=0.5)
    wait_until(lambda: names_of(answers), first)
    first.kill()
    first.communicate()
    done = names_of(answers)  # of one group, or of several: Ray hands them over as it likes
    assert done == good[: len(done)]
    answers.write_text("".join(answers.read_text().splitlines(keepends=True)[:4]))  # so that there is something left

    second = started(*asked, decoding_s=0.5)
    wait_until(lambda: ray_workers(second.pid), second)
    os.kill(ray_workers(second.pid)[0], signal.SIGKILL)
    code, _, errors = ended(second)

    assert code == 1 and answers.read_text() == expected
    failed = [line.split()[1] for line in errors.splitlines()]
    assert failed == ["poison.wav", "broken.wav"] and "kills or stalls" in errors


@pytest.mark.slow
def test_the_store_filled_on_ray_is_that_of_one_process_though_a_worker_a_file_and_the_driver_die(
    started, recordings, tmp_path
):
    good = [name for name in recordings if name != "broken.wav"] * 4  # 48 utterances of 12 files: three groups
    utterances = [
        Utterance(f"x_{number}", f"{{data_root}}/{name}", soundfile.info(tmp_path / name).duration, "sad", "S")
        for number, name in enumerate(good)
    ]
    write_manifest(tmp_path / "good.json", utterances, ManifestInfo("x"))
    (tmp_path / "poison.wav").write_bytes((tmp_path / good[0]).read_bytes())
    bad = [
        Utterance("x_broken", "{data_root}/broken.wav", 1.0, "sad", "S"),
        Utterance("x_poison", "{data_root}/poison.wav", 1.0, "sad", "S"),
    ]
    write_manifest(tmp_path / "all.json", [*utterances[:9], *bad, *utterances[9:]], ManifestInfo("x"))
    encoder = ("--encoder", "mel", "--num-layers", "1", "--encoder-dim", "80", "--features", "layers")
    words = ("extract", "--data-folder", ".", *encoder)
    assert ended(started(*words, "--manifest", "good.json", "--to", "local"))[0] == 0

    asked = (*words, "--manifest", "all.json", "--to", "ray", "--engine", "ray")
    first = started(*asked, decoding_s=0.2)
    wait_until(lambda: list(tmp_path.glob("ray/*/*/*.safetensors")), first)
    os.kill(ray_workers(first.pid)[0], signal.SIGKILL)
    wait_until(lambda: len(list(tmp_path.glob("ray/*/*/*.safetensors"))) >= 24, first)
    first.kill()
    first.communicate()

    code, _, errors = ended(started(*asked))

    assert code == 2 and "2 of 50 utterances cannot be used" in errors and "Traceback" not in errors
    failed = json.loads((tmp_path / "ray/failed.json").read_text())
    assert list(failed) == ["x_broken", "x_poison"] and "kills or stalls" in failed["x_poison"]
    stores = {}
    for root in ("local", "ray"):
        (store,) = (tmp_path / root).glob("layers-mel-*")
        lines = (store / "index.jsonl").read_bytes().splitlines()
        files = {path.name: path.read_bytes() for path in store.glob("*/*.safetensors")}
        stores[root] = (store.name, (store / "header.json").read_bytes(), set(lines), len(set(lines)), files)
    assert stores["ray"] == stores["local"]
