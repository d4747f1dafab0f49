import math

import pytest
import torch

from emorec_lobes.models.decoder import Decoder, PostNet


@pytest.fixture
def decoder():
    torch.manual_seed(1)
    return Decoder(
        bottleneck_dim=2,
        speaker_dim=3,
        phone_dim=5,
        conv_channels=8,
        num_convs=3,
        kernel_size=5,
        lstm_dim=10,
        num_lstm_layers=2,
        num_mels=6,
        frames_per_code=4,
        masked_norm=True,
    )


def test_codes_are_repeated_in_time_and_followed_by_speaker_and_phones(decoder):
    codes, speaker, phones = torch.randn(2, 3, 4), torch.randn(2, 3), torch.randn(2, 12, 5)
    seen = []
    decoder.lstm_in.register_forward_pre_hook(lambda module, arguments: seen.append(arguments[0]))
    assert decoder(codes, speaker, phones).shape == (2, 12, 6)
    for item in range(2):
        for frame in range(12):
            expected = torch.cat((codes[item, frame // 4], speaker[item], phones[item, frame]))
            assert torch.equal(seen[0][item, frame], expected)


def test_both_lstms_run_forward_only_and_the_convolutions_alone_look_ahead(decoder):
    decoder.eval()
    codes, speaker, phones = torch.randn(1, 5, 4), torch.randn(1, 3), torch.randn(1, 20, 5)
    changed = phones.clone()
    changed[:, 15:] += 1
    difference = (decoder(codes, speaker, phones) - decoder(codes, speaker, changed)).abs().amax(dim=(0, 2))
    reach = 3 * 2  # three convolutions that see two frames ahead
    assert difference[: 15 - reach].max() == 0
    assert difference[15 - reach :].min() > 0


def test_the_projection_starts_xavier_uniform_with_gain_1(decoder):
    bound = math.sqrt(6 / (10 + 6))
    assert 0.9 * bound < decoder.projection.weight.abs().max() <= bound


def test_the_last_block_of_the_postnet_has_no_activation_and_all_others_tanh():
    postnet = PostNet(num_mels=6, conv_channels=8, num_convs=5, kernel_size=5, masked_norm=True, initial_gain=1.0)
    names = [type(block.activation).__name__ for block in postnet.convs.blocks]
    assert names == ["Tanh"] * 4 + ["Identity"]
    assert [block.conv.out_channels for block in postnet.convs.blocks] == [8, 8, 8, 8, 6]


def test_with_an_initial_gain_of_zero_the_residual_begins_at_nothing_and_can_still_learn():
    postnet = PostNet(num_mels=6, conv_channels=8, num_convs=5, kernel_size=5, masked_norm=True, initial_gain=0.0)
    mel = torch.rand(2, 9, 6)
    residual = postnet(mel)
    assert not residual.any()
    (residual - mel).square().sum().backward()
    assert postnet.convs.blocks[-1].norm.weight.grad.any()
