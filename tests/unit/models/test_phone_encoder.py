import pytest
import torch

from emorec_lobes.models.phone_encoder import PhoneEncoder


@pytest.fixture
def encoder():
    torch.manual_seed(1)
    return PhoneEncoder(
        num_phones=9, conv_channels=6, num_convs=3, kernel_size=5, hidden_dim=4, num_lstm_layers=2, masked_norm=True
    )


def what_enters_the_convolutions(encoder, *inputs):
    seen = []
    handle = encoder.convs.register_forward_pre_hook(lambda module, arguments: seen.append(arguments[0]))
    encoder(*inputs)
    handle.remove()
    return seen[0]


def test_each_frame_is_a_one_hot_vector_and_a_padded_one_is_all_zero(encoder):
    phones = torch.tensor([[0, 3, 8], [5, 0, 0]], dtype=torch.uint8)
    mask = torch.tensor([[True, True, True], [True, False, False]])
    expected = torch.zeros(2, 3, 9)
    expected[0, 0, 0] = expected[0, 1, 3] = expected[0, 2, 8] = expected[1, 0, 5] = 1
    assert torch.equal(what_enters_the_convolutions(encoder, phones, mask), expected)


def test_without_a_mask_silence_is_a_phone_like_any_other(encoder):
    assert what_enters_the_convolutions(encoder, torch.zeros(1, 2, dtype=torch.uint8))[0, :, 0].tolist() == [1, 1]


def test_there_is_one_output_a_frame_of_both_directions(encoder):
    assert encoder(torch.zeros(2, 7, dtype=torch.uint8)).shape == (2, 7, 8)


def test_the_integer_dtype_of_the_ids_does_not_matter(encoder):
    phones = torch.randint(0, 9, (2, 7))
    encoder.eval()
    assert torch.equal(encoder(phones), encoder(phones.to(torch.uint8)))


def test_an_id_outside_the_table_is_not_taken_for_silence(encoder):
    with pytest.raises(RuntimeError):
        encoder(torch.full((1, 4), 9))
