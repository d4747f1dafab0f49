import numpy as np
import pytest
import torch
from speechbrain.dataio.dataio import length_to_mask

from emorec_lobes.lengths import frames_to_mask, lens_to_frames, lens_to_mask

MAX_FRAMES = 200


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_length_up_to_200_frames_comes_back_exactly(dtype):
    for num_frames in range(1, MAX_FRAMES + 1):
        truth = torch.arange(1, num_frames + 1)
        lens = truth.to(dtype) / num_frames
        assert torch.equal(lens_to_frames(lens, num_frames), truth)
        assert lens_to_frames(lens, num_frames).dtype == torch.int64


def test_every_mask_up_to_200_frames_is_that_of_the_integer_comparison():
    for num_frames in range(1, MAX_FRAMES + 1):
        truth = np.arange(1, num_frames + 1)
        expected = np.arange(num_frames)[None, :] < truth[:, None]
        mask = lens_to_mask(torch.from_numpy(truth).float() / num_frames, num_frames)
        assert np.array_equal(mask.numpy(), expected)


def test_comparing_floats_lets_a_padded_frame_in_for_7_of_13():
    lens = torch.tensor([7 / 13])
    assert length_to_mask(lens * 13, 13).sum() == 8
    assert (torch.arange(13) < lens * 13).sum() == 8
    assert lens_to_mask(lens, 13).sum() == 7


def test_a_length_of_one_is_the_whole_batch_even_when_rounding_up_would_exceed_it():
    assert lens_to_frames(torch.tensor([1.0, 1.01]), 96).tolist() == [96, 96]


def test_a_mask_is_true_on_the_first_frames_only():
    mask = frames_to_mask(torch.tensor([0, 2, 5]), 5)
    assert mask.dtype == torch.bool
    assert mask.tolist() == [[False] * 5, [True, True, False, False, False], [True] * 5]
