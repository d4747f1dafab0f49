"""Every table of results in a recipe's README is made of the records that are committed beside it.

Between `<!-- results:NAME:begin -->` and its end stands what `emorec report recipes/X/results/NAME` prints; "No results
yet." where there are no records.
"""

from pathlib import Path

import pytest

from emorec_lobes.evaluation.comparison import compare, markdown_comparison
from emorec_lobes.evaluation.generated import blocks
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
        records = sorted((folder / name).rglob(f"*{ENDING}"))
        table = compare([folder / name]) if records else None
        if content != markdown_comparison(table):
            found.append(f"the table {name} is not made of results/{name}")
    return found


@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.parent.name)
def test_a_readmes_tables_are_made_of_its_records(readme):
    assert troubles(readme) == []


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
