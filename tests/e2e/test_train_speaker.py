"""The speaker recipe from a folder of speakers to a front end, on voices that any network can tell apart."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file

from emorec_lobes.brains.speaker import SpeakerBrain
from emorec_lobes.models.resnet import ResNet

from .conftest import assert_a_killed_run_ends_as_a_whole_one

HPARAMS = Path(__file__).parents[2] / "hparams/speaker_resnet18.yaml"
TINY = {
    "corpus": "tones",
    "channels": "[4, 6, 8]",
    "blocks_per_stage": 1,
    "first_kernel_size": 3,
    "crop_frames": 40,
    "augment": "[]",
    "dev_share": 0.3,
    "number_of_updates": 12,
    "updates_per_validation": 4,
    "batch_size": 8,
    "lr": 0.01,
    "num_workers": 0,
}


def voice(formant_hz, take, duration_s=1.0):
    """Beating noise around a frequency: a speaker is where and how fast, an utterance is which noise."""
    generator = np.random.default_rng([formant_hz, take])
    num_samples = int(16_000 * duration_s)
    spectrum = np.fft.rfft(generator.normal(size=num_samples))
    hertz = np.fft.rfftfreq(num_samples, 1 / 16_000)
    # What stays when the mean is taken out.
    beat = 1 + 0.9 * np.sin(2 * np.pi * formant_hz / 200 * np.arange(num_samples) / 16_000)
    spectrum *= np.exp(-(((hertz - formant_hz) / 200) ** 2)) + 0.01
    wave = np.fft.irfft(spectrum, num_samples) * beat
    return (0.1 * wave / wave.std() + 0.001 * generator.normal(size=num_samples)).astype(np.float32)


def write_speakers(folder, formants_hz, num_takes):
    for formant_hz in formants_hz:
        for take in range(num_takes):
            path = folder / f"f{formant_hz}" / "chapter" / f"{take}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, voice(formant_hz, take), 16_000)
    return folder


@pytest.fixture(scope="session")
def speakers(tmp_path_factory):
    """Four speakers with four utterances each."""
    return write_speakers(tmp_path_factory.mktemp("speakers"), (400, 1_100, 2_300, 4_500), 4)


@pytest.fixture(scope="session")
def unseen(tmp_path_factory):
    """Three others with three each."""
    return write_speakers(tmp_path_factory.mktemp("unseen"), (700, 1_700, 3_300), 3)


@pytest.fixture()
def train(speakers, monkeypatch, capsys):
    """Runs the recipe in this process: (output folder, overrides) -> (exit code, stdout, stderr)."""
    from emorec_lobes.experiments.speaker import main

    monkeypatch.setattr(sys, "argv", ["train_speaker.py"])

    def run(output, brain=SpeakerBrain, data_folder=speakers, **overrides):
        options = {**TINY, "data_folder": data_folder, "output_folder": output, **overrides}
        words = [f"--{key}" if value is None else f"--{key}={value}" for key, value in options.items()]
        code = main([str(HPARAMS), *words, "--device=cpu", "--noprogressbar"], brain)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.mark.parametrize("loss", ["aam", "softmax"])
def test_a_run_learns_the_voices_and_leaves_everything_it_promises(train, unseen, tmp_path, loss):
    options = {"number_of_updates": 60, "updates_per_validation": 20, "loss": loss, "trials_folder": unseen}
    code, out, err = train(tmp_path / "run", **options)
    assert code == 0 and err.startswith("4 speakers (train 12, dev 4 utterances)")
    record = json.loads((tmp_path / "run/results.json").read_text())
    dev = record["identification"]["dev"]
    assert dev == {"accuracy": 1.0, "num_utterances": 4, "chance": 0.25} and "test" not in record["identification"]
    found = record["verification"]
    assert (found["num_trials"], found["num_targets"], found["num_speakers"]) == (36, 9, 3)
    assert list(found["systems"]) == ["trained", "untrained", "mean filter bank"]
    assert found["systems"]["trained"]["eer"] <= found["systems"]["untrained"]["eer"]
    assert out.strip() == (tmp_path / "run/results.md").read_text().strip()
    names = "hyperparams.yaml env.log train_log.txt history.json figures/training_curves.png figures/detection.png"
    for name in names.split():
        assert (tmp_path / "run" / name).stat().st_size > 0, name


def test_the_front_end_loads_strictly_into_what_its_description_says(train, tmp_path):
    assert train(tmp_path / "run")[0] == 0
    about = json.loads((tmp_path / "run/front_end.json").read_text())
    assert about["class"] == "emorec_lobes.models.resnet.ResNet"
    sizes = {key: about[key] for key in ("channels", "first_kernel_size", "blocks_per_stage", "masked_norm")}
    resnet = ResNet(**sizes)
    weights = load_file(tmp_path / "run/front_end.safetensors")
    resnet.load_state_dict(weights, strict=True)
    assert about["widths"] == resnet.widths
    given = {key: about[key] for key in ("kind", "num_mels", "window_ms", "hop_ms", "subtract_mean", "vad")}
    assert given == {
        "kind": "fbank", "num_mels": 40, "window_ms": 40.0, "hop_ms": 10.0, "subtract_mean": True, "vad": "none"
    }  # fmt: skip
    saved = torch.load(next((tmp_path / "run/save").rglob("model.ckpt")), weights_only=True)
    assert all(torch.equal(saved[f"front_end.{name}"], value) for name, value in weights.items())


@pytest.mark.parametrize(
    ("dies_at", "changes"),
    [(3, {}), (8, {"augment": "[speed, noise]"}), (9, {"num_workers": 1, "augment": "[noise]", "loss": "softmax"})],
)
def test_a_run_that_is_killed_and_started_again_ends_as_if_nothing_had_happened(
    train, unseen, tmp_path, dies_at, changes
):
    options = {"trials_folder": unseen, **changes}
    names = ("results.json", "history.json", "front_end.safetensors", "train_log.txt")
    assert_a_killed_run_ends_as_a_whole_one(train, SpeakerBrain, tmp_path, dies_at, names, inside="", **options)


def test_a_finished_run_is_not_trained_again(train, tmp_path):
    first = train(tmp_path / "run")

    class Idle(SpeakerBrain):
        def fit_batch(self, batch):
            raise AssertionError("a finished run must not train")

    code, out, _ = train(tmp_path / "run", brain=Idle)
    assert code == 0 and out == first[1]


def test_a_split_list_names_a_test_too_and_trials_are_of_speakers_who_were_not_trained_on(train, speakers, tmp_path):
    kinds = {"0.wav": 1, "1.wav": 1, "2.wav": 2, "3.wav": 3}
    names = sorted(path.relative_to(speakers).as_posix() for path in speakers.rglob("*.wav"))
    (tmp_path / "iden.txt").write_text("".join(f"{kinds[name.rpartition('/')[2]]} {name}\n" for name in names))
    (tmp_path / "veri.txt").write_text(f"1 {names[0]} {names[1]}\n0 {names[0]} {names[4]}\n")
    options = {"split_list": tmp_path / "iden.txt", "trials": tmp_path / "veri.txt", "number_of_updates": 4}
    code, _, err = train(tmp_path / "run", **options)
    assert code == 0 and err.startswith("2 speakers (train 4, dev 2, test 2 utterances)")
    stamp = json.loads((tmp_path / "run/results.json").read_text())["stamp"]
    assert (stamp["trial_speakers_left_out"], stamp["trial_speakers_trained_on"]) == (2, 0)
    code, _, err = train(tmp_path / "all", leave_out_trial_speakers=False, **options)
    assert code == 0 and err.startswith("4 speakers (train 8, dev 4, test 4 utterances)")
    record = json.loads((tmp_path / "all/results.json").read_text())
    assert record["identification"]["test"]["num_utterances"] == 4
    assert record["stamp"]["trial_speakers_trained_on"] == 2


def test_one_long_utterance_a_speaker_is_held_out_by_time(train, tmp_path):
    for formant_hz in (400, 1_500, 4_000):
        path = tmp_path / "long" / f"{formant_hz}-1.wav"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, voice(formant_hz, 0, duration_s=3.0), 16_000)
    options = {"speaker_from": "file_name", "number_of_updates": 30, "updates_per_validation": 10}
    code, _, err = train(tmp_path / "run", data_folder=tmp_path / "long", **options)
    assert code == 0 and err.startswith("3 speakers (train 3, dev 3 utterances)")
    assert json.loads((tmp_path / "run/results.json").read_text())["identification"]["dev"]["accuracy"] == 1.0


def test_half_precision_and_reverberation_train_too(train, tmp_path):
    impulse = np.zeros(800, dtype=np.float32)
    impulse[[0, 300]] = 1, 0.5
    soundfile.write(tmp_path / "room.wav", impulse, 16_000)
    (tmp_path / "rooms.csv").write_text(f"ID,duration,wav,wav_format,wav_opts\nroom,0.05,{tmp_path}/room.wav,wav,\n")
    options = {"augment": "[reverb, speed]", "reverb_csv": tmp_path / "rooms.csv", "number_of_updates": 4}
    assert train(tmp_path / "run", precision="bf16", eval_precision="bf16", **options)[0] == 0


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"loss": "triplet"}, ["`loss` must be one of aam, softmax"]),
        ({"pooling": "max"}, ["`pooling` must be one of"]),
        ({"augment": "[echo]"}, ["`augment` must be one of speed, noise, reverb"]),
        ({"augment": "[reverb]"}, ["--reverb_csv"]),
        ({"noise_csv": "nowhere.csv"}, ["`noise_csv`", "nowhere.csv does not exist"]),
        ({"noise_csv": "[1]"}, ["`noise_csv` must be text"]),
        ({"noise_csv": __file__}, ["must have the columns ID, duration and wav, but lacks ID"]),
        ({"front_end": 3}, ["`front_end` must be arguments of what it builds"]),
        ({"number_of_updates": "null"}, ["`number_of_updates` must be a whole number"]),
        ({"channels": "[4, -6, 8]"}, ["`channels` must be 1 or more"]),
        ({"speaker_from": "file"}, ["`speaker_from` must be one of folder, file_name"]),
        ({"dev_share": 2.0}, ["`dev_share` must be between 0 and 1"]),
        ({"split_list": "nowhere.txt"}, ["nowhere.txt", "does not exist"]),
        ({"trials": "a.txt", "trials_folder": "b"}, ["`trials` and `trials_folder` are both given"]),
        ({"trials_folder": "nowhere"}, ["nowhere must have one subfolder a speaker"]),
        ({"data_folder": "nowhere"}, ["nowhere must have one subfolder a speaker"]),
        ({"validation_score": "uar"}, ["`validation_score` must be one of accuracy"]),
        ({"batch_size": 1}, ["`batch_size` must be at least 2"]),
        ({"marginn": 0.1}, ["has no key `marginn`", "--margin"]),
        ({"debug": None}, ["`--debug`"]),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(train, tmp_path, changes, parts):
    code, out, err = train(tmp_path / "run", **changes)
    assert code == 2 and out == ""
    assert err.count("\n") == 1 and err.startswith("train_speaker.py: ")
    for part in parts:
        assert part in err
    mended = {"number_of_updates": 2, "updates_per_validation": 2}
    assert train(tmp_path / "run", **mended)[0] == 0, "what was refused must not stand in the way"


def test_going_on_with_other_speakers_or_settings_is_refused(train, unseen, tmp_path):
    assert train(tmp_path / "run")[0] == 0
    code, _, err = train(tmp_path / "run", data_folder=unseen)
    assert code == 2 and "was begun with other values of data" in err
    code, _, err = train(tmp_path / "run", margin=0.3)
    assert code == 2 and "margin was 0.2, is 0.3" in err
