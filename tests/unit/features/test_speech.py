import json
import shutil
import socket
import threading
import time

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from emorec_lobes.errors import ConfigError, UnavailableError
from emorec_lobes.features import huggingface_folder
from emorec_lobes.features.huggingface import padding_samples
from emorec_lobes.features.mel import MelSpectrogram
from emorec_lobes.features.resemblyzer import ResemblyzerEncoder, power_mels, raise_level
from emorec_lobes.features.speech import MelEncoder, layers_header, load_encoder
from emorec_lobes.units import num_frames

DIM = 16
NUM_LAYERS = {"wav2vec2": 4, "wav2vec2-base": 4, "hubert": 4, "wavlm": 4, "data2vec-audio": 4, "whisper": 3}
WAVE_FAMILIES = [name for name in NUM_LAYERS if name != "whisper"]
LENGTHS = [400, 479, 480, 719, 720, 799, 800, 6_399, 6_400, 6_401, 16_000]


def noise(num_samples, seed=0, gain=0.1):
    return torch.randn(num_samples, generator=torch.Generator().manual_seed(seed)) * gain


@pytest.fixture()
def encoder_of(tiny_models):
    def load(family, **options):
        return load_encoder(str(tiny_models(family)[1]), NUM_LAYERS[family], DIM, **options)

    return load


@pytest.fixture()
def copy_of(tiny_models, tmp_path):
    """A model folder that a test may damage."""

    def copy(family="wav2vec2"):
        return shutil.copytree(tiny_models(family)[1], tmp_path / "model")

    return copy


def one_line(caught):
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ------------------------------------------------------------------------------------------ frames


@pytest.mark.parametrize("family", NUM_LAYERS)
def test_every_family_gives_all_layers_on_the_common_grid(encoder_of, family):
    encoder = encoder_of(family)

    for num_samples in [400, 6_401] if family == "whisper" else LENGTHS:
        layers = encoder.layers(noise(num_samples))

        assert layers.shape == (num_frames(num_samples), NUM_LAYERS[family], DIM)
        assert layers.dtype == torch.float32
        assert not layers.requires_grad
    assert (encoder.num_layers, encoder.dim, encoder.frame_shift_s) == (NUM_LAYERS[family], DIM, 0.02)


@pytest.mark.parametrize("padding", ["centred", "authors"])
def test_either_padding_gives_the_mel_spectrograms_frames_at_every_length(padding):
    """The convolutions' arithmetic, for every remainder modulo the hop."""
    for num_samples in range(400, 400 + 3 * 320):
        left = num_samples + sum(padding_samples(num_samples, padding))
        for kernel, stride in zip((10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2), strict=True):
            left = (left - kernel) // stride + 1
        assert left == num_frames(num_samples)


def test_the_authors_padding_is_theirs():
    assert [padding_samples(number, "authors")[0] for number in (320, 399, 400, 479, 480, 639)] == [
        319, 319, 160, 160, 160, 160,
    ]  # fmt: skip


def test_the_paddings_give_different_values(encoder_of):
    wave = noise(6_400)

    centred, authors = (encoder_of("wav2vec2", padding=name).layers(wave) for name in ("centred", "authors"))

    assert (centred - authors).abs().max() > 1e-3


# ------------------------------------------------------------------------------------------ values


def standardised(wave):
    """What the models' own processor does, by numpy."""
    values = wave.double().numpy()
    return torch.from_numpy((values - values.mean()) / np.sqrt(values.var() + 1e-7)).float()


def layers_by_hand(model, signal):
    """The residual stream of a model with stable layer norm, layer by layer: (S,) -> (T, L, D)."""
    with torch.no_grad():
        features = model.feature_extractor(signal.unsqueeze(0)).transpose(1, 2)
        hidden, _ = model.feature_projection(features)
        hidden = hidden + model.encoder.pos_conv_embed(hidden)
        states = [hidden]
        for layer in model.encoder.layers:
            states.append(layer(states[-1]))
        states[-1] = model.encoder.layer_norm(states[-1])
    return torch.stack([state[0] for state in states], dim=1)


def test_the_layers_are_the_residual_stream_and_the_last_is_layer_normed(tiny_models, encoder_of):
    model, _ = tiny_models("wav2vec2")
    wave = noise(5_000)
    padded = torch.cat([torch.zeros(200), wave, torch.zeros(200)])

    expected = layers_by_hand(model, standardised(padded))

    assert torch.allclose(encoder_of("wav2vec2").layers(wave), expected, atol=1e-5)


@pytest.mark.parametrize("family", ["hubert", "wavlm", "data2vec-audio", "wav2vec2-base"])
def test_first_and_last_layer_are_the_models_own(tiny_models, encoder_of, family):
    model, _ = tiny_models(family)
    wave = noise(5_000)
    signal = standardised(torch.cat([torch.zeros(200), wave, torch.zeros(200)])).unsqueeze(0)
    with torch.no_grad():
        output = model(signal, output_hidden_states=True)

    layers = encoder_of(family).layers(wave)

    assert torch.allclose(layers[:, 0], output.hidden_states[0][0], atol=1e-5)
    assert torch.allclose(layers[:, 2], output.hidden_states[2][0], atol=1e-5)
    assert torch.allclose(layers[:, -1], output.last_hidden_state[0], atol=1e-5)


def test_the_input_is_normalised_as_the_models_processor_does_it(tiny_models, encoder_of):
    from transformers import Wav2Vec2FeatureExtractor

    wave = noise(5_000, gain=0.01) + 0.3
    padded = torch.cat([torch.zeros(200), wave, torch.zeros(200)])
    processed = Wav2Vec2FeatureExtractor()(padded.numpy(), sampling_rate=16_000, return_tensors="pt").input_values[0]

    expected = layers_by_hand(tiny_models("wav2vec2")[0], processed)

    assert torch.allclose(encoder_of("wav2vec2").layers(wave), expected, atol=1e-4)


def test_the_input_is_left_alone_where_the_processor_says_so(tiny_models, copy_of):
    folder = copy_of()
    (folder / "preprocessor_config.json").write_text(json.dumps({"do_normalize": False}))
    wave = noise(5_000)
    padded = torch.cat([torch.zeros(200), wave, torch.zeros(200)])

    layers = load_encoder(str(folder), 4, DIM).layers(wave)

    assert torch.allclose(layers, layers_by_hand(tiny_models("wav2vec2")[0], padded), atol=1e-5)


def test_loudness_does_not_matter_to_a_normalising_encoder(encoder_of):
    encoder = encoder_of("wav2vec2")

    assert torch.allclose(encoder.layers(noise(5_000)), encoder.layers(noise(5_000) * 3), atol=1e-3)


def test_whisper_equals_its_own_encoder_on_its_own_features(tiny_models, encoder_of):
    from transformers import WhisperFeatureExtractor

    model, _ = tiny_models("whisper")
    wave = noise(20_000)
    features = WhisperFeatureExtractor()(wave.numpy(), sampling_rate=16_000, return_tensors="pt").input_features
    with torch.no_grad():
        output = model.encoder(features, output_hidden_states=True)

    layers = encoder_of("whisper").layers(wave)

    for index in range(2):
        assert torch.allclose(layers[:, index], output.hidden_states[index][0, :63], atol=1e-5)
    assert torch.allclose(layers[:, 2], output.last_hidden_state[0, :63], atol=1e-5)


@pytest.mark.parametrize("num_samples", [480_000, 500_000])
def test_whisper_sees_long_audio_in_windows_of_30_s(encoder_of, num_samples):
    encoder = encoder_of("whisper")
    wave = noise(num_samples)

    layers = encoder.layers(wave)

    assert len(layers) == num_frames(num_samples) > 1_500
    assert torch.equal(layers[:1_500], encoder.layers(wave[:480_000])[:1_500])
    if num_samples > 480_000:
        second = encoder.layers(wave[480_000:])
        assert torch.equal(layers[1_500:], second[: len(layers) - 1_500])


@pytest.mark.parametrize("family", NUM_LAYERS)
def test_digital_silence_has_finite_layers(encoder_of, family):
    assert torch.isfinite(encoder_of(family).layers(torch.zeros(5_000))).all()


@pytest.mark.parametrize("family", ["wav2vec2", "wav2vec2-base"])
def test_an_utterance_gives_the_same_whatever_went_before(encoder_of, family):
    encoder = encoder_of(family)
    first = encoder.layers(noise(5_000))
    encoder.layers(noise(9_000, seed=1))

    assert torch.equal(encoder.layers(noise(5_000)), first)


def test_an_adapter_behind_the_model_is_left_out(tmp_path, tiny_models):
    from transformers import Wav2Vec2Config, Wav2Vec2Model

    config = Wav2Vec2Config(**{**tiny_models("wav2vec2")[0].config.to_diff_dict(), "add_adapter": True})
    Wav2Vec2Model(config).save_pretrained(tmp_path / "adapted")

    assert load_encoder(str(tmp_path / "adapted"), 4, DIM).layers(noise(5_000)).shape == (16, 4, DIM)


# ------------------------------------------------------------------------------------------ loading


def test_a_checkpoint_with_a_head_loads_as_its_encoder(tmp_path, tiny_models):
    """The published checkpoints are of pre-training and CTC classes."""
    from transformers import Wav2Vec2ForCTC

    model, folder = tiny_models("wav2vec2")
    with_head = Wav2Vec2ForCTC(model.config)
    with_head.wav2vec2.load_state_dict(model.state_dict())
    with_head.save_pretrained(tmp_path / "ctc")

    wave = noise(5_000)
    expected = load_encoder(str(folder), 4, DIM).layers(wave)
    assert torch.equal(load_encoder(str(tmp_path / "ctc"), 4, DIM).layers(wave), expected)


def test_pickled_weights_load_too_but_only_tensors(copy_of, tiny_models):
    folder = copy_of()
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin")
    wave = noise(5_000)

    expected = load_encoder(str(tiny_models("wav2vec2")[1]), 4, DIM).layers(wave)
    assert torch.equal(load_encoder(str(folder), 4, DIM).layers(wave), expected)

    torch.save({"masked_spec_embed": Payload()}, folder / "pytorch_model.bin")
    with pytest.raises(UnavailableError, match="cannot be loaded"):
        load_encoder(str(folder), 4, DIM)
    assert not Payload.was_run


class Payload:
    """Runs when it is unpickled."""

    was_run = False

    def __reduce__(self):
        return setattr, (Payload, "was_run", True)


def test_half_precision_weights_run_in_full_precision(tmp_path, tiny_models):
    from transformers import Wav2Vec2Model

    Wav2Vec2Model(tiny_models("wav2vec2")[0].config).half().save_pretrained(tmp_path / "half")

    layers = load_encoder(str(tmp_path / "half"), 4, DIM).layers(noise(5_000))

    assert layers.dtype == torch.float32
    assert not torch.equal(layers, layers.half().float())


@pytest.mark.parametrize(
    ("encoder", "right"),
    [("resemblyzer", (3, 256)), ("mel", (1, 80)), ("wav2vec2", (4, DIM)), ("whisper", (3, DIM))],
)
@pytest.mark.parametrize("load", [load_encoder, layers_header])
def test_wrong_sizes_name_all_three_keys_and_the_right_values(tiny_models, encoder, right, load):
    name = encoder if encoder in ("resemblyzer", "mel") else str(tiny_models(encoder)[1])

    for wrong in ((25, right[1]), (right[0], 1024)):
        with pytest.raises(ConfigError) as caught:
            load(name, *wrong)
        message = one_line(caught)
        assert f"encoder: {name}, num_layers: {right[0]}, encoder_dim: {right[1]}" in message
        assert f"num_layers {wrong[0]}" in message
        assert f"encoder_dim {wrong[1]}" in message


def _no_config(folder):
    (folder / "config.json").unlink()


def _no_weights(folder):
    (folder / "model.safetensors").unlink()


def _cut_weights(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def _not_weights(folder):
    (folder / "model.safetensors").write_text("hello")


def _a_tensor_is_missing(folder):
    weights = load_file(folder / "model.safetensors")
    del weights["encoder.layers.1.attention.k_proj.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def _other_names(folder):
    weights = load_file(folder / "model.safetensors")
    save_file({f"x.{key}": value for key, value in weights.items()}, folder / "model.safetensors", {"format": "pt"})


def _a_tensor_of_another_shape(folder):
    weights = load_file(folder / "model.safetensors")
    weights["encoder.layer_norm.weight"] = torch.ones(DIM + 1)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def _a_part_is_missing(folder):
    (folder / "model.safetensors").unlink()
    index = {"weight_map": {"encoder.layer_norm.weight": "model-00001-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


@pytest.mark.parametrize(
    "damage",
    [
        _no_config,
        _no_weights,
        _cut_weights,
        _not_weights,
        _a_tensor_is_missing,
        _other_names,
        _a_tensor_of_another_shape,
        _a_part_is_missing,
    ],
)
def test_an_incomplete_folder_is_one_line_and_no_weight_is_left_random(copy_of, damage):
    folder = copy_of()
    damage(folder)

    with pytest.raises(UnavailableError) as caught:
        load_encoder(str(folder), 4, DIM)

    assert str(folder) in one_line(caught)


@pytest.mark.parametrize("damage", [_no_config, _no_weights, _a_part_is_missing])
def test_a_header_of_a_folder_that_lacks_a_file_is_one_line(copy_of, damage):
    folder = copy_of()
    damage(folder)

    with pytest.raises(UnavailableError) as caught:
        layers_header(str(folder), 4, DIM)

    assert str(folder) in one_line(caught)


def test_the_embedding_of_masked_frames_may_be_missing_for_nothing_is_masked(copy_of, tiny_models):
    folder = copy_of()
    weights = load_file(folder / "model.safetensors")
    del weights["masked_spec_embed"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    wave = noise(5_000)

    expected = load_encoder(str(tiny_models("wav2vec2")[1]), 4, DIM).layers(wave)
    assert torch.equal(load_encoder(str(folder), 4, DIM).layers(wave), expected)


def test_a_missing_whisper_encoder_weight_is_noticed_and_a_missing_head_is_not(copy_of):
    folder = copy_of("whisper")
    weights = load_file(folder / "model.safetensors")
    kept = {key: value for key, value in weights.items() if not key.startswith("decoder.")}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    assert load_encoder(str(folder), 3, DIM).layers(noise(5_000)).shape == (16, 3, DIM)

    del kept["encoder.layers.0.fc1.weight"]
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UnavailableError, match=r"encoder\.layers\.0\.fc1\.weight"):
        load_encoder(str(folder), 3, DIM)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ("{not json", "config.json"),
        (json.dumps({"model_type": "bert"}), "'bert'"),
        (json.dumps({"model_type": "nobody-knows"}), "config.json"),
        (json.dumps({"model_type": "wav2vec2", "conv_stride": [5, 2, 2, 2, 2, 2, 4]}), "320 samples"),
    ],
)
def test_a_model_that_is_no_speech_encoder_on_our_grid_is_refused(copy_of, config, expected):
    folder = copy_of()
    (folder / "config.json").write_text(config)

    with pytest.raises(ConfigError) as caught:
        load_encoder(str(folder), 4, DIM)

    assert expected in one_line(caught)


def test_code_that_comes_with_a_model_is_not_run(copy_of, tmp_path):
    folder = copy_of()
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "mine", "auto_map": {"AutoConfig": "code.Mine", "AutoModel": "code.Mine"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "code.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Mine: pass\n")

    with pytest.raises(ConfigError):
        load_encoder(str(folder), 4, DIM)

    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["/nowhere/model", "resemblizer", "./model", "a/b/c"])
def test_a_name_that_is_nothing_is_refused_with_what_would_do(name):
    with pytest.raises(ConfigError) as caught:
        load_encoder(name, 3, 256)

    message = one_line(caught)
    assert repr(name) in message
    assert "resemblyzer" in message


def test_an_unknown_padding_or_device_is_one_line(tiny_models):
    with pytest.raises(ConfigError, match="`padding` must be one of centred, authors, but is 'center'"):
        load_encoder("mel", 1, 80, padding="center")
    for device in ("gpu", "cuda:99"):
        with pytest.raises(UnavailableError, match=f"`device` {device} cannot be used") as caught:
            load_encoder("mel", 1, 80, device=device)
        one_line(caught)


def test_loading_prints_nothing(capfd, encoder_of):
    encoder_of("wav2vec2").layers(noise(400))

    assert capfd.readouterr() == ("", "")


# ------------------------------------------------------------------------------------------ the hub


HUB_ID = "facebook/wav2vec2-large-lv60"


def assert_says_what_to_do(message):
    assert HUB_ID in message
    assert f"hf download {HUB_ID}" in message
    assert "--encoder resemblyzer --num_layers 3 --encoder_dim 256" in message
    assert "\n" not in message


@pytest.fixture()
def hub(monkeypatch, tmp_path):
    """A hub with an empty cache, at an address of the test's choice."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)

    def at(endpoint):
        template = f"{endpoint}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(constants, "ENDPOINT", endpoint)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)

    at("http://127.0.0.1:1")
    return at


def test_a_hub_that_refuses_is_one_line_that_says_what_to_do(hub):
    with pytest.raises(UnavailableError) as caught:
        load_encoder(HUB_ID, 25, 1024)

    assert_says_what_to_do(str(caught.value))


def test_offline_mode_asks_nobody(hub, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)

    with pytest.raises(UnavailableError) as caught:
        load_encoder(HUB_ID, 25, 1024)

    assert_says_what_to_do(str(caught.value))


def test_a_network_that_swallows_requests_does_not_hang(hub, monkeypatch):
    monkeypatch.setattr(huggingface_folder, "_HUB_ANSWER_WITHIN_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as server:  # takes connections and never answers
        hub(f"http://127.0.0.1:{server.getsockname()[1]}")
        started = time.monotonic()
        with pytest.raises(UnavailableError) as caught:
            load_encoder(HUB_ID, 25, 1024)

    assert_says_what_to_do(str(caught.value))
    assert time.monotonic() - started < 20


def test_a_cached_model_loads_without_a_network(hub, tmp_path, tiny_models):
    _, folder = tiny_models("wav2vec2")
    repository = tmp_path / "cache" / "models--owner--tiny"
    shutil.copytree(folder, repository / "snapshots" / ("a" * 40))
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("a" * 40)
    wave = noise(5_000)

    layers = load_encoder("owner/tiny", 4, DIM).layers(wave)

    assert torch.equal(layers, load_encoder(str(folder), 4, DIM).layers(wave))


def test_half_a_cached_model_counts_as_none(hub, tmp_path, tiny_models):
    _, folder = tiny_models("wav2vec2")
    snapshot = tmp_path / "cache" / "models--owner--tiny" / "snapshots" / ("a" * 40)
    shutil.copytree(folder, snapshot)
    (snapshot / "model.safetensors").unlink()
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text("a" * 40)

    with pytest.raises(UnavailableError, match="hf download owner/tiny"):
        load_encoder("owner/tiny", 4, DIM)


# ------------------------------------------------------------------------------------------ identity


def test_a_headers_identity_is_the_encoders_own(tiny_models, encoder_of):
    assert layers_header("resemblyzer", 3, 256).identity == ResemblyzerEncoder().identity
    assert layers_header("mel", 1, 80).identity == MelEncoder().identity
    folder = str(tiny_models("wav2vec2")[1])
    assert layers_header(folder, 4, DIM).identity == encoder_of("wav2vec2").identity


def test_a_model_is_the_same_wherever_its_folder_lies(tiny_models, copy_of):
    assert layers_header(str(copy_of()), 4, DIM) == layers_header(str(tiny_models("wav2vec2")[1]), 4, DIM)


def test_other_weights_padding_or_normalisation_make_another_identity(copy_of):
    folder = copy_of()
    before = layers_header(str(folder), 4, DIM)
    others = [layers_header(str(folder), 4, DIM, "authors")]
    (folder / "preprocessor_config.json").write_text(json.dumps({"do_normalize": False}))
    others.append(layers_header(str(folder), 4, DIM))
    weights = load_file(folder / "model.safetensors")
    weights["encoder.layer_norm.bias"] += 1
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    others.append(layers_header(str(folder), 4, DIM))

    assert len({item.fingerprint for item in [before, *others]}) == 4


def test_a_hub_models_header_needs_neither_network_nor_model(hub):
    header = layers_header(HUB_ID, 25, 1024)

    assert header.shape == (25, 1024)
    assert header.folder_name.startswith("layers-facebook--wav2vec2-large-lv60-")


# ------------------------------------------------------------------------------------------ resemblyzer, mel


@pytest.fixture(scope="module")
def resemblyzer_encoder():
    return ResemblyzerEncoder()


@pytest.fixture(scope="module")
def voice_encoder():
    import resemblyzer

    return resemblyzer.VoiceEncoder("cpu", verbose=False)


def test_its_mel_is_resemblyzers(resemblyzer_encoder):
    from resemblyzer.audio import wav_to_mel_spectrogram

    for num_samples in (400, 16_000, 20_123):
        wave = noise(num_samples)
        expected = wav_to_mel_spectrogram(wave.numpy())

        found = power_mels(wave).numpy()

        assert found.shape == expected.shape
        assert np.abs(found - expected).max() <= 1e-4 * expected.max()


def test_its_level_is_resemblyzers():
    from resemblyzer.audio import normalize_volume

    for gain in (1e-4, 0.01, 0.5):
        wave = noise(8_000, gain=gain)
        expected = normalize_volume(wave.numpy(), -30, increase_only=True)
        assert np.allclose(raise_level(wave), expected, rtol=1e-4)
    assert torch.equal(raise_level(torch.zeros(400)), torch.zeros(400))


def test_its_last_hidden_state_is_what_resemblyzer_embeds(resemblyzer_encoder, voice_encoder):
    """An odd number of 10 ms frames, so that the last one is kept."""
    from resemblyzer.audio import normalize_volume, wav_to_mel_spectrogram

    wave = noise(32_000, gain=0.01)
    mel = wav_to_mel_spectrogram(normalize_volume(wave.numpy(), -30, increase_only=True))
    assert len(mel) == 201
    with torch.no_grad():
        expected = voice_encoder(torch.from_numpy(mel).unsqueeze(0))[0]
        last = resemblyzer_encoder.layers(wave)[-1, -1]
        found = voice_encoder.relu(voice_encoder.linear(last))

    assert torch.allclose(found / found.norm(), expected, atol=1e-5)


def test_every_layer_is_that_of_the_stacked_network_at_every_second_frame(resemblyzer_encoder, voice_encoder):
    wave = noise(16_000)
    hidden = power_mels(raise_level(wave)).unsqueeze(0)

    layers = resemblyzer_encoder.layers(wave)

    with torch.no_grad():
        top, _ = voice_encoder.lstm(hidden)
        for index in range(3):
            hidden, _ = _single(voice_encoder.lstm, index)(hidden)
            assert torch.allclose(layers[:, index], hidden[0, ::2], atol=1e-5)
    assert torch.allclose(layers[:, 2], top[0, ::2], atol=1e-5)
    assert layers.abs().max() <= 1


def _single(lstm, index):
    """One layer of a stacked LSTM."""
    suffix = f"_l{index}"
    weights = {key.replace(suffix, "_l0"): value for key, value in lstm.state_dict().items() if key.endswith(suffix)}
    single = torch.nn.LSTM(weights["weight_ih_l0"].shape[1], 256, batch_first=True)
    single.load_state_dict(weights)
    return single


@pytest.mark.parametrize("name", ["resemblyzer", "mel"])
def test_the_offline_encoders_stand_on_the_same_grid(name):
    encoder = load_encoder(name, *{"resemblyzer": (3, 256), "mel": (1, 80)}[name])

    for num_samples in LENGTHS:
        assert encoder.layers(noise(num_samples)).shape == (num_frames(num_samples), encoder.num_layers, encoder.dim)


def test_silences_are_not_cut():
    encoder = ResemblyzerEncoder()
    wave = torch.cat([noise(8_000), torch.zeros(32_000), noise(8_000)])

    assert len(encoder.layers(wave)) == num_frames(48_000)


def test_the_mel_encoder_is_the_mel_spectrogram():
    wave = noise(8_000)

    assert torch.equal(MelEncoder().layers(wave)[:, 0], MelSpectrogram()(wave))


def test_resemblyzer_is_not_imported_for_its_layers():
    import subprocess
    import sys

    script = (
        "import sys, torch; from emorec_lobes.features.speech import load_encoder; "
        "load_encoder('resemblyzer', 3, 256).layers(torch.zeros(400)); "
        "sys.exit(bool({'resemblyzer', 'librosa', 'webrtcvad', 'transformers'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_damaged_resemblyzer_weights_are_one_line(monkeypatch, tmp_path):
    path = tmp_path / "pretrained.pt"
    torch.save({"model_state": {"lstm.weight_ih_l0": torch.zeros(3)}}, path)
    monkeypatch.setattr("emorec_lobes.features.resemblyzer.weights_file", lambda: path)

    with pytest.raises(UnavailableError, match="does not hold the weights") as caught:
        ResemblyzerEncoder()
    one_line(caught)


def test_threads_get_the_same_layers(encoder_of):
    encoder = encoder_of("wav2vec2")
    waves = [noise(3_000 + 500 * index, seed=index) for index in range(6)]
    expected = [encoder.layers(wave) for wave in waves]
    found = [None] * len(waves)

    def run(index):
        found[index] = encoder.layers(waves[index])

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(waves))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))
