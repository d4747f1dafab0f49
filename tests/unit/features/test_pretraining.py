"""What the table of pre-training data must hold."""

import re
from pathlib import Path

import pytest

from emorec_lobes.features.pretraining import seen_in_pretraining

HPARAMS = sorted((Path(__file__).parents[3] / "hparams").glob("*.yaml"))


@pytest.mark.parametrize("path", HPARAMS, ids=lambda path: path.stem)
def test_it_knows_every_encoder_that_a_hyperparameter_file_names(path):
    for encoder in re.findall(r"^(?:text_)?encoder: (\S+)", path.read_text(encoding="utf-8"), re.MULTILINE):
        assert seen_in_pretraining(encoder) != "unknown"


def test_a_folder_and_a_hub_id_beside_a_known_one_are_unknown():
    assert seen_in_pretraining("/models/wav2vec2") == "unknown"
    assert seen_in_pretraining("facebook/wav2vec2-large-lv60-mine") == "unknown"
