"""A corpus of tones that any model can tell apart, and a recipe small enough to train on it in seconds."""

import csv
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

ROOT = Path(__file__).parents[2]
SPEAKERS = ("s1", "s2", "s3", "s4", "s5", "s6")
LABELS = ("angry", "sad")

# What makes a few hundred updates on two cores a matter of seconds. The architecture stays.
TINY = {
    "corpus": "table",
    "labels": "[angry, sad]",
    "num_classes": 2,
    "scheme": "speaker_groups",
    "num_groups": 3,
    "encoder": "mel",
    "num_layers": 1,
    "encoder_dim": 80,
    "aligner": "none",
    "conv_channels": 16,
    "decoder_channels": 16,
    "phone_dim": 8,
    "number_of_updates": 40,
    "updates_per_validation": 10,
    "batch_size": 4,
    "lr": 0.003,
    "num_workers": 0,
}


def tone(label, speaker, take, duration_s):
    """A low slow tone is sad, a high fast one is angry; speakers differ in pitch a little."""
    times = np.arange(int(16_000 * duration_s)) / 16_000
    base_hz, beat_hz = (900, 9) if label == "angry" else (250, 2)
    generator = np.random.default_rng([SPEAKERS.index(speaker), take, LABELS.index(label)])
    wave = np.sin(2 * np.pi * (base_hz + 15 * SPEAKERS.index(speaker)) * times) * (
        1 + np.sin(2 * np.pi * beat_hz * times)
    )
    return (0.2 * wave + 0.01 * generator.standard_normal(len(times))).astype(np.float32)


class Killed(BaseException):
    """Stands for the process ending here: nothing handles it."""


def assert_a_killed_run_ends_as_a_whole_one(train, brain, folder, dies_at, names, inside="fold_1", **options):
    """Trains at one go, and again dying at an update and started anew; these files must be the same bytes."""
    assert train(folder / "whole", **options)[0] == 0
    updates = []

    class Mortal(brain):
        def on_fit_batch_end(self, batch, outputs, loss, should_step):
            updates.append(self.optimizer_step)
            if len(updates) == dies_at:
                raise Killed

    with pytest.raises(Killed):
        train(folder / "killed", brain=Mortal, **options)
    assert not (folder / "killed" / inside / "results.json").exists()
    assert train(folder / "killed", **options)[0] == 0
    for name in names:
        whole, resumed = ((folder / run / inside / name).read_bytes() for run in ("whole", "killed"))
        assert whole == resumed


def save_tiny_bert(folder, words, hidden_size, num_layers, max_positions=300):
    """A narrow BERT with random weights, which knows these words."""
    import torch
    from transformers import BertConfig, BertModel

    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n")
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=hidden_size,
        num_hidden_layers=num_layers,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=max_positions,
    )
    with torch.random.fork_rng():
        torch.manual_seed(7)
        BertModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tones(tmp_path_factory):
    """Six speakers, two classes, two takes: 24 utterances of 0.5 to 2.5 s, and labels.csv."""
    folder = tmp_path_factory.mktemp("tones")
    rows = []
    for speaker in SPEAKERS:
        for label in LABELS:
            for take, duration_s in enumerate((0.5 + 0.1 * SPEAKERS.index(speaker), 2.5)):
                name = f"{speaker}_{label}_{take}.wav"
                soundfile.write(folder / name, tone(label, speaker, take, duration_s), 16_000)
                rows.append({"path": name, "label": label, "speaker": speaker})
    with (folder / "labels.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return folder


@pytest.fixture(scope="module")
def synthetic_iemocap(request, tmp_path_factory):
    """The project's own corpus in IEMOCAP's shape, as many turns a dialogue as the test file says by NUM_TURNS."""
    pytest.importorskip("espeakng_loader")
    from emorec_lobes.corpora.synthetic import make_corpus

    folder = tmp_path_factory.mktemp("synthetic") / "corpus"
    make_corpus(folder, seed=1, num_turns=request.module.NUM_TURNS, progress=False)
    return folder


@pytest.fixture(scope="module")
def features(tmp_path_factory):
    """One feature folder for all the runs of a test file on the tones; those of other files would add stores to it."""
    return tmp_path_factory.mktemp("features")


def arguments(hparams, data_folder, features, output, **overrides):
    """A recipe's command line. A data folder with a `labels.csv` is that table's."""
    table = Path(data_folder) / "labels.csv"
    options = {
        **TINY,
        "data_folder": table if table.exists() else data_folder,
        "feature_folder": features,
        "output_folder": output,
        **overrides,
    }
    words = [f"--{key}" if value is None else f"--{key}={value}" for key, value in options.items()]
    return [str(ROOT / "hparams" / hparams), *words, "--device=cpu", "--noprogressbar"]


@pytest.fixture(scope="session")
def command_line():
    """The function that makes a recipe's command line."""
    return arguments


@pytest.fixture()
def train(tones, features, monkeypatch, capsys):
    """Runs the speech recipe in this process: (output folder, overrides) -> (exit code, stdout, stderr)."""
    from emorec_lobes.brains.ser import SERBrain
    from emorec_lobes.experiments.run import main
    from emorec_lobes.experiments.speech import SpeechTask

    monkeypatch.setattr(sys, "argv", ["train_ser.py"])

    def run(output, hparams="ser_mel.yaml", data_folder=tones, brain=SERBrain, **overrides):
        code = main(brain, SpeechTask, arguments(hparams, data_folder, features, output, **overrides))
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run
