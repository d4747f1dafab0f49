"""The inflation meter on the tones: watching the test changes nothing, and what it measures is marked as no result."""

import random
from pathlib import Path

import pytest
import speechbrain as sb
import torch

from emorec_lobes.brains.ser import SERBrain
from emorec_lobes.evaluation.inflation import best_epoch
from emorec_lobes.evaluation.metrics import scores
from emorec_lobes.evaluation.predictions import Predictions, read_predictions
from emorec_lobes.experiments.cross_validation import cross_validate, seed_runs
from emorec_lobes.experiments.engines import Outcome
from emorec_lobes.experiments.inflation import measure, watching
from emorec_lobes.experiments.run import main
from emorec_lobes.experiments.speech import SpeechTask
from emorec_lobes.files import read_json

from .conftest import Killed

HABITS = ["best-epoch", "random-split"]
SHORT = {"number_of_updates": 9, "updates_per_validation": 3, "lr": 0.0005}
NAMES = ("predictions.csv", "history.json", "model.safetensors", "fingerprint.json")


class Careless(SERBrain):
    """Draws numbers whenever it answers a test, as an augmentation somebody forgot to switch off would."""

    def compute_forward(self, batch, stage):
        if stage is sb.Stage.TEST:
            torch.rand(3), random.random()
        return super().compute_forward(batch, stage)


class Mortal(Careless):
    """Dies in the fifth update."""

    def on_fit_batch_end(self, batch, outputs, loss, should_step):
        if self.optimizer_step == 5:
            raise Killed


class InProcess:
    """An engine that runs a job's recipe here, in no process of its own."""

    def submit(self, job):
        return Outcome(main(SERBrain, SpeechTask, list(job.words[1:])), 0.0)

    def stop(self):
        pass


@pytest.mark.parametrize("protocol", ["strict", pytest.param("paper", marks=pytest.mark.slow)])
def test_watching_the_test_leaves_every_byte_of_a_run_as_it_was_even_if_it_is_killed(train, tmp_path, protocol):
    options = {"protocol": protocol, "fold": 1, **SHORT}
    watched = {**options, "watch_test": True}
    assert train(tmp_path / "alone", **options)[0] == 0
    assert train(tmp_path / "watched", brain=Careless, **watched)[0] == 0
    with pytest.raises(Killed):
        train(tmp_path / "killed", brain=Mortal, **watched)
    assert train(tmp_path / "killed", **watched)[0] == 0
    for run in ("watched", "killed"):
        for name in NAMES:
            assert (tmp_path / run / "fold_1" / name).read_bytes() == (tmp_path / "alone/fold_1" / name).read_bytes()
    held = [
        {path.name: path.read_bytes() for path in (tmp_path / run / "fold_1/watched_test").iterdir()}
        for run in ("watched", "killed")
    ]
    assert held[0] == held[1] and sorted(held[0]) == ["update_3.csv", "update_6.csv", "update_9.csv"]
    assert not (tmp_path / "alone/fold_1/watched_test").exists()


@pytest.mark.slow
def test_a_cross_validation_measures_what_each_bad_habit_adds(
    tones, features, command_line, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr("sys.argv", ["train_ser.py"])
    words = command_line("ser_mel.yaml", tones, features, tmp_path, num_groups=2, seed=1, **SHORT)
    given = [word for word in words[1:] if not word.startswith(("--seed", "--output_folder"))]
    runs = seed_runs(Path("train_ser.py"), Path(words[0]), watching(given, HABITS), [1], tmp_path, threads=1)
    assert cross_validate(runs, None, InProcess(), 1).failures == {}
    honest = (tmp_path / "seed_1/results.json").read_bytes()
    failures, table = measure(runs, HABITS, InProcess(), 1)
    assert failures == {} and table.count("INFLATED: ") == 3 and "is no result" in table
    assert (tmp_path / "seed_1/results.json").read_bytes() == honest

    rows = read_json(tmp_path / "seed_1/inflation.json", "the test")["inflation"]
    for habit, run in (("best-epoch", "."), ("both", "inflation_random_split")):
        folds = [tmp_path / "seed_1" / run / f"fold_{fold}" for fold in (1, 2)]
        best = Predictions.concatenate([best_epoch(fold, "uar")[0] for fold in folds])
        assert rows[habit]["uar"] == scores(best.targets, best.predicted, best.labels)["uar"]
    assert rows["best-epoch"]["fold_mean"]["uar"] >= rows["honest"]["fold_mean"]["uar"]

    split = read_predictions(tmp_path / "seed_1/inflation_random_split/predictions.csv").only("test")
    own = read_predictions(tmp_path / "seed_1/predictions.csv").only("test")
    assert sorted(split.ids) == sorted(own.ids)
    speakers = [set(split.speakers[split.folds == fold]) for fold in ("1", "2")]
    assert speakers[0] & speakers[1]
    stamp = read_json(tmp_path / "seed_1/inflation_random_split/results.json", "the test")["stamp"]
    assert (stamp["protocol"], stamp["speaker_independent"]) == ("peeked", False)
    assert "INFLATED (speakers shared" in (tmp_path / "seed_1/inflation_random_split/results.md").read_text()
    capsys.readouterr()


def test_a_watched_run_with_a_second_training_is_refused_before_anything_is_prepared(train, tmp_path):
    code, _, err = train(tmp_path / "run", protocol="strict", watch_test=True, refit=True)
    assert code == 2 and "`watch_test` must come with refit: False" in err
    assert not (tmp_path / "run").exists() or not list((tmp_path / "run").glob("manifest*"))
