"""Small trained folds, as far as inference can tell: random weights, spread so that other audio has another answer."""

import io

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import save_file

from emorec_lobes.files import write_json
from emorec_lobes.inference.check import load_checked

_LABELS = "labels: [angry, neutral, happy, sad]\n"
_SPEECH = """
encoder: mel
num_layers: 1
encoder_dim: 80
encoder_padding: centred
normalise: none
enrolment: none
enrolment_utterances: 100
enrolment_options: {}
crop_frames: 96
keep_single_frame_tail: true
segment_weights: frames
model: !new:emorec_lobes.models.cross_representation.CrossRepresentation
  layer_mix: null
  encoder: !new:emorec_lobes.models.cross_representation.ContentEncoder
    {feature_dim: 80, speaker_dim: 256, conv_channels: 16, num_convs: 2, kernel_size: 5, bottleneck_dim: 4,
     num_lstm_layers: 1, frames_per_code: 48, masked_norm: true}
  classifier: !new:emorec_lobes.models.classifier.EmotionClassifier
    {code_dim: 16, hidden_dim: 16, num_classes: 4, dropout: 0.0, activation: null}
"""
_AD = """
features: fbank
num_mels: 40
window_ms: 40.0
hop_ms: 10.0
vad: energy
vad_options: {}
subtract_mean: true
normalise: none
crop_frames: 50
window_shift: 20
eval_windows: whole
model: !new:emorec_lobes.models.emotion_network.EmotionNetwork
  front_end: !new:emorec_lobes.models.front_end.DisentangledFrontEnd
    front_end: !new:emorec_lobes.models.vgg.VGG {channels: [4, 4, 4, 4, 8], pooled: [2, 3], masked_norm: true}
    positions: [conv5]
    make_disentangler: !name:emorec_lobes.models.attribute_disentanglement.AttributeDisentanglement
      {attention: tf, reduced_dim: 4, shared: false, activation: null, bias: true, epsilon: 0.00001,
       stop_gradient: false}
  pooling: mean_std
  pooling_dim: 8
  num_classes: 4
  num_speakers: 3
  shared_emotion_head: false
"""
_HPARAMS = {
    "speech": _SPEECH,
    "own_voice": _SPEECH.replace("enrolment: none", "enrolment: speaker"),
    "by_utterance": _SPEECH.replace("normalise: none", "normalise: utterance"),
    "by_speaker": _SPEECH.replace("normalise: none", "normalise: speaker"),
    "ad": _AD,
    "ad_by_utterance": _AD.replace("normalise: none", "normalise: utterance"),
    "ad_by_speaker": _AD.replace("normalise: none", "normalise: speaker"),
    "ad_windows": _AD.replace("eval_windows: whole", "eval_windows: overlapping"),
}


@pytest.fixture(scope="session")
def fold(tmp_path_factory):
    """Kind -> folder of a fold; made when first asked for."""
    made = {}

    def get(kind):
        if kind not in made:
            folder = made[kind] = tmp_path_factory.mktemp(kind)
            path = folder / "hyperparams.yaml"
            path.write_text(_LABELS + _HPARAMS[kind], encoding="utf-8")
            with torch.random.fork_rng():
                torch.manual_seed(1)
                model = load_checked(path, ["model"])["model"]
                for name, value in model.named_parameters():
                    if name.startswith(("classifier.layers.5", "heads.emotion")):
                        value.data *= 8
            save_file(
                {f"model.{key}": value for key, value in model.state_dict().items()}, folder / "model.safetensors"
            )
            write_json(folder / "results.json", {"stamp": {}})
        return made[kind]

    return get


def voice(duration_s, seed=0, sample_rate_hz=16_000):
    """A harmonic tone below 4 kHz whose loudness swings, in a little noise: every seed sounds different."""
    generator = np.random.default_rng(seed)
    times = np.arange(round(duration_s * sample_rate_hz)) / sample_rate_hz
    pitch_hz, beat_hz = generator.uniform(90, 300), generator.uniform(2, 8)
    tone = sum(np.sin(2 * np.pi * pitch_hz * harmonic * times) / harmonic for harmonic in range(1, 8))
    return (0.1 * tone * (1.1 + np.sin(2 * np.pi * beat_hz * times))).astype(np.float32)


@pytest.fixture(scope="session")
def say():
    """(duration_s, seed, sample_rate_hz) -> samples."""
    return voice


@pytest.fixture(scope="session")
def recordings(tmp_path_factory):
    """Nine wav files of random lengths from 0.3 to 6 s."""
    folder = tmp_path_factory.mktemp("recordings")
    durations = np.random.default_rng(3).uniform(0.3, 6, 9)
    for index, duration_s in enumerate(durations):
        soundfile.write(folder / f"{index}.wav", voice(duration_s, seed=index), 16_000)
    return sorted(folder.glob("*.wav"))


@pytest.fixture(scope="session")
def as_file():
    """(samples, sample_rate_hz, form) -> the content of an audio file."""

    def make(samples, sample_rate_hz=16_000, form="wav", subtype=None):
        stream = io.BytesIO()
        soundfile.write(stream, samples, sample_rate_hz, format=form, subtype=subtype)
        return stream.getvalue()

    return make
