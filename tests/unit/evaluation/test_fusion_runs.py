import json
import shlex

import pytest

from emorec_lobes.cli.main import main
from emorec_lobes.errors import ProtocolError
from emorec_lobes.evaluation.comparison import compare, markdown_comparison
from emorec_lobes.evaluation.fusion_runs import as_run, fusion_line
from emorec_lobes.evaluation.systems import command_line, keep_records


@pytest.fixture
def fused(tmp_path, write_whole_run):
    """`fused(name, seed, *options)`: the folder of a fusion of two runs of that seed."""

    def fuse(name, seed, *options):
        inputs = []
        for kind, skill in (("speech", 2.0), ("text", 0.5)):
            folder = tmp_path / f"seed_{seed}/{kind}"
            inputs.append(
                str((folder if folder.exists() else write_whole_run(folder, seed, skill)) / "predictions.csv")
            )
        assert main(["fuse", *inputs, *options, "--to", str(tmp_path / f"seed_{seed}/{name}")]) == 0
        return tmp_path / f"seed_{seed}/{name}"

    return fuse


@pytest.mark.parametrize("options", [[], ["--method", "grid", "--calibrate"], ["--weights", "0.6", "1.0"]])
def test_the_line_of_a_fusion_makes_the_same_answers_again(fused, tmp_path, options):
    folder = fused("fused", 1, *options)
    record = as_run(json.loads((folder / "results.json").read_text()))
    words = shlex.split(fusion_line(record, str(tmp_path / "an other")))
    assert words[0] == "emorec" and main(words[1:]) == 0
    assert (tmp_path / "an other/predictions.csv").read_bytes() == (folder / "predictions.csv").read_bytes()


def test_two_methods_are_two_systems_and_two_seeds_are_one(fused):
    places = [fused(name, seed, "--method", name) for seed in (1, 2) for name in ("stacking", "grid")]
    table = compare(places)
    assert {row.system.name for row in table.rows} == {"fusion_stacking speech+text", "fusion_grid speech+text"}
    assert all(list(row.system.runs) == [1, 2] for row in table.rows)
    assert len(command_line(table.rows[0].system).splitlines()) == 2
    assert "strict, weights: valid rows of each fold" in markdown_comparison(table)


def test_the_same_seed_twice_is_refused(fused):
    with pytest.raises(ProtocolError, match="are seed 1 of one system"):
        compare([fused("once", 1), fused("twice", 1)])


def test_an_oracle_is_called_one(fused):
    assert "ORACLE (chosen on the test)" in markdown_comparison(compare([fused("best", 1, "--method", "oracle")]))


def test_a_folder_that_holds_a_fusion_and_its_inputs_is_one_table_kept_or_not(fused, tmp_path):
    table = compare([fused("fused", 1).parent])
    assert len(table.rows) == 3
    keep_records([row.system for row in table.rows], None, tmp_path / "kept", table.sources)
    assert markdown_comparison(compare([tmp_path / "kept"])) == markdown_comparison(table)
