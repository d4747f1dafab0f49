"""The benchmark of answers from both stores refuses what is no run, and counts what differs."""

from types import SimpleNamespace

import pytest
import torch

SCRIPT = "store_precision.py"


@pytest.mark.parametrize(
    ("words", "expected"), [([], "has none. Name a finished run"), (["--folds", "0"], "`folds` must be 1 or more")]
)
def test_bad_input_is_one_line_and_exit_code_2(benchmark, tmp_path, capsys, words, expected):
    assert benchmark.main([str(tmp_path), "--data-folder", str(tmp_path), *words]) == 2
    out, err = capsys.readouterr()
    assert out == "" and expected in err and err.count("\n") == 1


def test_a_run_without_its_corpus_is_one_line(benchmark, tmp_path, capsys):
    assert benchmark.main([str(tmp_path)]) == 2
    assert "Name both or neither" in capsys.readouterr().err


def test_without_a_run_the_packages_model_answers_about_the_same_from_both(benchmark, monkeypatch, capsys):
    monkeypatch.setattr(benchmark, "_COUNT", 3)
    assert benchmark.main([]) == 0
    *_, exact, whole = (line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines())
    assert exact[0] == "float16" and exact[2] == "-" and float(exact[4]) == 0
    assert whole[0] == "int8" and 0 < float(whole[4]) < 0.05 and int(whole[1]) < 0.6 * int(exact[1])


def test_changed_labels_and_the_largest_difference_are_counted_over_all_folds(benchmark, tmp_path):
    (tmp_path / "file").write_bytes(bytes(10))
    store = SimpleNamespace(folder=tmp_path, ids=["a"], entry=lambda item: SimpleNamespace(file="file"))
    rows = torch.tensor([[0.6, 0.4], [0.51, 0.49], [0.2, 0.8]])
    other = torch.tensor([[0.6, 0.4], [0.48, 0.52], [0.25, 0.75]])
    folds = [
        benchmark.Answers(["a"] * len(part), {"float16": rows[part], "int8": other[part]}, torch.tensor(truth), stores)
        for part, truth, stores in (
            ([0, 1], [0, 0], {"float16": store, "int8": store}),
            ([2], [1], {"float16": store, "int8": store}),
        )
    ]

    *_, exact, whole = benchmark.table(folds)

    assert exact == "| float16 | 10 | 1.0000 | 0 of 3 | 0.00000 | 0.000000 |"
    assert whole.startswith("| int8 | 10 | 0.6667 | 1 of 3 | 0.05000 |")


def test_segments_weigh_as_the_run_says(benchmark):
    logits = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    inputs = lambda item: (torch.zeros(2, 3), torch.zeros(2), torch.tensor([30, 10]))  # noqa: E731

    def model(layers, speakers, num_valid):
        return SimpleNamespace(logits=logits)

    shares = logits.softmax(dim=1)
    assert torch.allclose(benchmark.probabilities_of(model, inputs, "a", True), 0.75 * shares[0] + 0.25 * shares[1])
    assert torch.allclose(benchmark.probabilities_of(model, inputs, "a", False), shares.mean(dim=0))
