import re
import statistics

import pytest

from emorec_lobes.errors import ConfigError, ProtocolError
from emorec_lobes.evaluation.comparison import compare, markdown_comparison, protocol_in_short
from emorec_lobes.evaluation.systems import keep_records
from emorec_lobes.evaluation.units import Units


def cells(markdown):
    """The table's rows, each as heading -> cell."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in markdown.splitlines() if line[:1] == "|"]
    return [dict(zip(rows[0], row, strict=True)) for row in rows[2:]]


def test_a_row_shows_mean_and_deviation_over_seeds_and_the_interval_around(two_systems):
    table = compare([two_systems])
    first = cells(markdown_comparison(table))[0]
    records = table.rows[0].system.runs.values()
    assert first["system"] == "`ser_small --refit True`" and first["seeds"] == "1, 2, 3"
    for heading, metric in (
        ("UAR", "uar"),
        ("accuracy", "accuracy"),
        ("weighted F1", "weighted_f1"),
        ("macro F1", "macro_f1"),
    ):
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


def test_another_score_takes_the_first_column_the_order_the_interval_and_the_difference(two_systems):
    table = compare([two_systems], two_systems / "plain", "macro_f1")
    base, other = cells(markdown_comparison(table))
    assert list(base)[3:9] == ["macro F1", "± sd", "95 % interval", "accuracy", "UAR", "weighted F1"]
    mean = {row.system.name: statistics.mean(row.system.scores("macro_f1")) for row in table.rows}
    assert base["macro F1"] == f"{mean['ser_small']:.3f}"
    difference = float(other["against the first row"].split(" (")[0])
    assert difference == pytest.approx(mean["ser_small --refit True"] - mean["ser_small"], abs=0.0006)
    assert {row.band["metric"] for row in table.rows} == {"macro_f1"}
    assert table.rows[1].difference_band["metric"] == "macro_f1"


@pytest.mark.parametrize(
    ("chosen_on", "metric"),
    [
        (["validation macro_f1"] * 2, "macro_f1"),
        (["validation macro_f1", "validation uar"], "uar"),
        (["last update"] * 2, "uar"),
    ],
)
def test_without_a_score_the_table_is_of_the_one_that_chose_everywhere(tmp_path, write_run, chosen_on, metric):
    for seed, each in enumerate(chosen_on):
        stamp = {"checkpoint_chosen_on": each}
        write_run(tmp_path / str(seed), seed, {"validation_score": each}, stamp=stamp)
    assert compare([tmp_path]).metric == metric


def test_a_score_there_is_not_is_refused(two_systems):
    with pytest.raises(ConfigError, match=r"`score` must be one of accuracy, uar, weighted_f1, macro_f1"):
        compare([two_systems], metric="f1")


@pytest.mark.parametrize(("num_dialogs", "name"), [(12, "dialogues"), (60, "utterances")])
def test_the_units_of_a_record_are_what_intervals_draw(tmp_path, write_run, num_dialogs, name):
    units = Units(name, {f"u{number}": f"d{number % num_dialogs}" for number in range(60)})
    for skill in (0.6, 0.9):
        write_run(tmp_path / str(skill), overrides={"lr": str(skill)}, skill=skill, units=units)
    table = compare([tmp_path], tmp_path / "0.6")
    assert f"bootstrap over 1 seed and {num_dialogs} {name}" in markdown_comparison(table)
    assert f"paired bootstrap over {num_dialogs} {name}" in markdown_comparison(table)
    assert table.rows[1].difference_band["low"] > 0


def test_tests_of_other_units_do_not_stand_in_one_table(tmp_path, write_run):
    dialogs = Units("dialogues", {f"u{number}": f"d{number % 7}" for number in range(60)})
    for name, units in (("a", dialogs), ("b", None)):
        write_run(tmp_path / name, overrides={"lr": name}, units=units)
    with pytest.raises(ProtocolError, match="what intervals draw"):
        compare([tmp_path])


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
        ({"protocol": "strict", "checkpoint_chosen_on": "validation accuracy", "speaker_statistics_over": "nothing"},
         "strict, chosen by accuracy"),
        ({"protocol": "strict", "checkpoint_chosen_on": "last update", "speaker_statistics_over": "nothing"}, "strict"),
        (
            {"protocol": "strict", "refit_on_train_and_valid": True, "normalise": "utterance",
             "speaker_statistics_over": "nothing"},
            "strict + refit",
        ),
    ],
)  # fmt: skip
def test_the_protocol_is_told_in_a_few_words(stamp, words):
    assert protocol_in_short(stamp) == words


def test_what_peeked_stands_last_is_marked_and_is_compared_with_nothing(two_systems, write_run):
    for seed in (1, 2, 3):
        stamp = {"protocol": "peeked", "peeked": "epochs chosen on the test"}
        write_run(two_systems / f"peek/seed_{seed}", seed, {"lr": "9"}, skill=0.99, stamp=stamp)
    rows = cells(markdown_comparison(compare([two_systems], two_systems / "plain")))
    assert rows[-1]["protocol"] == "peeked, INFLATED (epochs chosen on the test)"
    assert float(rows[-1]["UAR"]) > max(float(row["UAR"]) for row in rows[:-1])
    assert rows[-1]["against the first row"] == "-"
    assert "is no result" in markdown_comparison(compare([two_systems]))
    with pytest.raises(ProtocolError, match=r"The base must be an honest system, but .* is INFLATED"):
        compare([two_systems], two_systems / "peek")
