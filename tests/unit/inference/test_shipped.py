"""The model in the package: as it was exported, small, and there without being named."""

import json

import numpy as np
import soundfile

from emorec_lobes.cli.main import main
from emorec_lobes.inference.model_folder import open_model, verify
from emorec_lobes.inference.shipped import shipped_model


def test_it_is_as_it_was_exported_and_small():
    assert any("49 tensors" in line for line in verify(shipped_model()))
    assert sum(path.stat().st_size for path in shipped_model().iterdir()) < 10e6


def test_its_card_says_what_it_was_trained_on_and_how_well_it_did():
    card = (shipped_model() / "README.md").read_text(encoding="utf-8")
    loaded = open_model(shipped_model())
    assert "Trained on emodb. Terms of the corpus: CC0-1.0." in card and "## Limits" in card
    assert f"| UAR | {loaded.card['uar']:.3f} |" in card and loaded.card["stamp"]["protocol"] == "strict"


def test_predict_answers_without_a_model_being_named(tmp_path, capsys):
    times = np.arange(24_000) / 16_000
    soundfile.write(tmp_path / "tone.wav", 0.1 * np.sin(2 * np.pi * 200 * times), 16_000)
    assert main(["predict", "--format", "json", str(tmp_path / "tone.wav")]) == 0
    answer = json.loads(capsys.readouterr().out.splitlines()[0])
    assert set(answer["probabilities"]) == {"angry", "neutral", "happy", "sad"}
