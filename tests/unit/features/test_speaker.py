import builtins
import sys

import numpy as np
import pytest
import torch

from emorec_lobes.errors import UnavailableError
from emorec_lobes.features import speaker
from emorec_lobes.features.audio import load_audio
from emorec_lobes.features.speaker import SpeakerEmbedding


@pytest.fixture(scope="module")
def embed():
    return SpeakerEmbedding()


@pytest.fixture(scope="module")
def speech(real_data):
    folder = real_data("emodb") / "wav"
    return {name: load_audio(folder / f"{name}.wav") for name in ("03a01Fa", "03a02Wb", "08a01Fd", "08a02Wc")}


def test_it_is_what_resemblyzer_gives(embed, speech):
    import resemblyzer

    encoder = resemblyzer.VoiceEncoder("cpu", verbose=False)
    for wave in speech.values():
        expected = encoder.embed_utterance(resemblyzer.preprocess_wav(wave.numpy()))

        found = embed(wave)

        assert found.shape == (1, 256)
        assert found.dtype == torch.float32
        assert np.allclose(found[0], expected, atol=1e-6)


def test_speakers_are_nearer_to_themselves_than_to_others(embed, real_data):
    """Neutral speech of two men."""
    folder = real_data("emodb") / "wav"
    first, second = (
        torch.cat([embed(load_audio(path)) for path in sorted(folder.glob(f"{name}*N*.wav"))[:5]])
        for name in ("03", "10")
    )

    across = (first @ second.T).mean()

    for own in (first, second):
        others = ~torch.eye(len(own), dtype=torch.bool)
        assert (own @ own.T)[others].mean() > across + 0.1


@pytest.mark.parametrize(
    "wave",
    [
        torch.zeros(16_000),
        torch.zeros(400),
        torch.full((16_000,), 1e-7),
        torch.randn(400, generator=torch.Generator().manual_seed(0)) * 0.1,
        torch.sin(torch.arange(8_000) * 0.001) * 1e-4,
    ],
    ids=["silence", "short silence", "almost silence", "one window of noise", "rumble"],
)
@pytest.mark.filterwarnings("error")
def test_audio_without_a_voice_still_has_a_unit_vector(embed, wave):
    vector = embed(wave)

    assert vector.norm() == pytest.approx(1, abs=1e-5)
    assert torch.isfinite(vector).all()
    assert (vector >= 0).all()


def test_audio_without_a_voice_is_embedded_as_a_whole(embed):
    wave = torch.randn(8_000, generator=torch.Generator().manual_seed(0)) * 1e-4
    embed_without_voice = SpeakerEmbedding()
    embed_without_voice._preprocess = lambda samples: samples[:0]
    import resemblyzer

    expected = resemblyzer.VoiceEncoder("cpu", verbose=False).embed_utterance(
        resemblyzer.normalize_volume(wave.numpy(), -30, increase_only=True)
    )

    assert np.allclose(embed_without_voice(wave)[0], expected, atol=1e-5)
    assert not torch.allclose(embed_without_voice(wave), embed(torch.zeros(8_000)), atol=1e-2)


def test_it_does_not_depend_on_what_was_embedded_before(embed, speech):
    first = embed(speech["03a01Fa"])
    embed(speech["08a01Fd"])

    assert torch.equal(embed(speech["03a01Fa"]), first)


def test_the_voice_detector_needs_no_pkg_resources(monkeypatch):
    """setuptools 82 has none."""
    for name in [name for name in sys.modules if name.split(".")[0] in ("resemblyzer", "webrtcvad", "pkg_resources")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [_Refuse("pkg_resources"), *sys.meta_path])

    assert SpeakerEmbedding()(torch.zeros(400)).shape == (1, 256)
    assert "pkg_resources" not in sys.modules


class _Refuse:
    """An import finder that has one module missing."""

    def __init__(self, name):
        self.name = name

    def find_spec(self, name, path=None, target=None):
        if name == self.name:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def test_an_import_that_breaks_is_one_line(monkeypatch):
    real_import = builtins.__import__

    def broken(name, *args, **kwargs):
        if name == "resemblyzer":
            raise ImportError("cannot import name 'x'\nfrom y")
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", broken)

    with pytest.raises(UnavailableError, match="cannot import name 'x' from y") as caught:
        SpeakerEmbedding()
    assert "\n" not in str(caught.value)


def test_a_missing_wheel_is_one_line_with_the_cure(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    with pytest.raises(UnavailableError, match="pip install resemblyzer"):
        SpeakerEmbedding()


def test_its_identity_is_known_without_loading_it(embed):
    assert speaker.identity() == embed.identity
