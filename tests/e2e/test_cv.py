"""`emorec cv` on the tones: folds side by side end as one after another, whatever is interrupted or killed."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from emorec_lobes.files import locked

ROOT = Path(__file__).parents[2]
PATIENCE_S = 900
MAIN = "import sys; from emorec_lobes.cli.main import main; sys.exit(main())"

# What holds paths, times and the machine.
OF_THE_PROCESS = {"env.log", "log.txt", "hyperparams.yaml", "CKPT.yaml", ".lock"}


def test_no_fold_means_corpus_features_and_the_names_of_the_folds(train, tmp_path):
    code, out, _ = train(tmp_path / "run", fold="none")
    assert code == 0 and out == ""
    assert json.loads((tmp_path / "run/config.json").read_text())["folds"] == ["1", "2", "3"]
    assert (tmp_path / "run/manifest.json").exists() and not list((tmp_path / "run").glob("fold_*"))


def test_one_fold_is_trained_beside_another_but_not_beside_itself_or_all(train, tmp_path):
    options = {"fold": 1, "number_of_updates": 2}
    with locked(tmp_path / "run", "run", shared=True), locked(tmp_path / "run/fold_2", "run"):
        assert train(tmp_path / "run", **options)[0] == 0
        code, _, err = train(tmp_path / "run", **{**options, "fold": 2})
        assert code == 2 and "Another run is using" in err and "fold_2" in err
        code, _, err = train(tmp_path / "run", **{**options, "fold": "all"})
        assert code == 2 and "Another run is using" in err and "fold_2" not in err


class CrossValidation:
    """`emorec cv` in a process, with two jobs of one thread."""

    def __init__(self, folder, words, engine="local"):
        self.folder, self.words = folder, [*words, "--engine", engine]
        self.process = None

    def start(self):
        """Starts the command."""
        words = ["cv", "IEMOCAP/train_ser.py", *self.words, "--jobs", "2", "--threads", "1", "--to", str(self.folder)]
        self.process = subprocess.Popen(
            [sys.executable, "-c", MAIN, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def end(self):
        """Waits for its end: (exit code, stdout, stderr)."""
        out, err = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, out, err

    def wait_for_a_checkpoint(self, fold):
        """Waits until a fold has one, or the command has ended."""
        deadline = time.monotonic() + PATIENCE_S
        while not list(self.folder.glob(f"seed_1/fold_{fold}/save/CKPT*")) and self.process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def workers(self, fold=""):
        """The processes that work at a fold, or at any."""
        wanted = [f"--output_folder={self.folder}/seed_1".encode(), f"--fold={fold}".encode()]
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = path.read_bytes().split(b"\0")
            except (FileNotFoundError, ProcessLookupError):
                continue
            if wanted[0] in words and any(word.startswith(wanted[1]) for word in words):
                found.append(int(path.parent.name))
        return found


def parent(process):
    """The process that has started this one."""
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])


def descendants(process):
    """All processes below this one."""
    children = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            children.setdefault(parent(path.name), []).append(int(path.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    found, queue = [], [process]
    while queue:
        queue += children.get(queue.pop(), [])
        found = [*found, *(each for each in queue if each not in found)]
    return found


def wait_for_the_end_of(processes):
    """Those that still run when patience ends; a zombie does not."""
    deadline = time.monotonic() + 30
    while (left := [each for each in processes if is_alive(each)]) and time.monotonic() < deadline:
        time.sleep(0.1)
    return left


def is_alive(process):
    """Whether a process runs."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def contents(folder):
    """Every file by its name, with its bytes unless they speak of the process; checkpoints by their update."""
    files = {}
    for path in folder.rglob("*"):
        name = str(path.relative_to(folder))
        if path.is_file() and path.name != ".lock" and not name.startswith("cv/"):
            name = re.sub(r"CKPT\+[^/]*", "checkpoint", name)
            files[name] = None if path.name in OF_THE_PROCESS else path.read_bytes()
    return files


@pytest.mark.slow
def test_folds_side_by_side_interrupted_and_killed_end_with_the_bytes_of_the_recipe_left_alone(
    tones, features, command_line, tmp_path
):
    options = {"num_groups": 2, "number_of_updates": 20, "seed": 1}
    words = command_line("ser_mel.yaml", tones, features, tmp_path / "whole", **options)
    done = subprocess.run(
        [sys.executable, str(ROOT / "recipes/IEMOCAP/train_ser.py"), *words],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    given = [word for word in words if not word.startswith(("--seed", "--output_folder"))]
    cv = CrossValidation(tmp_path / "cv", given)

    cv.start()
    cv.wait_for_a_checkpoint(1)
    assert len(cv.workers()) == 2
    cv.process.send_signal(signal.SIGINT)
    code, out, err = cv.end()
    assert (code, out) == (130, "") and err.endswith("emorec: interrupted. Run the same command again to go on.\n")
    assert cv.workers() == [] and "Traceback" not in err

    cv.start()
    while not cv.workers(1) and cv.process.poll() is None:
        time.sleep(0.05)
    os.kill(cv.workers(1)[0], signal.SIGKILL)
    code, out, err = cv.end()
    assert code == 0 and "seed 1, fold 1: killed by SIGKILL; it is run again." in err
    found, expected = contents(tmp_path / "cv/seed_1"), contents(tmp_path / "whole")
    assert sorted(found) == sorted(expected)
    assert [name for name in expected if found[name] != expected[name]] == []

    cv.start()
    assert cv.end() == (0, out, "processes at a time: 2, threads of each: 1\n")


@pytest.mark.slow
def test_on_a_ray_cluster_the_table_and_the_answers_are_those_of_this_machine_whatever_dies(
    tones, features, command_line, tmp_path, monkeypatch
):
    pytest.importorskip("ray")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    options = {"num_groups": 2, "number_of_updates": 8, "updates_per_validation": 2}
    words = command_line("ser_mel.yaml", tones, features, "", **options)
    given = [word for word in words if not word.startswith("--output_folder")]
    local = CrossValidation(tmp_path / "local", given)
    local.start()
    code, table, err = local.end()
    assert code == 0, err

    cv = CrossValidation(tmp_path / "ray", given, engine="ray")
    cv.start()
    cv.wait_for_a_checkpoint(1)
    workers = cv.workers()
    cluster = descendants(cv.process.pid)
    assert len(workers) == 2 and set(workers) < set(cluster)
    cv.process.send_signal(signal.SIGINT)
    code, out, err = cv.end()
    assert (code, out) == (130, "") and err.endswith("emorec: interrupted. Run the same command again to go on.\n")
    assert "Traceback" not in err and wait_for_the_end_of(cluster) == []

    cv.start()
    # The process of a recipe dies, and the Ray worker that has started one.
    for fold, whose in ((1, int), (2, parent)):
        while not cv.workers(fold) and cv.process.poll() is None:
            time.sleep(0.05)
        os.kill(whose(cv.workers(fold)[0]), signal.SIGKILL)
    cluster = descendants(cv.process.pid)
    code, out, err = cv.end()
    assert (code, out) == (0, table), err
    assert all(f"seed 1, fold {fold}: killed by SIGKILL; it is run again." in err for fold in (1, 2))
    assert wait_for_the_end_of(cluster) == []
    found, expected = contents(tmp_path / "ray/seed_1"), contents(tmp_path / "local/seed_1")
    assert sorted(found) == sorted(expected)
    assert [name for name in expected if found[name] != expected[name]] == []
