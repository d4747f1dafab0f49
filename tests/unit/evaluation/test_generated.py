import pytest

from emorec_lobes.errors import ConfigError
from emorec_lobes.evaluation.generated import blocks, replaced

TEXT = """# Title

<!-- results:emodb:begin -->
old
<!-- results:emodb:end -->

between

<!-- results:emodb_ablations:begin -->
<!-- results:emodb_ablations:end -->
"""


@pytest.fixture
def readme(tmp_path):
    path = tmp_path / "README.md"
    path.write_text(TEXT)
    return path


def test_the_parts_of_a_text_are_found_by_name():
    assert blocks(TEXT) == {"emodb": "old\n", "emodb_ablations": ""}
    assert blocks("no part") == {}


def test_only_what_stands_between_the_marks_is_replaced(readme):
    assert replaced(readme, "emodb", "new\nlines\n") == TEXT.replace("old\n", "new\nlines\n")
    assert blocks(replaced(readme, "emodb_ablations", "x\n")) == {"emodb": "old\n", "emodb_ablations": "x\n"}
    assert readme.read_text() == TEXT


def test_content_is_taken_as_it_is(readme):
    assert blocks(replaced(readme, "emodb", "a \\1 \\g<0>\n"))["emodb"] == "a \\1 \\g<0>\n"


@pytest.mark.parametrize(
    "text",
    [
        "none",
        "<!-- results:emodb:begin -->\n",
        "<!-- results:emodb:end -->\n<!-- results:emodb:begin -->\n",
        TEXT + TEXT,
    ],
)
def test_marks_that_are_missing_or_doubled_are_refused_in_one_line(tmp_path, text):
    path = tmp_path / "README.md"
    path.write_text(text)
    with pytest.raises(ConfigError, match="must have `<!-- results:emodb:begin -->` and, below it") as caught:
        replaced(path, "emodb", "new\n")
    assert "\n" not in str(caught.value)


def test_a_file_that_is_missing_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="is missing"):
        replaced(tmp_path / "none.md", "emodb", "")
