"""From real runs of a recipe under two seeds to a table, and from its commands back to the same settings."""

import json
import re
import shlex

from emorec_lobes.cli.main import main
from emorec_lobes.experiments.run import parse_arguments
from emorec_lobes.experiments.settings import read_settings

FEW = {"number_of_updates": 2, "updates_per_validation": 2, "protocol": "strict"}


def test_the_seeds_of_a_recipe_make_a_row_whose_command_trains_the_same(train, tmp_path, capsys, monkeypatch):
    for seed in (1, 2):
        assert train(tmp_path / f"runs/seed_{seed}", seed=seed, num_workers=0, **FEW)[0] == 0
    assert main(["report", str(tmp_path / "runs")]) == 0
    out = capsys.readouterr().out
    assert len(re.findall(r"^\| `ser_mel` \| 1, 2 \| strict", out, re.MULTILINE)) == 1
    line = re.search(r"^for seed in 1 2; do python train_ser.py (.*); done$", out, re.MULTILINE)[1]
    monkeypatch.chdir(__file__.partition("/tests/")[0])
    path, _, overrides = parse_arguments(shlex.split(line.replace("$seed", "2")))
    held = json.loads((tmp_path / "runs/seed_2/config.json").read_text())
    assert read_settings(path, overrides).fingerprint() == held["fingerprint"]
