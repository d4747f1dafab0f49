import librosa
import numpy as np
import pytest
import scipy.signal
import torch

from emorec_lobes.features.audio import load_audio
from emorec_lobes.features.mel import MelSpectrogram
from emorec_lobes.units import num_frames


def reference(wave):
    """The published recipe, step by step, by other libraries: (S,) -> (T, 80)."""
    numerator, denominator = scipy.signal.butter(5, 30 / 8_000, btype="highpass")
    still = scipy.signal.filtfilt(numerator, denominator, np.asarray(wave, dtype=np.float64))
    spectrum = librosa.stft(np.pad(still, 200, mode="reflect"), n_fft=400, hop_length=320, window="hann", center=False)
    filters = librosa.filters.mel(sr=16_000, n_fft=400, fmin=90, fmax=7_600, n_mels=80)
    mel = (filters @ np.abs(spectrum)).T
    return np.clip((20 * np.log10(np.maximum(1e-5, mel)) - 16 + 100) / 100, 0, 1)


@pytest.fixture(scope="module")
def mel():
    return MelSpectrogram()


@pytest.mark.parametrize("num_samples", [400, 719, 720, 16_000, 30_001])
def test_it_equals_the_recipe_computed_by_librosa_and_scipy(mel, num_samples):
    wave = torch.randn(num_samples, generator=torch.Generator().manual_seed(0)) * 0.2

    assert np.abs(mel(wave).numpy() - reference(wave)).max() < 1e-4


def test_it_equals_the_recipe_on_real_speech(mel, real_data):
    for path in sorted((real_data("emodb") / "wav").glob("*.wav"))[:3]:
        wave = load_audio(path)

        found = mel(wave).numpy()

        assert np.abs(found - reference(wave)).max() < 1e-3
        assert found.std() > 0.1


def test_frames_are_as_many_as_the_grid_has(mel):
    for num_samples in [*range(400, 1_100, 7), 15_999, 16_000, 16_001, 16_319, 16_320]:
        assert mel(torch.zeros(num_samples)).shape == (num_frames(num_samples), 80)


def test_frame_t_is_centred_on_sample_320_t(mel):
    for frame in (3, 20, 47):
        wave = torch.zeros(16_000)
        wave[320 * frame] = 1.0

        energy = mel(wave).sum(dim=1)

        assert energy.argmax() == frame
        assert energy[frame - 1] == pytest.approx(float(energy[frame + 1]), rel=0.05)


def test_silence_is_0_and_the_loudest_noise_stays_within_1(mel):
    assert mel(torch.zeros(8_000)).abs().max() == 0
    loud = mel(torch.sign(torch.randn(8_000, generator=torch.Generator().manual_seed(0))))
    assert 0.8 < loud.max() <= 1


def test_rumble_is_removed(mel):
    times = torch.arange(32_000) / 16_000
    speech = 0.1 * torch.sin(2 * torch.pi * 500 * times)
    rumble = 0.5 * torch.sin(2 * torch.pi * 5 * times)

    inner = slice(20, 80)
    assert (mel(speech + rumble) - mel(speech))[inner].abs().max() < 0.05
    assert mel(torch.sin(2 * torch.pi * 500 * times))[50].argmax() == mel(speech)[50].argmax()
