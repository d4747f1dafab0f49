import re
import statistics

import pytest

from emorec_lobes.evaluation.comparison import compare, markdown_comparison, protocol_in_short
from emorec_lobes.evaluation.systems import keep_records


def cells(markdown):
    """The table's rows, each as heading -> cell."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in markdown.splitlines() if line[:1] == "|"]
    return [dict(zip(rows[0], row, strict=True)) for row in rows[2:]]


def test_a_row_shows_mean_and_deviation_over_seeds_and_the_interval_around(two_systems):
    table = compare([two_systems])
    first = cells(markdown_comparison(table))[0]
    records = table.rows[0].system.runs.values()
    assert first["system"] == "`ser_small --refit True`" and first["seeds"] == "1, 2, 3"
    for heading, metric in (("UAR", "uar"), ("accuracy", "accuracy"), ("weighted F1", "weighted_f1")):
        assert first[heading] == f"{statistics.mean(record[metric] for record in records):.3f}"
    assert first["± sd"] == f"{statistics.stdev(record['uar'] for record in records):.3f}"
    low, high = map(float, first["95 % interval"].split(" to "))
    assert low < float(first["UAR"]) < high


def test_rows_stand_by_falling_uar_and_the_base_first(two_systems):
    names = [row.system.name for row in compare([two_systems]).rows]
    assert names == ["ser_small --refit True", "ser_small"]
    based = compare([two_systems], two_systems / "plain")
    assert [row.system.name for row in based.rows] == names[::-1] and based.base.name == "ser_small"


def test_a_base_that_is_not_among_the_runs_joins_them(two_systems):
    apart = compare([two_systems / "refit"], two_systems / "plain")
    assert markdown_comparison(apart) == markdown_comparison(compare([two_systems], two_systems / "plain/seed_3"))


def test_the_difference_to_the_base_is_that_of_the_means(two_systems):
    base, other = cells(markdown_comparison(compare([two_systems], two_systems / "plain")))
    assert base["against the first row"] == "-"
    shown = re.fullmatch(r"(\+0\.\d{3}) \((.0\.\d{3}) to (.0\.\d{3})\)", other["against the first row"])
    assert float(shown[1]) == pytest.approx(float(other["UAR"]) - float(base["UAR"]), abs=0.0011)
    low, high = (float(text.replace("−", "-")) for text in shown.groups()[1:])
    assert low < float(shown[1]) < high


def test_without_a_base_there_is_no_column_of_differences(two_systems):
    assert "against" not in markdown_comparison(compare([two_systems]))


def test_kept_records_make_the_same_table_base_and_all(two_systems, tmp_path):
    table = compare([two_systems], two_systems / "plain")
    keep_records([row.system for row in table.rows], table.base, tmp_path / "kept", table.sources)
    assert markdown_comparison(compare([tmp_path / "kept"])) == markdown_comparison(table)


def test_a_single_seed_has_no_deviation_but_an_interval_over_speakers(tmp_path, write_run):
    markdown = markdown_comparison(compare([write_run(tmp_path)]))
    assert cells(markdown)[0]["± sd"] == "-"
    assert "bootstrap over 1 seed and 6 speakers" in markdown


def test_unknown_speakers_leave_the_interval_out_and_say_so(tmp_path, write_run):
    path = write_run(tmp_path) / "results.json"
    path.write_text(path.read_text().replace('"s0"', '""'))
    markdown = markdown_comparison(compare([path]))
    assert cells(markdown)[0]["95 % interval"] == "-" and "speakers unknown" in markdown and "No interval" in markdown


def test_every_row_has_a_command_in_the_folded_list(two_systems):
    folded = markdown_comparison(compare([two_systems])).partition("<details>")[2]
    lines = re.search(r"```sh\n(.*)\n```", folded, re.DOTALL)[1].splitlines()
    assert len(lines) == 2 and all(line.startswith("for seed in 1 2 3; do python recipes/") for line in lines)
    assert ["--refit True" in line for line in lines] == [True, False]


def test_a_table_without_records_says_so():
    assert markdown_comparison(None) == "No results yet.\n"


@pytest.mark.parametrize(
    ("stamp", "words"),
    [
        ({"protocol": "paper", "speaker_statistics_over": "nothing"}, "paper"),
        ({"protocol": "strict", "speaker_statistics_over": "all"}, "strict, statistics over test speakers"),
        ({"protocol": "strict"}, "strict, speaker statistics not stated"),
        (
            {"protocol": "strict", "refit_on_train_and_valid": True, "normalise": "utterance",
             "speaker_statistics_over": "nothing"},
            "strict + refit",
        ),
    ],
)  # fmt: skip
def test_the_protocol_is_told_in_a_few_words(stamp, words):
    assert protocol_in_short(stamp) == words
