"""Every table of results in a recipe's README is made of the records that are committed beside it.

Between `<!-- results:NAME:begin -->` and its end stands what `emorec report recipes/X/results/NAME` prints,
results.md of a pre-training, or inflation.md of all seeds; "No results yet." where there are no records.
"""

import json
from itertools import pairwise
from pathlib import Path

import pytest

from emorec_lobes.evaluation.comparison import compare, markdown_comparison
from emorec_lobes.evaluation.generated import blocks
from emorec_lobes.evaluation.inflation import INFLATION, markdown_inflation
from emorec_lobes.evaluation.probe_table import probes_side_by_side
from emorec_lobes.evaluation.speaker_report import speaker_table
from emorec_lobes.evaluation.systems import ENDING

ROOT = Path(__file__).parents[2]
READMES = sorted(ROOT.glob("recipes/*/README.md"))


def troubles(readme: Path) -> list[str]:
    """Tables that are stale or typed, and records that no table shows."""
    shown = blocks(readme.read_text(encoding="utf-8"))
    folder = readme.parent / "results"
    kept = {path.name for path in folder.iterdir() if path.is_dir()} if folder.is_dir() else set()
    found = [f"results/{name} has no table" for name in sorted(kept - set(shown))]
    for name, content in shown.items():
        endings = (ENDING, "probe.json", INFLATION)
        records = sorted(path for ending in endings for path in (folder / name).rglob(f"*{ending}"))
        if content != table_of(records, folder / name):
            found.append(f"the table {name} is not made of results/{name}")
    return found


def table_of(records: list[Path], folder: Path) -> str:
    """What a README shows of the records of a folder: systems, probed networks, a pre-training, or inflation."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in records]
    if any("inflation" in record for record in found):
        return markdown_inflation(found)
    if any("probes" in record for record in found):
        return probes_side_by_side(found)
    if any("verification" in record for record in found):
        [record] = found
        return speaker_table(record) + "\n"
    return markdown_comparison(compare([folder]) if records else None)


@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.parent.name)
def test_a_readmes_tables_are_made_of_its_records(readme):
    assert troubles(readme) == []


def test_the_command_above_a_pretrainings_table_is_the_recorded_one():
    for path in ROOT.glob("recipes/VoxCeleb/results/*/*.json"):
        readme = path.parents[2] / "README.md"
        words = readme.read_text(encoding="utf-8").replace("\\\n", " ").split()
        given = dict(pairwise(words))
        command = json.loads(path.read_text(encoding="utf-8"))["command"]
        assert all(given[f"--{key}"] == value for key, value in command["overrides"].items())


def test_committed_records_are_not_ignored():
    lines = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert "!recipes/*/results/" in lines[lines.index("results/") :]


@pytest.mark.parametrize(
    ("content", "folders", "trouble"),
    [
        ("No results yet.\n", ["emodb"], []),
        ("No results yet.\n", [], []),
        ("| ours | 0.99 |\n", [], ["the table emodb is not made of results/emodb"]),
        ("No results yet.\n", ["emodb", "iemocap"], ["results/iemocap has no table"]),
    ],
)
def test_the_check_finds_a_typed_table_and_records_without_one(tmp_path, content, folders, trouble):
    readme = tmp_path / "README.md"
    readme.write_text(f"<!-- results:emodb:begin -->\n{content}<!-- results:emodb:end -->\n")
    for folder in folders:
        (tmp_path / "results" / folder).mkdir(parents=True)
    assert troubles(readme) == trouble
