from dataclasses import FrozenInstanceError

import pytest
import torch
from hyperpyyaml import load_hyperpyyaml
from torch.nn import functional as F

from emorec_lobes.errors import ConfigError
from emorec_lobes.models.classifier import EmotionClassifier
from emorec_lobes.models.conv_norm import ConvNorm
from emorec_lobes.models.cross_representation import ContentEncoder, CrossRepresentation, down_sample
from emorec_lobes.models.layer_mix import LayerMix
from emorec_lobes.models.losses import masked_mse
from emorec_lobes.models.statistics_pooling import StatisticsPooling

NUM_VALID = torch.tensor([16, 5, 11])
TARGETS = torch.tensor([0, 3, 1])


def total_loss(model, inputs, mel, num_valid=None):
    out = model(**inputs, num_valid=num_valid)
    reconstruction = masked_mse(out.mel_first, mel, num_valid) + masked_mse(out.mel, mel, num_valid)
    return reconstruction + F.cross_entropy(out.logits, TARGETS)


# --- the down-sampler


def slow_down_sample(states, frames_per_code):
    num_items, num_frames, width = states.shape
    half = width // 2
    codes = []
    for item in range(num_items):
        row = []
        for start in range(0, num_frames, frames_per_code):
            forward = states[item, start + frames_per_code - 1, :half].tolist()
            backward = states[item, start, half:].tolist()
            row.append(forward + backward)
        codes.append(row)
    return torch.tensor(codes)


@pytest.mark.parametrize(("num_frames", "frames_per_code"), [(96, 48), (96, 2), (6, 6), (4, 1)])
def test_codes_are_those_of_a_slow_loop(num_frames, frames_per_code):
    states = torch.randn(3, num_frames, 8)
    assert torch.equal(down_sample(states, frames_per_code), slow_down_sample(states, frames_per_code))


def test_a_small_code_takes_frames_47_and_0_then_95_and_48():
    frames = torch.arange(96.0)
    states = torch.stack((frames, -frames), dim=-1).unsqueeze(0)  # forward t, backward -t
    assert down_sample(states, frames_per_code=48).tolist() == [[[47.0, 0.0], [95.0, -48.0]]]


def test_a_segment_that_codes_do_not_divide_is_refused():
    with pytest.raises(ConfigError, match="must divide the 95 frames of a segment, but is 48"):
        down_sample(torch.rand(1, 95, 4), frames_per_code=48)


# --- what flows where


def test_the_codes_and_speaker_and_phones_determine_the_mel(miniature, batch):
    model, (inputs, _) = miniature().eval(), batch
    out = model(**inputs)
    other = dict(inputs, layers=torch.randn_like(inputs["layers"]))
    assert not torch.allclose(model(**other).mel, out.mel)  # other features, other mel
    model.encoder.register_forward_hook(lambda *_: out.codes)
    assert torch.equal(model(**other).mel, out.mel)  # unless the codes are held
    assert torch.equal(model(**other).logits, out.logits)


def test_no_gradient_reaches_the_features_past_the_codes(miniature, batch):
    model, (inputs, _) = miniature().eval(), batch
    layers = inputs["layers"].requires_grad_()
    (gradient,) = torch.autograd.grad(model(**inputs).mel.sum(), layers)
    assert gradient.abs().sum() > 0
    model.encoder.register_forward_hook(lambda module, arguments, codes: codes.detach())
    assert torch.autograd.grad(model(**inputs).mel.sum(), layers, allow_unused=True) == (None,)


def test_the_classifier_sees_the_statistics_of_valid_frames_beside_the_codes(batch):
    inputs, _ = batch
    statistics = StatisticsPooling(num_layers=3, feature_dim=7, num_statistics=2)
    model = CrossRepresentation(
        layer_mix=LayerMix(num_layers=3, mode="ratio"),
        encoder=ContentEncoder(
            feature_dim=7, speaker_dim=5, conv_channels=12, num_convs=3, kernel_size=5, bottleneck_dim=4,
            num_lstm_layers=2, frames_per_code=4, masked_norm=True,
        ),
        classifier=EmotionClassifier(
            code_dim=32, hidden_dim=11, num_classes=4, dropout=0.0, activation=None, statistics_dim=42
        ),
        statistics=statistics,
    ).eval()  # fmt: skip
    out = model(inputs["layers"], inputs["speaker"], num_valid=NUM_VALID)
    mask = torch.arange(16)[None, :] < NUM_VALID[:, None]
    torch.testing.assert_close(out.logits, model.classifier(out.codes, statistics(inputs["layers"], mask)))
    spoilt = inputs["layers"].masked_fill(~mask[:, :, None, None], torch.nan)
    torch.testing.assert_close(model(spoilt, inputs["speaker"], num_valid=NUM_VALID).logits, out.logits)


def test_the_encoder_sees_features_then_speaker_on_every_frame_and_zeros_for_padded_features(miniature, batch):
    model, (inputs, _) = miniature(), batch
    features, speaker = inputs["layers"][:, :, 0], inputs["speaker"]
    mask = torch.arange(16) < NUM_VALID[:, None]
    seen = []
    model.encoder.convs.register_forward_pre_hook(lambda module, arguments: seen.append(arguments[0]))
    model.encoder(features, speaker, mask)
    for item in range(3):
        for frame in range(16):
            content = features[item, frame] if frame < NUM_VALID[item] else torch.zeros(7)
            assert torch.equal(seen[0][item, frame], torch.cat((content, speaker[item])))


@pytest.mark.parametrize("name", ["speaker", "phones"])
def test_the_decoder_hears_speaker_and_phones(miniature, batch, name):
    model, (inputs, _) = miniature().eval(), batch
    out = model(**inputs)
    model.encoder.register_forward_hook(lambda *_: out.codes)
    other = dict(inputs, **{name: inputs[name].flip(0)})
    assert not torch.allclose(model(**other).mel, out.mel)


def test_the_final_mel_is_the_first_plus_the_postnet(miniature, batch):
    model, (inputs, _) = miniature().eval(), batch
    out = model(**inputs)
    torch.testing.assert_close(out.mel - out.mel_first, model.postnet(out.mel_first))


def test_without_phones_nothing_of_the_decoder_runs(miniature, batch):
    model, (inputs, _) = miniature().eval(), batch
    full = model(**inputs)
    calls = []
    for part in (model.phone_encoder, model.decoder, model.postnet):
        part.register_forward_hook(lambda *_: calls.append(1))
    out = model(inputs["layers"], inputs["speaker"])
    assert (out.mel_first, out.mel, calls) == (None, None, [])
    assert torch.equal(out.logits, full.logits)
    assert torch.equal(out.codes, full.codes)


def test_the_output_cannot_be_changed_by_accident(miniature, batch):
    out = miniature()(**batch[0])
    with pytest.raises(FrozenInstanceError):
        out.logits = None


@pytest.mark.parametrize("masked_norm", [True, False])
@pytest.mark.parametrize("num_layers", [3, 1])
def test_every_parameter_gets_a_gradient(miniature, batch, masked_norm, num_layers):
    inputs, mel = batch
    model = miniature(masked_norm=masked_norm, num_layers=num_layers)
    inputs["layers"] = inputs["layers"][:, :, :num_layers]
    total_loss(model, inputs, mel, NUM_VALID).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        # The norm after it takes a convolution's bias out again.
        assert parameter.grad.abs().sum() > 0 or name.endswith("conv.bias"), name


def test_a_few_steps_learn_a_batch_by_heart(miniature, batch):
    inputs, mel = batch
    model = miniature(masked_norm=True)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = total_loss(model, inputs, mel, NUM_VALID)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0]


# --- padding, batching, precision


@pytest.mark.parametrize("name", ["layers", "phones", "mel"])
def test_with_the_mask_on_padded_content_moves_no_loss(miniature, batch, name):
    inputs, mel = batch
    padded = torch.arange(16) >= NUM_VALID[:, None]
    other_inputs, other_mel = dict(inputs), mel.clone()
    changed = other_mel if name == "mel" else inputs[name].clone()
    changed[padded] = 7
    if name != "mel":
        other_inputs[name] = changed
    for num_valid, unmoved in ((NUM_VALID, True), (None, False)):
        # A fresh model each time: running statistics must agree too, and they move in training.
        first, second = miniature(masked_norm=True), miniature(masked_norm=True)
        loss, other = total_loss(first, inputs, mel, num_valid), total_loss(second, other_inputs, other_mel, num_valid)
        assert torch.equal(loss, other) == unmoved
        if num_valid is not None:
            assert all(map(torch.equal, first.state_dict().values(), second.state_dict().values()))


@pytest.mark.parametrize("masked_norm", [True, False])
def test_every_norm_of_the_model_gets_the_mask_exactly_where_asked_to(miniature, batch, masked_norm):
    model, (inputs, _) = miniature(masked_norm=masked_norm), batch
    masks = []
    for module in model.modules():
        if isinstance(module, ConvNorm):
            module.register_forward_pre_hook(lambda block, arguments: masks.append(arguments[1]))
    model(**inputs, num_valid=NUM_VALID)
    expected = torch.arange(16) < NUM_VALID[:, None]
    assert len(masks) == 3 + 3 + 3 + 5
    assert all(torch.equal(mask, expected) if masked_norm else mask is None for mask in masks)


def test_zero_padding_and_declared_padding_are_the_same_to_a_trained_recogniser(miniature, batch):
    model, (inputs, _) = miniature(masked_norm=True).eval(), batch
    layers = inputs["layers"].masked_fill((torch.arange(16) >= NUM_VALID[:, None])[..., None, None], 0)
    declared = model(layers, inputs["speaker"], num_valid=NUM_VALID)
    assert torch.equal(declared.logits, model(layers, inputs["speaker"]).logits)


def test_a_segment_alone_gives_what_it_gives_in_a_batch(miniature, batch):
    model, (inputs, _) = miniature(masked_norm=True).eval(), batch
    together = model(**inputs, num_valid=NUM_VALID)
    for item in range(3):
        alone = model(**{name: value[item : item + 1] for name, value in inputs.items()}, num_valid=NUM_VALID[[item]])
        for field in ("logits", "codes", "mel_first", "mel"):
            torch.testing.assert_close(getattr(alone, field)[0], getattr(together, field)[item], rtol=0, atol=1e-5)


def test_half_precision_features_are_taken_as_they_are_stored(miniature, batch):
    model, (inputs, _) = miniature().eval(), batch
    halves = dict(inputs, layers=inputs["layers"].half(), speaker=inputs["speaker"].half())
    rounded = dict(inputs, layers=halves["layers"].float(), speaker=halves["speaker"].float())
    assert model(**halves).mel.dtype == torch.float32
    assert torch.equal(model(**halves).mel, model(**rounded).mel)


@pytest.mark.parametrize("masked_norm", [True, False])
def test_training_under_bfloat16_autocast_stays_near_single_precision(miniature, batch, masked_norm):
    inputs, mel = batch
    exact = total_loss(miniature(masked_norm=masked_norm), inputs, mel, NUM_VALID)
    model = miniature(masked_norm=masked_norm)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = total_loss(model, inputs, mel, NUM_VALID)
    loss.backward()
    assert loss.item() == pytest.approx(exact.item(), rel=0.05)
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters())


# --- parts that do not fit


def test_several_layers_without_a_layer_mix_are_refused(miniature, batch):
    with pytest.raises(ConfigError, match="must be given for features of 3 layers"):
        miniature(num_layers=1)(**batch[0])


def test_a_model_that_only_recognises_needs_no_decoder_and_refuses_phones(miniature, batch):
    full, (inputs, _) = miniature().eval(), batch
    model = CrossRepresentation(full.layer_mix, full.encoder, full.classifier)
    assert torch.equal(model(inputs["layers"], inputs["speaker"]).logits, full(**inputs).logits)
    with pytest.raises(ConfigError, match="phone_encoder, decoder and postnet"):
        model(**inputs)


def test_a_decoder_without_its_postnet_is_refused(miniature):
    full = miniature()
    with pytest.raises(ConfigError, match="`postnet` must be given"):
        CrossRepresentation(full.layer_mix, full.encoder, full.classifier, full.phone_encoder, full.decoder)


def test_one_part_alone_can_be_made_by_a_yaml_of_ten_lines():
    text = """
encoder: !new:emorec_lobes.models.cross_representation.ContentEncoder
  feature_dim: 40
  speaker_dim: 192
  conv_channels: 16
  num_convs: 2
  kernel_size: 3
  bottleneck_dim: 8
  num_lstm_layers: 1
  frames_per_code: 10
  masked_norm: true
"""
    encoder = load_hyperpyyaml(text)["encoder"]
    assert encoder(torch.rand(2, 50, 40), torch.rand(2, 192)).shape == (2, 5, 16)
