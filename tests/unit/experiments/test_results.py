"""What intervals draw: speakers where they are held out, else dialogues, else single utterances."""

from dataclasses import replace

import pytest

from emorec_lobes.corpora.manifest import Utterance
from emorec_lobes.experiments.results import drawn_units

SAID = {key: Utterance(key, "", 0.0, "sad", "T", speaker="x_1", dialog="x_d", turn=1) for key in ("x_a", "x_b")}
ALONE = {key: replace(item, dialog=None, turn=None) for key, item in SAID.items()}


@pytest.mark.parametrize(
    ("independent", "utterances", "name"),
    [
        (True, SAID, None),
        (False, SAID, "dialogues"),
        (None, SAID, "dialogues"),
        (False, ALONE, None),
        (None, ALONE, "utterances"),
        (None, {**SAID, "x_c": replace(SAID["x_a"], id="x_c", dialog=None)}, "utterances"),
    ],
)
def test_what_is_drawn_follows_from_what_is_held_out_and_known(independent, utterances, name):
    units = drawn_units({"speaker_independent": independent}, utterances)
    assert (units and units.name) == name
    assert units is None or set(units.of) == set(utterances)
