"""An encoder that computes only its lower layers gives what they are in the whole of it."""

import copy

import pytest
import torch

from emorec_lobes.errors import ConfigError
from emorec_lobes.features.huggingface_layers import keep_layers
from emorec_lobes.features.speech import load_encoder

FAMILIES = ("wav2vec2", "wav2vec2-base", "hubert", "wavlm", "data2vec-audio", "whisper")


def waves(*lengths):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(length, generator=generator) * 0.1 for length in lengths]


def num_states(family):
    return 3 if family == "whisper" else 4


@pytest.mark.parametrize("num_kept", [1, 2, 3])
@pytest.mark.parametrize("family", [name for name in FAMILIES if name != "whisper"])
def test_what_is_left_of_a_model_ends_with_a_hidden_state_of_the_whole(tiny_models, family, num_kept):
    whole, _ = tiny_models(family)
    cut = copy.deepcopy(whole)
    inputs = torch.stack(waves(3_000, 3_000))

    keep_layers(cut, num_kept)

    with torch.no_grad():
        expected = whole(inputs, output_hidden_states=True).hidden_states
        assert len(expected) == 4
        torch.testing.assert_close(cut(inputs).last_hidden_state, expected[num_kept - 1], rtol=0, atol=1e-6)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_layers_that_are_kept_are_those_of_the_whole_encoder(tiny_models, family):
    folder, most, some = str(tiny_models(family)[1]), num_states(family), waves(2_000, 400, 3_300)
    expected = load_encoder(folder, most, 16).batch(some)

    for num_kept in range(1, most + 1):
        encoder = load_encoder(folder, most, 16, kept_layers=num_kept)
        assert encoder.num_layers == num_kept
        for found, whole in zip(encoder.batch(some), expected, strict=True):
            assert found.shape == (len(whole), num_kept, 16)
            torch.testing.assert_close(found, whole[:, :num_kept], rtol=0, atol=1e-5)


def test_the_last_layer_of_a_large_model_is_normalised_in_the_whole_of_it_only(tiny_models):
    folder, [wave] = str(tiny_models("wav2vec2")[1]), waves(2_000)
    whole, cut = (load_encoder(folder, 4, 16, kept_layers=number).layers(wave) for number in (4, 3))
    assert float(whole[:, 3].mean(dim=1).abs().max()) < 1e-4  # the norm's doing
    assert float(cut[:, 2].mean(dim=1).abs().max()) > 1e-2


def test_layers_that_are_not_wanted_are_not_computed(tiny_models, monkeypatch):
    from transformers.models.wav2vec2 import modeling_wav2vec2

    calls = []
    layer = modeling_wav2vec2.Wav2Vec2EncoderLayerStableLayerNorm
    forward = layer.forward

    def counted(*args, **options):
        calls.append(1)
        return forward(*args, **options)

    monkeypatch.setattr(layer, "forward", counted)
    load_encoder(str(tiny_models("wav2vec2")[1]), 4, 16, kept_layers=2).layers(*waves(2_000))
    assert len(calls) == 1


def test_resemblyzer_stops_after_the_layers_that_are_kept():
    [wave] = waves(8_000)
    whole, cut = (load_encoder("resemblyzer", 3, 256, kept_layers=number).layers(wave) for number in (3, 2))
    assert cut.shape == (26, 2, 256) and torch.equal(cut, whole[:, :2])


@pytest.mark.parametrize("num_kept", [0, 4])
def test_another_number_than_there_is_is_refused(num_kept):
    with pytest.raises(ConfigError, match=f"`kept_layers` must be 1 to 3, but is {num_kept}"):
        load_encoder("resemblyzer", 3, 256, kept_layers=num_kept)
