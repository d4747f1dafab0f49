"""Probe records as tables."""

import pytest

from emorec_lobes.errors import DataError
from emorec_lobes.evaluation.probe_table import probes_side_by_side


def record(run, accuracies, seed=0):
    """A record of a network with one point `codes`; accuracies by (asked for, probe, side)."""
    rows = [
        {
            "point": "codes",
            "asked_for": asked_for,
            "probe": probe,
            "utterances": side,
            "num_utterances": 40,
            "accuracy": accuracy,
            "interval": {"low": accuracy - 0.1, "high": accuracy + 0.1},
            "uniform": {"speaker": 1 / 8, "emotion": 1 / 4}[asked_for],
            "majority": 0.3,
        }
        for (asked_for, probe, side), accuracy in accuracies.items()
    ]
    about = {"fold": "1", "run": run, "speakers": ["a"] * 8, "num_training": 160, "seed": seed}
    return {**about, "probes": rows, "stamp": {"corpus": "emodb", "selection": None}}


ACCURACIES = {
    ("emotion", "linear", "test"): 0.6,
    ("emotion", "network", "test"): 0.65,
    ("emotion", "linear", "held out"): 0.8,
    ("speaker", "network", "held out"): 0.4,
    ("speaker", "linear", "held out"): 0.3,
}


def test_a_row_has_the_speaker_first_and_leaves_out_what_is_not_compared():
    rows = [line for line in probes_side_by_side([record("small", ACCURACIES)]).splitlines() if "codes" in line]
    cells = [cell.strip() for cell in rows[0].strip("|").split("|")]
    assert cells[:2] == ["`small`", "codes"]
    assert [cell[:5] for cell in cells[2:]] == ["0.400", "0.300", "0.800", "0.600"]
    assert cells[2] == "0.400 (0.300 to 0.500)"


def test_each_network_has_its_rows_in_order():
    table = probes_side_by_side([record("small", ACCURACIES), record("large", ACCURACIES)])
    assert table.index("`small`") < table.index("`large`")
    assert "chance is 0.125 for the speaker, 0.250 for the emotion" in table


def test_networks_probed_on_other_utterances_are_not_compared():
    with pytest.raises(DataError, match="differ"):
        probes_side_by_side([record("small", ACCURACIES), record("large", ACCURACIES, seed=1)])
