import json
import pickle
from dataclasses import replace

import pytest
import soundfile
import torch

from emorec_lobes.errors import ConfigError, DataError
from emorec_lobes.features.audio import audio_hash, load_audio
from emorec_lobes.features.extract import extract
from emorec_lobes.features.fbank import FilterBank
from emorec_lobes.features.resemblyzer import power_mels, pretrained_lstms, raise_level
from emorec_lobes.features.spectrum import Spectrum
from emorec_lobes.features.spectrum_spec import SpectrumSpec

RESEMBLYZER = SpectrumSpec("resemblyzer", 40, 25.0, 10.0, vad="none", subtract_mean=False)


def noise(num_samples, seed=0, gain=0.1):
    return torch.randn(num_samples, generator=torch.Generator().manual_seed(seed)) * gain


def speech_like(num_samples, seed):
    """Noise whose second half is 60 dB weaker."""
    wave = noise(num_samples, seed, gain=0.01)  # below -30 dBFS, so that its level is raised
    wave[num_samples // 2 :] *= 1e-3
    return wave


def run(utterances, folder, root, spec, **options):
    return extract(utterances, folder, root, spec, progress=False, **options)["spectrum"]


# ------------------------------------------------------------------------------------------ on the fly


KINDS = [("fbank", 40, 40.0, 10.0), ("resemblyzer", 40, 25.0, 10.0)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind[0])
@pytest.mark.parametrize("vad", ["none", "energy"])
@pytest.mark.parametrize("subtract_mean", [True, False])
def test_a_batch_is_its_singles_whatever_lies_in_the_padding(kind, vad, subtract_mean):
    waves = [speech_like(count, seed=count) for count in (4_000, 7_777, 16_000)]
    batch = torch.full((3, 16_000), 0.7)
    for row, wave in zip(batch, waves, strict=True):
        row[: len(wave)] = wave
    spectrum = Spectrum(*kind, vad=vad, subtract_mean=subtract_mean)

    found, lens = spectrum(batch, torch.tensor([len(wave) / 16_000 for wave in waves]))

    assert lens.max() == 1
    for row, part, wave in zip(found, lens, waves, strict=True):
        alone = spectrum(wave.unsqueeze(0))[0][0]
        assert round(float(part * found.shape[1])) == len(alone)
        assert torch.allclose(row[: len(alone)], alone, atol=1e-5)
        assert not row[len(alone) :].any()


def test_the_frames_that_are_kept_are_moved_together_and_their_mean_is_zero():
    wave = speech_like(16_000, seed=0)
    options = {"context_frames": 0}
    every_frame = FilterBank()(wave.unsqueeze(0))[0]
    energy = every_frame[:, 40]
    kept = every_frame[energy > energy.mean() - 2.0]

    raw, _ = Spectrum(*KINDS[0], "energy", options, subtract_mean=False)(wave.unsqueeze(0))
    centred, _ = Spectrum(*KINDS[0], "energy", options, subtract_mean=True)(wave.unsqueeze(0))

    assert 0 < len(kept) < len(every_frame)
    assert torch.allclose(raw[0], kept, atol=1e-6)
    assert torch.allclose(centred[0], kept - kept.mean(dim=0), atol=1e-4)


def test_the_energy_of_resemblyzers_frames_tells_where_it_is_silent():
    wave = torch.cat([torch.zeros(8_000), noise(8_000), torch.zeros(8_000)])
    everything = power_mels(raise_level(wave))

    kept, _ = Spectrum(*KINDS[1], "energy", {"context_frames": 0}, False)(wave.unsqueeze(0))

    loud = everything.sum(dim=1) > 0  # frames whose window touches the noise
    assert torch.allclose(kept[0], everything[loud], atol=1e-6)


def test_an_error_on_the_fly_says_which_of_the_batch():
    batch = torch.stack([noise(8_000), torch.zeros(8_000)])
    spectrum = Spectrum(*KINDS[0], vad="energy")

    with pytest.raises(DataError, match="`vad` energy must keep a frame of wave 1 of the batch, but removes all 47"):
        spectrum(batch)
    with pytest.raises(DataError, match="wave 0 of the batch must hold at least one window, 640 samples"):
        spectrum(batch, torch.tensor([639 / 8_000, 1.0]))


# ------------------------------------------------------------------------------------------ stored


@pytest.mark.parametrize("workers", [0, 2])
def test_the_store_holds_what_the_module_gives(tmp_path, corpus, workers):
    utterances, folder = corpus(3)
    spec = SpectrumSpec(vad_options={"offset": 0.0, "context_frames": 1})

    store = run(utterances, folder, tmp_path / "f", spec, workers=workers)

    assert store.header.frame_shift_s is None and store.header.dtype == "float16"
    for index, utterance_id in enumerate(utterances):
        wave = load_audio(folder / f"{index}.wav")
        expected, _ = Spectrum(*KINDS[0], "energy", {"offset": 0.0, "context_frames": 1})(wave.unsqueeze(0))
        assert store.num_frames(utterance_id) < FilterBank().num_frames(len(wave))
        # Within one step of half precision: a worker's single thread may add up in another order.
        assert torch.allclose(store.read(utterance_id).float(), expected[0].half().float(), atol=4e-3)
        assert store.audio_hashes[utterance_id] == audio_hash(wave)


def test_resemblyzers_mels_are_stored_as_its_network_takes_them(tmp_path, corpus):
    utterances, folder = corpus(2)

    store = run(utterances, folder, tmp_path / "f", RESEMBLYZER)

    assert (store.header.shape, store.header.dtype) == ((40,), "float32")
    for index, utterance_id in enumerate(utterances):
        expected = power_mels(raise_level(load_audio(folder / f"{index}.wav")))
        assert torch.equal(store.read(utterance_id), expected)


def test_a_second_run_computes_nothing(tmp_path, corpus, monkeypatch, folder_contents):
    utterances, folder = corpus(2)
    run(utterances, folder, tmp_path / "f", SpectrumSpec())
    before = folder_contents(tmp_path / "f")
    monkeypatch.delattr(SpectrumSpec, "load")

    run(utterances, folder, tmp_path / "f", SpectrumSpec())

    assert folder_contents(tmp_path / "f") == before


OPTIONS = [
    {"num_mels": 30},
    {"window_ms": 25.0},
    {"hop_ms": 5.0},
    {"vad": "none"},
    {"vad": "silero"},
    {"vad_options": {"offset": -1.0}},
    {"vad_options": {"proportion": 0.5}},
    {"subtract_mean": False},
    {"kind": "resemblyzer", "window_ms": 25.0},
]


def test_every_option_that_changes_the_values_has_a_store_of_its_own():
    specs = [SpectrumSpec(), *(SpectrumSpec(**options) for options in OPTIONS)]

    assert len({spec.header().fingerprint for spec in specs}) == len(specs)
    assert all(json.loads(json.dumps(spec.header().identity)) == spec.header().identity for spec in specs)


def test_an_option_spelt_out_at_its_default_has_the_same_store():
    spelt_out = SpectrumSpec("fbank", 40, 40, 10, vad_options={"offset": -2, "floor": -12})

    assert spelt_out.header() == SpectrumSpec().header()


def test_a_spec_is_plain_data():
    spec = SpectrumSpec(vad_options={"proportion": 0.5, "offset": -1.0})

    assert pickle.loads(pickle.dumps(spec)) == spec == replace(spec)
    assert hash(spec) == hash(replace(spec))


# ------------------------------------------------------------------------------------------ bad input


def failing(utterances, folder, root, spec):
    with pytest.raises(DataError) as caught:
        run(utterances, folder, root, spec)
    assert "\n" not in str(caught.value)
    return str(caught.value), json.loads((root / "failed.json").read_text())


def test_an_utterance_of_nothing_but_silence_is_named_with_the_cure(tmp_path, corpus):
    utterances, folder = corpus(3)
    soundfile.write(folder / "1.wav", torch.zeros(8_000).numpy(), 16_000)

    message, failures = failing(utterances, folder, tmp_path / "f", SpectrumSpec())

    assert list(failures) == ["u1"]
    assert f"`vad` energy must keep a frame of {folder / '1.wav'} (u1), but removes all 47. Use `--vad none`" in message
    assert run({"u2": utterances["u2"]}, folder, tmp_path / "f", SpectrumSpec()).num_frames("u2") > 0
    assert run(utterances, folder, tmp_path / "f", SpectrumSpec(vad="none")).num_frames("u1") == 47


def test_an_utterance_shorter_than_a_window_is_named_with_the_cure(tmp_path, corpus):
    utterances, folder = corpus(2)
    soundfile.write(folder / "0.wav", noise(500).numpy(), 16_000)

    message, failures = failing(utterances, folder, tmp_path / "f", SpectrumSpec())

    assert list(failures) == ["u0"]
    assert f"{folder / '0.wav'} (u0) must hold at least one window, 640 samples at 16 kHz (0.04 s), but holds 500" in (
        message
    )
    assert run(utterances, folder, tmp_path / "f", SpectrumSpec(window_ms=25.0)).num_frames("u0") == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "fbanks"}, "`features` must be one of fbank, resemblyzer, but is 'fbanks' instead"),
        ({"kind": "resemblyzer"}, "`window_ms` must be 25 where `features` is resemblyzer, but is 40.0 instead"),
        ({"vad": "webrtc"}, "`vad` must be one of none, energy, silero"),
        ({"vad": "none", "vad_options": {"offset": 1}}, "`vad_options` must be empty"),
        ({"vad_options": [1, 2]}, "`vad_options` must be a mapping"),
    ],
)
def test_a_spec_that_cannot_be_met_is_refused_at_once(options, message):
    with pytest.raises(ConfigError, match=message):
        SpectrumSpec(**options)


# ------------------------------------------------------------------------------------------ the network that takes them


def test_the_pretrained_layers_are_single_and_trainable():
    lstms = pretrained_lstms()
    hidden = power_mels(raise_level(noise(8_000))).unsqueeze(0)
    for lstm in lstms:
        hidden, _ = lstm(hidden)
    hidden.sum().backward()

    assert hidden.shape == (1, 51, 256)
    assert all(parameter.grad.abs().sum() > 0 for parameter in lstms.parameters())
