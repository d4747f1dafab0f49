"""A run that is killed with kill -9, anywhere and again and again, ends with the files of one left alone."""

import os
import random
import re
import signal
import subprocess
import sys
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

RECIPE = Path(__file__).parents[2] / "recipes/IEMOCAP/train_ser.py"
PATIENCE_S = 600

# What holds paths, times and the machine.
OF_THE_PROCESS = {"env.log", "log.txt", "hyperparams.yaml", "CKPT.yaml"}

# In the order in which a checkpoint gets them.
CHECKPOINT_FILES = ("CKPT.yaml", "model.ckpt", "epoch_counter.ckpt", "history.ckpt", "random_state.ckpt")
LAST_CHECKPOINT_FILE = "optimizer.ckpt"


class Run:
    """A recipe with its output and its features in one folder, which any number of processes work at in turn."""

    def __init__(self, folder, words):
        self.folder = folder
        self.output, self.features = folder / "run", folder / "features"
        self.words = words
        self.processes = []
        self.started = 0.0  # the latest process

    def start(self):
        """Starts a process, in a group of its own."""
        self.folder.mkdir(exist_ok=True)
        self.started = time.time()
        with (self.folder / "printed.txt").open("a") as stream:
            self.processes.append(
                subprocess.Popen(
                    [sys.executable, str(RECIPE), *self.words],
                    stdout=stream,
                    stderr=stream,
                    env={**os.environ, "OMP_NUM_THREADS": "1"},
                    start_new_session=True,
                )
            )

    def wait(self):
        """Waits until the process is done."""
        assert self.processes[-1].wait(PATIENCE_S) == 0, (self.folder / "printed.txt").read_text()

    def start_and_kill(self, moment, kill):
        """Starts a process and kills it. Returns where that was, or None if it was done before the moment came."""
        self.start()
        process = self.processes[-1]
        while not moment.has_come(self) and process.poll() is None:
            assert time.time() < self.started + PATIENCE_S, f"{moment} does not come"
            time.sleep(0.0005)
        time.sleep(moment.delay_s)
        if process.poll() is None:
            kill(process.pid, signal.SIGKILL)
        code = process.wait()
        assert code in (0, -signal.SIGKILL), (self.folder / "printed.txt").read_text()
        return self.where() if code else None

    def is_new(self, pattern):
        """Whether the latest process has written a file of this name."""
        return any(modified(path) > self.started for path in self.output.glob(pattern))

    def saving(self, fold="*"):
        """The checkpoint that the latest process has begun and not shown yet, if there is one."""
        begun = self.output.glob(f"fold_{fold}/save/.unfinished/CKPT*")
        return next((path for path in begun if modified(path) > self.started), None)

    def num_extracted(self):
        """Finished features of utterances."""
        return sum(path.read_bytes().count(b"\n") for path in self.features.glob("*/index.jsonl"))

    def is_extracting(self):
        """Whether the latest process has put features into a store."""
        return any(modified(path) > self.started for path in self.features.glob("*/index.jsonl"))

    def where(self):
        """Where the latest process was killed, by what it has left on the disk."""
        if self.is_new("predictions.csv"):
            return "pooling"
        folds = [fold for fold in self.output.glob("fold_*") if self.is_new(f"{fold.name}/hyperparams.yaml")]
        if folds:
            return f"{max(folds).name}: {self._where_in(max(folds))}"
        return "extracting" if self.is_extracting() and not self.is_new("config.json") else "starting"

    def _where_in(self, fold):
        begun = self.saving(fold.name[-1])
        if begun is not None:
            return "before the rename" if is_written(begun / LAST_CHECKPOINT_FILE) else "writing a checkpoint"
        if self.is_new(f"{fold.name}/results.json"):
            return "between folds"
        if self.is_new(f"{fold.name}/*model.safetensors*"):
            return "writing results"
        saved = {update_of(path) for path in fold.glob("save/CKPT*")}
        return "between checkpoints" if max(saved, default=0) < 40 else "after the last checkpoint"

    def contents(self):
        """Every file by its name, with its bytes unless they speak of the process; checkpoints by their update."""
        files = {}
        for path in self.folder.glob("*/**/*"):
            if path.is_file():
                name = re.sub(r"CKPT\+[^/]*", f"update {update_of(path.parent)}", str(path.relative_to(self.folder)))
                content = None if path.name in OF_THE_PROCESS else path.read_bytes()
                # Lines of a store's index are in the order of the work.
                files[name] = set(content.split(b"\n")) if path.name == "index.jsonl" else content
        return files


@dataclass(frozen=True)
class Moment:
    """A kill is due `delay_s` after `has_come` is true of a run."""

    order: tuple[int, int, int]  # fold, update, and what comes first at one update
    has_come: Callable[[Run], bool]
    delay_s: float = 0.0


def modified(path):
    """When a file was written; long ago if it is gone again."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def is_written(path):
    """Whether a tensor file is whole: the list of its contents stands at its end."""
    return path.exists() and zipfile.is_zipfile(path)


def update_of(checkpoint):
    """The update a checkpoint was saved at, 0 if that cannot be read yet."""
    try:
        lines = (checkpoint / "CKPT.yaml").read_text().splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("update: ")), 0)


def outlives(group, until):
    """Whether a process group still has members at a time; then they are killed."""
    try:
        while time.time() < until:
            os.killpg(group, 0)
            time.sleep(0.1)
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def extracting(count):
    """While features are extracted, with `count` of them or more finished."""
    return Moment((0, 0, 0), lambda run: run.is_extracting() and run.num_extracted() >= count)


def saving_a_checkpoint(fold, update, file):
    """When this file of a checkpoint has appeared; the last file: when it is whole, and only the rename is left."""

    def has_come(run):
        begun = run.saving(fold)
        if begun is None or update_of(begun) != update:
            return False
        return is_written(begun / file) if file == LAST_CHECKPOINT_FILE else (begun / file).exists()

    return Moment((fold, update, file == LAST_CHECKPOINT_FILE), has_come)


def after_a_checkpoint(fold, update, delay_s):
    """A while after a checkpoint can be seen."""

    def has_come(run):
        shown = [path for path in run.output.glob(f"fold_{fold}/save/CKPT*") if update_of(path) == update]
        return any(modified(path / LAST_CHECKPOINT_FILE) > run.started for path in shown)

    return Moment((fold, update, 2), has_come, delay_s)


def writing_results(fold, pattern):
    """When this file of a fold's results, or of the pooled ones, has appeared."""
    return Moment((fold, 99, 0), lambda run: run.is_new(pattern))


def at_any_time(delay_s):
    """A while after the start, whatever is done then."""
    return Moment((9, 0, 0), lambda run: True, delay_s)


def draw_moments(generator, duration_s):
    """Five moments in the order in which a run comes to them; alone it takes so long."""
    folds = [generator.randint(1, 3) for _ in range(5)]
    updates = [generator.choice((10, 20, 30, 40)) for _ in range(5)]
    results = ("model.safetensors", "predictions.csv", "history.json", "figures/mel.png", "results.md")
    last = (
        after_a_checkpoint(folds[3], 40, generator.uniform(0.0, 0.3)),
        writing_results(folds[3], f"fold_{folds[3]}/{generator.choice(results)}"),
        writing_results(4, generator.choice(("predictions.csv", "figures/confusion.png", "results.md"))),
        at_any_time(generator.uniform(0.0, duration_s)),
    )
    moments = [
        extracting(generator.randint(1, 80)),
        saving_a_checkpoint(folds[0], updates[0], generator.choice(CHECKPOINT_FILES)),
        saving_a_checkpoint(folds[1], updates[1], LAST_CHECKPOINT_FILE),
        after_a_checkpoint(folds[2], updates[2], generator.uniform(0.0, 0.6)),
        generator.choice(last),
    ]
    return sorted(moments, key=lambda moment: moment.order)


@pytest.fixture()
def make_run(tones, command_line, tmp_path):
    """Makes a run: (name, overrides) -> `Run`. No process of it outlives the test."""
    runs = []

    def make(name, **overrides):
        folder = tmp_path / name
        options = {"protocol": "strict", "lr": 0.001, **overrides}
        runs.append(Run(folder, command_line("ser_mel.yaml", tones, folder / "features", folder / "run", **options)))
        return runs[-1]

    yield make
    processes = [process for run in runs for process in run.processes]
    for process in processes:
        process.kill()
        process.wait()
    until = time.time() + 60
    assert [process.pid for process in processes if outlives(process.pid, until)] == []


def assert_same(killed, whole):
    """The two runs left the same files."""
    found, expected = killed.contents(), whole.contents()
    assert sorted(found) == sorted(expected)
    assert [name for name in expected if found[name] != expected[name]] == []


def test_a_run_killed_three_times_ends_with_the_files_of_one_left_alone(make_run):
    options = {"fold": 1, "number_of_updates": 20}
    whole, killed = make_run("whole", **options), make_run("killed", **options)
    whole.start()
    delay_s = random.Random(1).uniform(0.0, 1.5)
    moments = extracting(20), saving_a_checkpoint(1, 10, "model.ckpt"), after_a_checkpoint(1, 10, delay_s)
    landed = [killed.start_and_kill(moment, os.killpg) for moment in moments]
    print(f"killed after {delay_s:.2f} s and at", *landed, sep="\n")
    killed.start()
    killed.wait()
    whole.wait()
    assert landed[0] == "extracting" and landed[1] in ("fold_1: writing a checkpoint", "fold_1: before the rename")
    assert_same(killed, whole)


@pytest.mark.slow
def test_orphaned_data_loading_processes_stand_in_nobodys_way(make_run):
    """Killed alone, a process leaves its data-loading processes behind for seconds; the next one starts at once."""
    whole, killed = make_run("whole", fold=1), make_run("killed", fold=1, num_workers=2, extract_workers=2)
    whole.start()
    whole.wait()
    moments = [extracting(20), after_a_checkpoint(1, 10, 0.2), saving_a_checkpoint(1, 30, LAST_CHECKPOINT_FILE)]
    landed = [killed.start_and_kill(moment, os.kill) for moment in moments]
    killed.start()
    killed.wait()
    assert landed == ["extracting", "fold_1: between checkpoints", "fold_1: before the rename"]
    assert_same(killed, whole)


@pytest.mark.slow
def test_runs_killed_at_twenty_random_moments_end_with_the_files_of_one_left_alone(make_run):
    seed, num_kills = 7, 20
    generator = random.Random(seed)
    whole = make_run("whole")
    whole.start()
    whole.wait()
    duration_s = time.time() - whole.started
    landed = []
    while len(landed) < num_kills:
        workers = generator.choice(({}, {"num_workers": 2}))
        kill = generator.choice((os.kill, os.killpg))
        killed = make_run(f"killed_after_{len(landed)}", **workers)
        for moment in draw_moments(generator, duration_s)[: num_kills - len(landed)]:
            where = killed.start_and_kill(moment, kill)
            if where is not None:
                landed.append(where)
                print(f"seed {seed}, kill {len(landed)}: {where} ({workers}, {kill.__name__})")
        killed.start()
        killed.wait()
        assert_same(killed, whole)
    kinds = Counter(where.split(": ")[-1] for where in landed)
    print(dict(kinds))
    training = {"writing a checkpoint", "before the rename", "between checkpoints", "after the last checkpoint"}
    assert {"extracting", *training, "writing results", "pooling"} <= set(kinds)
    assert any(where.startswith("fold_2") for where in landed)
