"""The benchmark of growth makes what it says, and measures what it says."""

import pytest
import soundfile

from emorec_lobes.corpora.leakage import check_leakage
from emorec_lobes.corpora.manifest import ManifestInfo, read_manifest, write_manifest
from emorec_lobes.corpora.protocol import make_folds

SCRIPT = "growth.py"


def test_its_corpus_has_the_hours_asked_for_and_takes_the_disk_of_forty_files(benchmark, tmp_path):
    count = benchmark.write_corpus(tmp_path / "corpus", hours=0.1)
    files = sorted((tmp_path / "corpus").glob("*.wav"))
    assert count == len(files) == 80
    assert sum(soundfile.info(path).duration for path in files) == pytest.approx(360)
    assert len({path.stat().st_ino for path in files}) == 40
    assert files[0].read_bytes() == files[40].read_bytes() != files[1].read_bytes()


def test_its_manifest_is_one_that_splits_and_leaks_nothing(benchmark, tmp_path):
    write_manifest(tmp_path / "m.json", benchmark.utterances(2_000), ManifestInfo("big"))
    rows = read_manifest(tmp_path / "m.json")
    folds = make_folds(rows, "speaker_groups", "strict", num_groups=5)
    assert len(rows) == 2_000 and sum(len(fold.test) for fold in folds) == 2_000
    for fold in folds:
        check_leakage(fold, rows, {})
    costs = benchmark.manifest_costs(tmp_path / "m.json")
    assert list(costs) == ["open and validate", "5 folds by speakers", "leak checks, all folds"]


def test_a_commands_memory_and_time_are_its_own(benchmark, tmp_path):
    block = bytearray(400_000_000)
    cost = benchmark.run_command(("predict", "--help"))
    assert cost.peak_mb < 200 < len(block) / 1e6 and cost.cpu_s > 0
    with pytest.raises(benchmark.ConfigError, match=r"failed: .*must be a list of files"):
        benchmark.run_command(("predict", "--list", tmp_path / "none.txt"))


@pytest.mark.parametrize("words", [["--parts", "none"], ["--hours", "0"], ["--rows", "1"]])
def test_bad_input_is_one_line_and_exit_code_2(benchmark, capsys, words):
    assert benchmark.main(words) == 2
    assert capsys.readouterr().err.count("\n") == 1
