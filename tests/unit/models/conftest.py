"""The published model as a YAML, and a small one of the same shape that runs in milliseconds."""

from functools import partial

import pytest
import torch
from hyperpyyaml import load_hyperpyyaml

from emorec_lobes.models.attribute_disentanglement import AttributeDisentanglement
from emorec_lobes.models.feature_map import MapConv

# An AD module as in the paper, but narrow, for so many channels.
MAKE_AD = partial(
    AttributeDisentanglement,
    attention="tf",
    reduced_dim=2,
    shared=False,
    activation=None,
    bias=True,
    epsilon=1e-5,
    stop_gradient=False,
)

# One YAML for every row of the paper: Large and mel differ from Small in the keys of PUBLISHED alone.
MODEL_YAML = """
num_layers: 25
encoder_dim: 1024
speaker_dim: 256
encoder_channels: 2048
bottleneck_dim: 8
frames_per_code: 48
segment_frames: 96
num_phones: 128
phone_channels: 512
phone_dim: 128
decoder_channels: 512
decoder_dim: 1024
num_mels: 80
hidden_dim: 128
num_classes: 4
dropout: 0.5
activation: null
masked_norm: false

layer_mix: !new:emorec_lobes.models.layer_mix.LayerMix
  num_layers: !ref <num_layers>
  mode: ratio

encoder: !new:emorec_lobes.models.cross_representation.ContentEncoder
  feature_dim: !ref <encoder_dim>
  speaker_dim: !ref <speaker_dim>
  conv_channels: !ref <encoder_channels>
  num_convs: 3
  kernel_size: 5
  bottleneck_dim: !ref <bottleneck_dim>
  num_lstm_layers: 2
  frames_per_code: !ref <frames_per_code>
  masked_norm: !ref <masked_norm>

classifier: !new:emorec_lobes.models.classifier.EmotionClassifier
  code_dim: !ref 2 * <bottleneck_dim> * <segment_frames> // <frames_per_code>
  hidden_dim: !ref <hidden_dim>
  num_classes: !ref <num_classes>
  dropout: !ref <dropout>
  activation: !ref <activation>

phone_encoder: !new:emorec_lobes.models.phone_encoder.PhoneEncoder
  num_phones: !ref <num_phones>
  conv_channels: !ref <phone_channels>
  num_convs: 3
  kernel_size: 5
  hidden_dim: !ref <phone_dim>
  num_lstm_layers: 2
  masked_norm: !ref <masked_norm>

decoder: !new:emorec_lobes.models.decoder.Decoder
  bottleneck_dim: !ref <bottleneck_dim>
  speaker_dim: !ref <speaker_dim>
  phone_dim: !ref 2 * <phone_dim>
  conv_channels: !ref <decoder_channels>
  num_convs: 3
  kernel_size: 5
  lstm_dim: !ref <decoder_dim>
  num_lstm_layers: 2
  num_mels: !ref <num_mels>
  frames_per_code: !ref <frames_per_code>
  masked_norm: !ref <masked_norm>

postnet: !new:emorec_lobes.models.decoder.PostNet
  num_mels: !ref <num_mels>
  conv_channels: !ref <decoder_channels>
  num_convs: 5
  kernel_size: 5
  masked_norm: !ref <masked_norm>
  initial_gain: 1.0

model: !new:emorec_lobes.models.cross_representation.CrossRepresentation
  layer_mix: !ref <layer_mix>
  encoder: !ref <encoder>
  classifier: !ref <classifier>
  phone_encoder: !ref <phone_encoder>
  decoder: !ref <decoder>
  postnet: !ref <postnet>
"""

PUBLISHED = {
    "small": {},
    "large": {"bottleneck_dim": 128, "frames_per_code": 2},
    "mel": {"num_layers": 1, "encoder_dim": 80, "encoder_channels": 512},
}

MINIATURE = {
    "num_layers": 3,
    "encoder_dim": 7,
    "speaker_dim": 5,
    "encoder_channels": 12,
    "bottleneck_dim": 4,
    "frames_per_code": 4,
    "segment_frames": 16,
    "num_phones": 9,
    "phone_channels": 6,
    "phone_dim": 3,
    "decoder_channels": 8,
    "decoder_dim": 10,
    "num_mels": 6,
    "hidden_dim": 11,
    "dropout": 0.0,
}


def load_model(**overrides):
    text = MODEL_YAML
    if overrides.get("num_layers") == 1:
        text = text.replace("layer_mix: !ref <layer_mix>", "layer_mix: null")
    return load_hyperpyyaml(text, overrides)["model"]


def with_random_statistics(build):
    """What build() makes, its norms with seeded random statistics, so that what it makes of zeros is not zero."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = build()
        for name, each in (*model.named_parameters(), *model.named_buffers()):
            if ".norm." in name and each.is_floating_point():
                torch.nn.init.uniform_(each, 0.5, 1.5)
    return model.eval()


def widths_behind_each_block(model):
    """How many channels the map has that each of its blocks returns."""
    found = {}
    for name, block in model.blocks.items():
        block.register_forward_hook(lambda module, inputs, output, name=name: found.update({name: output[0].shape[1]}))
    model(torch.rand(1, 16, 9))
    return found


def masking_of_each_convolution(model):
    """Whether each convolution of a map masks the statistics of its normalisation."""
    return [each.masked_norm for each in model.modules() if isinstance(each, MapConv)]


def assert_neighbours_and_padding_change_no_map(model, counts, num_frames, filler):
    """In a padded batch every item has the map it has alone, with zeros behind it."""
    features, lens = batch_of(counts, num_frames, filler)
    output = model(features, lens)
    for item, count in enumerate(counts):
        alone = model(features[item : item + 1, :count]).feature_map
        assert alone.shape[3] == output.mask[item].sum()
        together = output.feature_map[item : item + 1, :, :, : alone.shape[3]]
        torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-4)
    assert not output.feature_map.masked_select(~output.mask[:, None, None]).any()
    return output


def batch_of(counts, num_frames, filler=0.0):
    """Random features of 9 frequencies, so many frames an item, padded with the filler; and their relative lengths."""
    features = torch.full((len(counts), num_frames, 9), filler)
    generator = torch.Generator().manual_seed(2)
    for place, count in enumerate(counts):
        features[place, :count] = torch.randn(count, 9, generator=generator)
    return features, torch.tensor([count / num_frames for count in counts])


@pytest.fixture
def published():
    """published("large"): the model in the paper's sizes, shapes only."""

    def build(row):
        with torch.device("meta"):
            return load_model(**PUBLISHED[row])

    return build


@pytest.fixture
def miniature():
    """miniature(masked_norm=True): a small model with seeded weights; any key of the YAML can be given."""

    def build(**overrides):
        with torch.random.fork_rng():
            torch.manual_seed(1)
            return load_model(**{**MINIATURE, **overrides})

    return build


@pytest.fixture
def batch():
    """What the miniature takes, three items of 16 frames, as keyword arguments, and the mel to reconstruct."""
    generator = torch.Generator().manual_seed(2)
    inputs = {
        "layers": torch.randn(3, 16, 3, 7, generator=generator),
        "speaker": torch.rand(3, 5, generator=generator),
        "phones": torch.randint(0, 9, (3, 16), generator=generator, dtype=torch.uint8),
    }
    return inputs, torch.rand(3, 16, 6, generator=generator)
