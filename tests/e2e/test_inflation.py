"""The inflation meter on the tones: watching the test changes nothing, and inflated scores are marked as such."""

import json
import sys
from pathlib import Path

import pytest

from emorec_lobes.brains.ser import SERBrain
from emorec_lobes.cli.main import main as emorec
from emorec_lobes.evaluation.comparison import compare
from emorec_lobes.evaluation.inflation import best_epoch, inflation_record, watched_file
from emorec_lobes.evaluation.metrics import scores
from emorec_lobes.evaluation.predictions import read_predictions
from emorec_lobes.evaluation.protocol_words import in_words

from .conftest import Killed

SHORT = {"number_of_updates": 12, "updates_per_validation": 4, "lr": 0.0005}
NAMES = ("predictions.csv", "history.json", "model.safetensors", "fingerprint.json")


class Mortal(SERBrain):
    """Dies in the seventh update."""

    def on_fit_batch_end(self, batch, outputs, loss, should_step):
        if self.optimizer_step == 7:
            raise Killed


@pytest.mark.parametrize("protocol", ["strict", "paper"])
def test_watching_the_test_leaves_every_byte_of_a_run_as_it_was_even_if_it_is_killed(train, tmp_path, protocol):
    options = {"protocol": protocol, "fold": 1, "hparams": "ser_resemblyzer.yaml", **SHORT}
    assert train(tmp_path / "alone", **options)[0] == 0
    assert train(tmp_path / "watched", watch_test=True, **options)[0] == 0
    with pytest.raises(Killed):
        train(tmp_path / "killed", watch_test=True, brain=Mortal, **options)
    assert train(tmp_path / "killed", watch_test=True, **options)[0] == 0
    for run in ("watched", "killed"):
        for name in NAMES:
            assert (tmp_path / run / "fold_1" / name).read_bytes() == (tmp_path / "alone/fold_1" / name).read_bytes()
    watched = [
        {path.name: path.read_bytes() for path in (tmp_path / run / "fold_1/watched_test").iterdir()}
        for run in ("watched", "killed")
    ]
    assert watched[0] == watched[1] and sorted(watched[0]) == ["update_12.csv", "update_4.csv", "update_8.csv"]
    assert not (tmp_path / "alone/fold_1/watched_test").exists()
