import math
from importlib import metadata

import pytest
import torch
from torch.nn import functional

from emorec_lobes.errors import ConfigError, UnavailableError
from emorec_lobes.features import silero
from emorec_lobes.features.fbank import FilterBank
from emorec_lobes.features.vad import EnergyVAD, Frames, SileroVAD, build_vad, smooth


def frames_of(wave):
    bank = FilterBank()
    energy = bank(wave.unsqueeze(0))[..., 40]
    return Frames(wave.unsqueeze(0), energy, torch.ones_like(energy, dtype=torch.bool), bank.centres(energy.shape[1]))


def given(energies, num_frames=None):
    """Frames of which only the energies are known."""
    energy = torch.tensor([energies])
    mask = torch.arange(energy.shape[1]) < (num_frames or energy.shape[1])
    return Frames(torch.zeros(1, 1), energy, mask.unsqueeze(0), torch.arange(energy.shape[1]))


def burst(level=0.0):
    """A second of silence at some level with a tone from 0.4 to 0.7 s."""
    wave = torch.randn(16_000, generator=torch.Generator().manual_seed(0)) * level
    wave[6_400:11_200] += 0.3 * torch.sin(2 * math.pi * 300 * torch.arange(4_800) / 16_000)
    return wave


# ------------------------------------------------------------------------------------------ by energy


@pytest.mark.parametrize("level", [0.0, 1e-4, 1e-3])
@pytest.mark.parametrize("gain", [1.0, 0.01])
def test_a_tone_is_kept_and_the_silence_around_it_dropped(level, gain):
    frames = frames_of(burst(level) * gain)

    kept = EnergyVAD(context_frames=0)(frames)[0]

    touches = (frames.centres > 6_400 - 320) & (frames.centres < 11_200 + 320)
    within = (frames.centres >= 6_400) & (frames.centres <= 11_200)
    assert kept[within].all()
    assert not kept[~touches].any()


def test_a_louder_recording_keeps_the_same_frames():
    vad = EnergyVAD()
    kept = vad(frames_of(burst(1e-3)))

    assert torch.equal(vad(frames_of(burst(1e-3) * 0.1)), kept)
    assert 0 < kept.sum() < kept.numel()


def test_the_threshold_is_the_mean_and_the_offset():
    vad = EnergyVAD(offset=-1.0, context_frames=0, proportion=1.0)

    assert vad(given([0.0, 4.0, 1.1, 0.9, 4.0])).tolist() == [[False, True, True, False, True]]  # mean 2


def test_what_is_below_the_floor_is_silence_whatever_the_mean():
    energies = [-13.0, -13.0, -11.0]

    assert EnergyVAD(offset=-5.0, context_frames=0)(given(energies)).tolist() == [[False, False, True]]
    assert EnergyVAD(offset=-5.0, floor=-14.0, context_frames=0)(given(energies)).all()
    assert not EnergyVAD()(frames_of(torch.zeros(8_000))).any()


def test_padding_counts_neither_for_the_mean_nor_for_the_context():
    energies = [1.0, 3.0, 1.0, 3.0]
    vad = EnergyVAD(offset=0.0, context_frames=1, proportion=0.5)

    alone = vad(given(energies))
    padded = vad(given([*energies, 100.0, 100.0, 100.0], num_frames=4))

    assert padded[:, :4].tolist() == alone.tolist()
    assert not padded[:, 4:].any()


def test_a_gap_stays_and_a_click_goes():
    speech_with_gap = [True] * 5 + [False] * 2 + [True] * 5
    click = [False] * 5 + [True] + [False] * 6

    for found, expected in ((speech_with_gap, True), (click, False)):
        found = torch.tensor([found])
        assert (smooth(found, torch.ones_like(found), 3, 0.5) == expected).all()


def test_smoothing_is_a_count_over_the_real_neighbours():
    generator = torch.Generator().manual_seed(0)
    found = torch.rand(3, 30, generator=generator) > 0.5
    mask = torch.arange(30) < torch.tensor([[30], [17], [1]])

    for context, proportion in ((0, 1.0), (2, 0.6), (5, 0.3), (40, 0.5)):
        smoothed = smooth(found, mask, context, proportion)
        for row in range(3):
            num_real = int(mask[row].sum())
            for frame in range(30):
                near = found[row, max(0, frame - context) : min(num_real, frame + context + 1)].tolist()
                expected = frame < num_real and 100 * sum(near) >= round(100 * proportion) * len(near)
                assert smoothed[row, frame] == expected


# ------------------------------------------------------------------------------------------ options


def test_a_detector_is_built_from_its_name_and_options():
    assert build_vad("none", {}) is None
    assert build_vad("energy", {"offset": -3, "context_frames": 2.0}) == EnergyVAD(offset=-3.0, context_frames=2)
    assert build_vad("silero", {"threshold": 0.3}) == SileroVAD(threshold=0.3)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("enery", {}, "`vad` must be one of none, energy, silero, but is 'enery' instead. Did you mean 'energy'?"),
        ("energy", {"thresold": 1}, "`vad_options` must be one of offset, floor, context_frames, proportion, but is"),
        ("none", {"offset": 1}, "`vad_options` must be empty where `vad` is none, but has 'offset'"),
        ("energy", {"offset": "low"}, "`offset` of `vad_options` must be a number, but is 'low' instead"),
        ("energy", {"context_frames": float("inf")}, "`context_frames` of `vad_options` must be a whole number"),
        ("energy", {"context_frames": 1.5}, "`context_frames` of `vad_options` must be a whole number, but is 1.5"),
        ("energy", {"context_frames": -1}, "`context_frames` must be 0 or more, but is -1 instead"),
        ("silero", {"proportion": 0}, "`proportion` must be above 0 and at most 1, but is 0.0 instead"),
        ("energy", 3, "`vad_options` must be a mapping, but is 3 instead"),
    ],
)
def test_a_detector_that_does_not_exist_or_an_option_it_has_not_is_one_line(name, options, message):
    with pytest.raises(ConfigError) as caught:
        build_vad(name, options)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


# ------------------------------------------------------------------------------------------ silero


@pytest.fixture()
def wheel():
    """The folder in which the wheel silero-vad keeps its weights."""
    try:
        return silero._weights_file().parent
    except UnavailableError:
        pytest.skip("silero-vad is not installed")


@pytest.fixture()
def no_wheel(monkeypatch):
    def not_found(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(silero.metadata, "distribution", not_found)
    silero.load_network.cache_clear()
    yield
    silero.load_network.cache_clear()


def test_without_its_wheel_silero_says_what_to_install_and_only_when_it_is_used(no_wheel):
    vad = SileroVAD()
    assert len(vad.identity["weights"]) == 16

    with pytest.raises(UnavailableError, match=r"`pip install --no-deps silero-vad==6\.2\.3` or use `--vad energy`"):
        vad(frames_of(torch.zeros(1_600)))


def test_another_weights_file_is_refused(tmp_path, monkeypatch):
    file = tmp_path / "silero_vad_16k.safetensors"
    file.write_bytes(b"other")
    monkeypatch.setattr(silero, "_weights_file", lambda: file)
    silero.load_network.cache_clear()

    with pytest.raises(UnavailableError, match=r"must be the file of silero-vad 6\.2\.3, but is another one"):
        silero.load_network()


def test_all_chunks_at_once_are_one_chunk_after_another():
    """The steps of the wheel's documentation, with a cell instead of a layer."""
    torch.manual_seed(0)
    network = silero.SileroNetwork()
    cell = torch.nn.LSTMCell(128, 128)
    cell.load_state_dict({name.removesuffix("_l0"): value for name, value in network.lstm.state_dict().items()})
    wave = torch.randn(1, 2_000)
    padded = functional.pad(wave, (64, 48))
    state, expected = None, []
    with torch.no_grad():
        for start in range(64, padded.shape[1], 512):
            hidden = functional.pad(padded[:, start - 64 : start + 512], (0, 64), mode="reflect").unsqueeze(1)
            hidden = network.stft_conv(hidden)
            hidden = (hidden[:, :129] ** 2 + hidden[:, 129:] ** 2).sqrt()
            for convolution in (network.conv1, network.conv2, network.conv3, network.conv4):
                hidden = convolution(hidden).relu()
            state = cell(hidden.squeeze(-1), state)
            expected.append(network.final_conv(state[0].unsqueeze(-1).relu()).sigmoid().item())

        found = network(wave)

    assert torch.allclose(found, torch.tensor([expected]), atol=1e-6)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_the_network_is_the_wheels_own(wheel):
    """Given the weights of the wheel's TorchScript model, which are others, it finds what that model finds."""
    model = torch.jit.load(wheel / "silero_vad.jit").eval()
    theirs = {name.removeprefix("_model."): value for name, value in model.state_dict().items()}
    names = {"stft_conv.weight": "stft.forward_basis_buffer"}
    for kind in ("weight", "bias"):
        names |= {f"conv{number}.{kind}": f"encoder.{number - 1}.reparam_conv.{kind}" for number in (1, 2, 3, 4)}
        names |= {f"lstm.{kind}_{side}_l0": f"decoder.rnn.{kind}_{side}" for side in ("ih", "hh")}
        names[f"final_conv.{kind}"] = f"decoder.decoder.2.{kind}"
    network = silero.SileroNetwork().eval()
    network.load_state_dict({ours: theirs[name] for ours, name in names.items()}, strict=True)
    wave = burst(1e-3)[:15_872]  # 31 chunks

    with torch.no_grad():
        expected = [model(chunk, 16_000).item() for chunk in wave.split(512)]
        found = network(wave.unsqueeze(0))[0]

    assert torch.allclose(found, torch.tensor(expected), atol=1e-5)


def test_silero_drops_silence_and_noise_and_keeps_speech(wheel, real_data):
    from emorec_lobes.features.audio import load_audio

    speech = load_audio(real_data("emodb") / "wav" / "03a01Nc.wav")
    wave = torch.cat([torch.zeros(16_000), speech, torch.zeros(16_000)])
    frames = frames_of(wave)

    kept = SileroVAD()(frames)[0]

    within = (frames.centres >= 16_000) & (frames.centres < 16_000 + len(speech))
    assert kept[within].float().mean() > 0.8
    assert kept[~within].float().mean() < 0.15


def test_a_batch_of_silero_is_its_singles(wheel, real_data):
    from emorec_lobes.features.audio import load_audio
    from emorec_lobes.features.spectrum import Spectrum

    waves = [load_audio(real_data("emodb") / "wav" / f"{name}.wav") for name in ("03a01Fa", "03a01Nc")]
    batch = torch.nn.utils.rnn.pad_sequence(waves, batch_first=True, padding_value=0.5)
    spectrum = Spectrum("fbank", 40, 40.0, 10.0, vad="silero")

    found, lens = spectrum(batch, torch.tensor([len(wave) / batch.shape[1] for wave in waves]))

    for row, part, wave in zip(found, lens, waves, strict=True):
        alone = spectrum(wave.unsqueeze(0))[0][0]
        assert round(float(part * len(row))) == len(alone)
        assert torch.allclose(row[: len(alone)], alone, atol=1e-5)
