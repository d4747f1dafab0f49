"""A program answers as its model does, whatever the number of utterances and of frames."""

import re
import sys

import pytest
import torch

from emorec_lobes.cli.main import main
from emorec_lobes.errors import DataError
from emorec_lobes.inference import programs
from emorec_lobes.inference.graph import make_graph
from emorec_lobes.inference.model_folder import open_folder, verify
from emorec_lobes.inference.programs import compared, write_onnx, write_program

KINDS = ["ser_resemblyzer.yaml", "ad_resemblyzer.yaml", "ad_vgg5.yaml", "ter_minilm.yaml", "fusion_demo.yaml"]


def graph_of(folder):
    opened = open_folder(folder)
    return make_graph(opened.task, opened.model, opened.hparams), opened.hparams["labels"]


def sizes(batch, num_items, num_frames):
    """A batch cut to other numbers of utterances and of frames."""
    cut = [each[:num_items, :num_frames] if each.dim() > 2 else each[:num_items] for each in batch]
    return [each.clamp(max=num_frames) if each.dim() == 1 else each for each in cut]


def assert_free_sizes(graph, program):
    batch = graph.example(torch.Generator().manual_seed(9))
    with torch.inference_mode():
        for num_items, num_frames in ((1, 230), (3, 97), (2, 16)):
            part = sizes(batch, num_items, num_frames)
            torch.testing.assert_close(program(*part), graph(*part), atol=1e-5, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize("hparams", KINDS)
def test_a_program_of_pytorch_takes_any_size(make_fold, tmp_path, hparams):
    graph, _ = graph_of(make_fold(tmp_path / "fold_1", hparams))
    program = write_program(graph, tmp_path / "model.pt2")
    assert_free_sizes(graph, program)


@pytest.mark.slow
@pytest.mark.parametrize("hparams", KINDS)
def test_an_onnx_file_takes_any_size(make_fold, tmp_path, hparams):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    graph, labels = graph_of(make_fold(tmp_path / "fold_1", hparams))
    program = write_onnx(graph, tmp_path / "model.onnx", labels)
    assert_free_sizes(graph, program)
    written = onnx.load(tmp_path / "model.onnx")
    assert {item.key: item.value for item in written.metadata_props}["labels"] == ",".join(labels)
    assert [item.name for item in written.graph.output] == ["probabilities"]


@pytest.mark.slow
def test_the_command_writes_both_and_they_are_verified_like_the_rest(fold, tmp_path, capsys):
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    assert main(["export", str(fold), "--to", str(tmp_path / "model"), "--onnx"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("model.")]
    moved = [float(re.search(r"largest \|dp\| (\S+) over", line).group(1)) for line in lines]
    assert len(moved) == 2 and max(moved) < 1e-4
    assert "8 files" in next(verify(tmp_path / "model"))


def test_without_the_libraries_nothing_is_left_behind(fold, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.setattr(programs, "write_program", lambda graph, path: graph)
    assert main(["export", str(fold), "--to", str(tmp_path / "model"), "--onnx"]) == 2
    assert "`--onnx` needs onnxruntime. Run pip install 'emorec[onnx]'." in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_program_that_answers_otherwise_is_refused(fold):
    graph, _ = graph_of(fold)

    def program(*batch):
        return graph(*batch).roll(1, dims=1)

    with pytest.raises(DataError, match=r"model\.x must answer as the model does"):
        compared(graph, program, "model.x")
    assert compared(graph, graph, "model.x").startswith("model.x: largest |dp| 0 over 16 random utterances of 16;")


class Chaos(torch.nn.Module):
    """Answers by a wave so short that rounding decides the first utterance's answer."""

    def forward(self, features):
        wave = (features * torch.tensor([[1e9], [1.0], [1.0]])).sin().mean(1)
        return torch.stack([wave, -wave], dim=1).softmax(1)

    def example(self, generator):
        return (torch.rand(3, 50, generator=generator),)


def test_where_the_last_digits_decide_a_program_is_not_blamed():
    chaos = Chaos()

    def program(features):
        return chaos(features.double()).float()

    features = chaos.example(torch.Generator().manual_seed(1))[0]
    assert (program(features) - chaos(features)).abs().amax(1)[0] > 0.01
    line = compared(chaos, program, "model.x")
    assert "over 8 random utterances of 12" in line
