import functools

import pytest

from emorec_lobes.cli.main import main
from emorec_lobes.corpora import synthetic


@pytest.fixture(autouse=True)
def small(monkeypatch):
    pytest.importorskip("espeakng_loader")
    monkeypatch.setattr(synthetic, "make_corpus", functools.partial(synthetic.make_corpus, num_turns=2))


def test_it_makes_the_corpus_then_leaves_it_then_refuses_another_seed(tmp_path, capsys):
    folder = str(tmp_path / "corpus")
    assert main(["synth", "--to", folder]) == 0
    assert "emorec prepare synthetic --data-folder" in capsys.readouterr().out
    assert (tmp_path / "corpus" / "Session5" / "dialog" / "EmoEvaluation" / "Ses05F_impro01.txt").is_file()
    assert main(["synth", "--to", folder, "--seed", "1"]) == 0
    assert "already; nothing was done" in capsys.readouterr().out
    assert main(["synth", "--to", folder, "--seed", "2"]) == 2
    message = capsys.readouterr().err
    assert "must be empty, but holds another synthetic corpus" in message
    assert message.count("\n") == 1


def test_what_it_makes_can_be_prepared_as_synthetic_and_not_as_iemocap(tmp_path, capsys):
    assert main(["synth", "--to", str(tmp_path / "corpus")]) == 0
    options = ["--data-folder", str(tmp_path / "corpus"), "--manifest", str(tmp_path / "manifest.json")]
    assert main(["prepare", "synthetic", *options]) == 0
    assert main(["prepare", "iemocap", *options]) == 2
    assert "is synthetic speech" in capsys.readouterr().err
