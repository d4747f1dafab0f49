"""A graph that begins with waves answers as the recognizer does."""

import numpy as np
import pytest
import torch

from emorec_lobes.features.resemblyzer import power_mels, raise_level
from emorec_lobes.inference.graph import make_graph
from emorec_lobes.inference.model_folder import open_folder
from emorec_lobes.inference.programs import write_onnx, write_program
from emorec_lobes.inference.recognizer import EmotionRecognizer
from emorec_lobes.inference.waves import WaveGraph, _raised, takes_waves


@pytest.fixture(scope="module")
def folder(make_fold, tmp_path_factory):
    return make_fold(tmp_path_factory.mktemp("run") / "fold_1")


@pytest.fixture(scope="module")
def graph(folder):
    opened = open_folder(folder)
    return WaveGraph(make_graph(opened.task, opened.model, opened.hparams)).eval()


@pytest.fixture(scope="module")
def batch():
    generator = torch.Generator().manual_seed(3)
    waves = torch.randn(4, 40_000, generator=generator) * torch.tensor([[0.3], [0.01], [1e-4], [0.0]])
    return waves, torch.tensor([40_000, 16_001, 23_456, 8_000])


def test_the_fourier_transform_is_that_of_the_encoder(graph, batch):
    torch.testing.assert_close(graph._power_mels(batch[0]), power_mels(batch[0]), rtol=1e-4, atol=1e-4)


def test_quiet_waves_are_raised_by_their_own_samples_alone(batch):
    waves, counts = batch
    for found, wave, count in zip(_raised(waves, counts), waves, counts, strict=True):
        torch.testing.assert_close(found[:count], raise_level(wave[:count]), rtol=1e-5, atol=1e-7)
        assert not found[count:].any()


def test_answers_are_the_recognizers(folder, graph, batch):
    waves, counts = batch
    recognizer = EmotionRecognizer.from_hparams(folder)
    alone = [wave[:count].numpy() for wave, count in zip(waves[:3], counts, strict=False)]
    expected = [list(each.probabilities.values()) for each in recognizer.predict(alone, sample_rate_hz=16_000)]
    with torch.inference_mode():
        np.testing.assert_allclose(graph(waves, counts)[:3], expected, atol=1e-4)


def test_a_speaker_is_asked_for_only_by_a_model_that_heeds_one(make_fold, tmp_path, graph):
    opened = open_folder(make_fold(tmp_path / "fold_1", enrolment="utterance"))
    heeding = WaveGraph(make_graph(opened.task, opened.model, opened.hparams)).eval()
    assert (graph.inputs, heeding.inputs) == (("waves", "num_samples"), ("waves", "num_samples", "speaker"))
    waves, counts, speaker = heeding.example(torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert (heeding(waves, counts, speaker) - heeding(waves, counts)).abs().max() > 1e-6


def test_only_resemblyzers_layers_as_they_are_can_be_made_of_waves(make_fold, tmp_path):
    for number, (hparams, changes, expected) in enumerate(
        [
            ("ser_resemblyzer.yaml", {"normalise": "utterance"}, True),
            ("ser_resemblyzer.yaml", {"normalise": "speaker"}, False),
            ("ser_resemblyzer.yaml", {"encoder": "mel", "encoder_dim": 80, "num_layers": 1}, False),
            ("ad_resemblyzer.yaml", {}, False),
        ]
    ):
        opened = open_folder(make_fold(tmp_path / str(number) / "fold_1", hparams, **changes))
        assert takes_waves(make_graph(opened.task, opened.model, opened.hparams), opened.hparams) is expected


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["onnx", "pt2"])
def test_a_program_takes_waves_of_any_length(graph, batch, tmp_path, kind):
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    path = tmp_path / f"model.{kind}"
    program = write_onnx(graph, path, list("abcd")) if kind == "onnx" else write_program(graph, path)
    with torch.inference_mode():
        for first, last in ((0, 4), (1, 2), (2, 4)):
            some = [each[first:last] for each in batch]
            torch.testing.assert_close(program(*some), graph(*some), atol=1e-4, rtol=0)
