"""Crops stay inside the utterance and can be anywhere in it; segments cover it."""

import numpy as np
import pytest
import torch

from emorec_lobes.dataio.crops import crop_start, pad_frames, segment_bounds


@pytest.mark.parametrize("num_frames", [96, 97, 98, 150, 500])
def test_every_start_is_equally_likely_and_the_last_frame_is_reached(num_frames):
    fractions = (np.arange(4000) + 0.5) / 4000
    starts = [crop_start(fraction, num_frames, 96) for fraction in fractions]
    counts = np.bincount(starts)
    assert len(counts) == num_frames - 96 + 1
    assert max(counts) - min(counts) <= 1
    assert max(starts) + 96 == num_frames


def test_the_authors_bound_never_reaches_the_last_frame():
    starts = {crop_start(fraction, 100, 96, reaches_end=False) for fraction in np.linspace(0, 0.9999, 1000)}
    assert starts == {0, 1, 2, 3}


@pytest.mark.parametrize("num_frames", [1, 50, 96])
def test_an_utterance_no_longer_than_a_crop_starts_at_its_beginning(num_frames):
    assert {crop_start(fraction, num_frames, 96, reaches) for fraction in (0, 0.99) for reaches in (True, False)} == {0}


@pytest.mark.parametrize("num_frames", [1, 95, 96, 97, 192, 193, 1000])
def test_segments_cover_every_frame_once(num_frames):
    bounds = segment_bounds(num_frames, 96)
    assert [frame for start, stop in bounds for frame in range(start, stop)] == list(range(num_frames))
    assert all(stop - start == 96 for start, stop in bounds[:-1])


@pytest.mark.parametrize(("num_frames", "expected"), [(97, 1), (98, 2), (193, 2), (1, 1)])
def test_the_authors_drop_a_tail_of_exactly_one_frame_but_never_the_only_frame(num_frames, expected):
    assert len(segment_bounds(num_frames, 96, keep_single_frame_tail=False)) == expected


def test_padding_appends_zeros_and_keeps_the_type():
    padded = pad_frames(torch.ones(2, 3, dtype=torch.float16), 5)
    assert padded.dtype == torch.float16
    assert padded.tolist() == [[1, 1, 1]] * 2 + [[0, 0, 0]] * 3
