"""A graph answers a padded batch as its recipe answers each utterance alone."""

import pytest
import torch

from emorec_lobes.dataio.crops import pad_frames, segment_bounds
from emorec_lobes.dataio.normalise import whiten
from emorec_lobes.inference.graph import make_graph
from emorec_lobes.inference.model_folder import open_folder


def speech(model, hparams, layers, count, speaker):
    """One utterance, segment after segment, as the recipe does."""
    layers = layers[:count]
    if hparams["normalise"] == "utterance":
        std, mean = torch.std_mean(layers, dim=0, correction=0)
        layers = whiten(layers, mean, std)
    total, weights = 0, 0
    for start, stop in segment_bounds(count, hparams["crop_frames"], hparams["keep_single_frame_tail"]):
        segment = pad_frames(layers[start:stop], hparams["crop_frames"])
        logits = model(segment[None], speaker[None], num_valid=torch.tensor([stop - start])).logits
        weight = stop - start if hparams["segment_weights"] == "frames" else 1
        total, weights = total + weight * logits.softmax(1)[0], weights + weight
    return total / weights


def spectrum(model, hparams, frames, count):
    """One utterance, window after window, as the recipe does."""
    frames, size = frames[:count], hparams["crop_frames"]
    if hparams["normalise"] == "utterance":
        frames = (frames - frames.mean(0)) / frames.std(0, correction=0)
    if hparams["eval_windows"] == "whole":
        return model(frames[None]).emotion.softmax(1)[0]
    last = count - size
    starts = [*range(0, last, hparams["window_shift"]), last] if last > 0 else [0]
    windows = [frames[start : start + size] for start in starts] if last > 0 else [frames[torch.arange(size) % count]]
    return torch.stack([model(window[None]).emotion.softmax(1)[0] for window in windows]).mean(0)


def test_segments_are_weighed_padded_and_whitened_as_in_training(make_fold, tmp_path):
    changes = (
        {"segment_weights": "frames", "enrolment": "utterance"},
        {"segment_weights": "equal", "normalise": "utterance", "keep_single_frame_tail": False},
    )
    for number, change in enumerate(changes):
        opened = open_folder(make_fold(tmp_path / str(number), **change))
        graph, hparams = make_graph(opened.task, opened.model, opened.hparams), opened.hparams
        layers, speakers = torch.randn(5, 600, 3, 256), torch.rand(5, 256)
        counts = torch.tensor([600, 385, 384, 193, 1])  # a tail of one frame, whole segments, less than a segment
        known = speakers if hparams["enrolment"] != "none" else torch.zeros_like(speakers)
        with torch.inference_mode():
            found = graph(layers, counts, speakers)
            alone = [
                speech(opened.model, hparams, *each)
                for each in zip(layers, counts.tolist(), known, strict=True)
            ]  # fmt: skip
        torch.testing.assert_close(found, torch.stack(alone), atol=2e-6, rtol=0)


@pytest.mark.parametrize(("windows", "normalise"), [("overlapping", "none"), ("whole", "none"), ("whole", "utterance")])
def test_windows_are_those_of_training(make_fold, tmp_path, windows, normalise):
    changes = {"eval_windows": windows, "normalise": normalise}
    opened = open_folder(make_fold(tmp_path / "fold", "ad_resemblyzer.yaml", **changes))
    graph = make_graph(opened.task, opened.model, opened.hparams)
    frames = torch.randn(6, 330, 40)
    counts = torch.tensor([330, 280, 241, 200, 199, 7])
    with torch.inference_mode():
        found = graph(frames, counts)
        alone = [spectrum(opened.model, opened.hparams, *each) for each in zip(frames, counts.tolist(), strict=True)]
    torch.testing.assert_close(found, torch.stack(alone), atol=2e-6, rtol=0)


def test_of_speech_and_text_one_may_be_missing(make_fold, tmp_path):
    opened = open_folder(make_fold(tmp_path / "fold", "fusion_demo.yaml"))
    graph = make_graph(opened.task, opened.model, opened.hparams)
    batch = graph.example(torch.Generator().manual_seed(3))
    with torch.inference_mode():
        found = graph(*batch)
        noise = graph(torch.randn_like(batch[0]), batch[1], batch[2], batch[3])
    assert batch[1][-1] == 0 and torch.equal(found[-1], noise[-1]) and not torch.allclose(found[0], noise[0])
    torch.testing.assert_close(found.sum(1), torch.ones(len(found)))
