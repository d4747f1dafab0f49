"""What records, their tables and the page say of raters; and that all stays as it was where nobody rated."""

import json
import re
from base64 import b64decode

import pytest

from emorec_lobes.evaluation.report import markdown_table, results_record, terminal_table
from emorec_lobes.labels import FOUR_CLASSES

from .test_full_report import HOSTILE, Page, report

STAMP = {"corpus": "emodb", "protocol": "strict", "speaker_statistics_over": "nothing"}


def heard_by(ids, num_raters=3):
    """Each third utterance is heard alike by all, each third by two of them, and each third by none but its own."""
    return {
        item: {
            f"E{rater}": [FOUR_CLASSES[(number + rater * (number % 3 == 2 or (number % 3 == 1 and rater == 2))) % 4]]
            for rater in range(num_raters)
        }
        for number, item in enumerate(ids)
    }


def test_a_record_without_ratings_is_what_it_was(answers):
    plain = results_record(answers(), STAMP, {})
    assert "raters" not in plain
    for ratings in ({}, {"another": {"E1": ["sad"]}}):
        assert json.dumps(results_record(answers(), STAMP, {}, ratings=ratings)) == json.dumps(plain)
    assert "rater" not in markdown_table(plain)


def test_a_records_tables_name_the_ceiling_with_its_interval_and_each_level_of_agreement(answers):
    tested = answers()
    record = json.loads(json.dumps(results_record(tested, STAMP, {}, ratings=heard_by(tested.ids))))
    assert record == results_record(tested, STAMP, {}, ratings=heard_by(tested.ids))
    human = record["raters"]["one_rater"]["others"]
    band = human["intervals"]["accuracy"]
    row = f"| one rater, against the others' majority | {human['num_utterances']} | {human['accuracy']:.3f} | "
    assert row + f"{band['low']:.3f} to {band['high']:.3f} |" in markdown_table(record)
    assert [row["level"] for row in record["raters"]["by_agreement"]] == ["full", "majority", "tied"]
    assert sum(row["num_utterances"] for row in record["raters"]["by_agreement"]) == len(tested)
    assert "| full: all name the same | 40 | " in markdown_table(record)
    for text in (terminal_table(record), markdown_table(record)):
        assert f"Krippendorff's alpha {record['raters']['alpha']:.3f}" in text
        assert f"Jensen-Shannon distance {record['raters']['soft']['jensen_shannon']:.3f} (base 2)" in text
    plain = results_record(tested, STAMP, {})
    assert {key: value for key, value in record.items() if key != "raters"} == json.loads(json.dumps(plain))


def test_one_rater_each_are_said_to_give_no_ceiling(answers):
    tested = answers()
    record = results_record(tested, STAMP, {}, ratings=heard_by(tested.ids, num_raters=1))
    assert "No human ceiling: no utterance was rated by two or more." in markdown_table(record)
    assert "against the others' majority" not in markdown_table(record)


@pytest.fixture
def rated_runs(tmp_path, write_whole_run, strict_run):
    """Two seeds of one system and one of another."""
    ratings = heard_by(strict_run().only("test").ids)
    for skill, seed in ((2.0, 1), (2.0, 2), (0.5, 1)):
        write_whole_run(tmp_path / f"runs/{skill}/seed_{seed}", seed, skill, ratings=ratings)
    return tmp_path / "runs"


def test_the_page_shows_the_ceiling_and_the_accuracy_at_each_level_with_a_figure(rated_runs, tmp_path):
    texts = report([rated_runs], tmp_path / "out")
    records = [json.loads(path.read_text()) for path in sorted(rated_runs.glob("2.0/*/results.json"))]
    page = Page(texts["index.html"])
    human = records[0]["raters"]["one_rater"]["others"]
    ceiling = page.table("Human ceiling")
    assert ceiling[0]["accuracy"] == f"{human['accuracy']:.3f}" and ceiling[0]["UAR"] == f"{human['uar']:.3f}"
    assert [row["who answers"] for row in ceiling[2:]] == ["ser_small --skill 2.0", "ser_small --skill 0.5"]
    for place, row in enumerate(page.table("Accuracy by agreement of the raters")):
        seeds = [record["raters"]["by_agreement"][place]["accuracy"] for record in records]
        assert row["ser_small --skill 2.0"] == f"{sum(seeds) / 2:.3f}"
        assert f"{row['ser_small --skill 2.0']}" in texts["results.md"]
    distance = sum(record["raters"]["soft"]["jensen_shannon"] for record in records) / 2
    assert page.table("Distance from the raters' votes")[0]["Jensen-Shannon distance, base 2"] == f"{distance:.3f}"
    [figure] = [each for tag, each in page.tags if tag == "img" and "human ceiling" in each["alt"]]
    assert b"<svg" in b64decode(figure["src"].partition("base64,")[2])
    assert report([rated_runs], tmp_path / "again") == texts


def test_a_systems_name_is_drawn_as_it_is(tmp_path, write_whole_run, strict_run):
    ratings = heard_by(strict_run().only("test").ids)
    write_whole_run(tmp_path / "run", overrides={"encoder": HOSTILE}, ratings=ratings)
    assert "Human ceiling" in report([tmp_path / "run"], tmp_path / "out")["results.md"]


def test_runs_without_ratings_have_a_page_without_raters(tmp_path, write_whole_run):
    write_whole_run(tmp_path / "run")
    texts = report([tmp_path / "run"], tmp_path / "out")
    assert not any(re.search("rater|ceiling", text) for text in texts.values())


def test_one_rater_each_are_named_among_what_is_not_available(tmp_path, write_whole_run, strict_run):
    write_whole_run(tmp_path / "run", ratings=heard_by(strict_run().only("test").ids, num_raters=1))
    texts = report([tmp_path / "run"], tmp_path / "out")
    assert "- No human ceiling: no utterance was rated by two or more." in texts["results.md"]
    assert "No human ceiling" in " ".join(Page(texts["index.html"]).text)
