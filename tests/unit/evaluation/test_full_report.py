"""The whole report: its numbers against scikit-learn and slow loops, its page as a browser and a reader meet it."""

import csv
import io
import json
import re
import statistics
from html.parser import HTMLParser

import numpy as np
import pytest
from sklearn import metrics

from emorec_lobes.errors import ConfigError, DataError, ProtocolError
from emorec_lobes.evaluation.comparison import compare
from emorec_lobes.evaluation.documents import tex
from emorec_lobes.evaluation.evidence import manifest_of, read_evidence, unfinished
from emorec_lobes.evaluation.full_report import write_report
from emorec_lobes.evaluation.fusion import fuse
from emorec_lobes.evaluation.fusion_inputs import align, read_sources
from emorec_lobes.evaluation.fusion_report import fusion_record, write_fusion
from emorec_lobes.evaluation.slices import Facts

HOSTILE = """<script src="http://x.y/z">&"'|`\\end{table}$_%#<img onerror=1>![a](http://x.y/b)"""
FILES = ("index.html", "results.csv", "results.md", "results.tex")


class Page(HTMLParser):
    """Tags with their attributes, the texts of all tables' cells, and all text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.tables, self.text, self._open = [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in ("meta", "img"):
            self._open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
        elif tag == "caption":
            self.tables[-1].append("")

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)
        if self._open and self._open[-1] in ("td", "th"):
            self.tables[-1][-1][-1] += data
        elif self._open and self._open[-1] == "caption":
            self.tables[-1][0] += data

    def table(self, caption):
        """The rows of the table with this caption, each as heading -> cell."""
        _, head, *rows = next(table for table in self.tables if table[0].startswith(caption))
        return [dict(zip(head, row, strict=True)) for row in rows]


def facts_of(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    return {key: Facts(each["session"], each["kind"], each["duration"]) for key, each in manifest.items()}


def report(places, folder, base=None, metric=None, facts=None):
    table = compare(places, base, metric)
    write_report(table, read_evidence(table), facts or {}, folder)
    return {name: (folder / name).read_text(encoding="utf-8") for name in FILES}


def rows_of(folder):
    """The test rows of a run, read without the package."""
    with (folder / "predictions.csv").open(encoding="utf-8") as stream:
        return [row for row in csv.DictReader(stream) if row["split"] == "test"]


def true_and_answered(rows):
    return [row["target"] for row in rows], [row["prediction"] for row in rows]


@pytest.fixture
def runs(tmp_path, write_whole_run):
    """Two systems, the better one in two seeds."""
    for skill, seed in ((2.0, 1), (2.0, 2), (0.5, 1)):
        write_whole_run(tmp_path / f"runs/{skill}/seed_{seed}", seed, skill)
    return tmp_path / "runs"


def test_the_csv_has_the_scores_of_scikit_learn_for_each_seed_and_their_mean(runs, tmp_path):
    lines = list(csv.DictReader(io.StringIO(report([runs], tmp_path / "out")["results.csv"])))
    assert [(line["system"], line["seed"]) for line in lines] == [
        ("ser_small --skill 2.0", "mean"), ("ser_small --skill 2.0", "1"), ("ser_small --skill 2.0", "2"),
        ("ser_small --skill 0.5", "mean"), ("ser_small --skill 0.5", "1"),
    ]  # fmt: skip
    for line, place in zip(lines[1:3] + lines[4:], ("2.0/seed_1", "2.0/seed_2", "0.5/seed_1"), strict=True):
        true, answered = true_and_answered(rows_of(runs / place))
        expected = {
            "accuracy": metrics.accuracy_score(true, answered),
            "uar": metrics.balanced_accuracy_score(true, answered),
            "weighted_f1": metrics.f1_score(true, answered, average="weighted"),
            "macro_f1": metrics.f1_score(true, answered, average="macro"),
            "recall_sad": metrics.recall_score(true, answered, labels=["sad"], average=None)[0],
        }
        assert {name: float(line[name]) for name in expected} == pytest.approx(expected, abs=1e-12)
        assert line["num_utterances"] == "240" and line["corpus"] == "emodb"
    for name in ("accuracy", "uar", "macro_f1", "recall_angry", "ece"):
        assert float(lines[0][name]) == pytest.approx((float(lines[1][name]) + float(lines[2][name])) / 2)
    assert float(lines[0]["deviation"]) == pytest.approx(statistics.stdev(float(line["uar"]) for line in lines[1:3]))
    assert float(lines[0]["low"]) < float(lines[0]["uar"]) < float(lines[0]["high"])


def test_the_calibration_error_is_that_of_a_slow_loop(runs, tmp_path):
    lines = list(csv.DictReader(io.StringIO(report([runs / "0.5"], tmp_path / "out")["results.csv"])))
    bins = [[] for _ in range(15)]
    for row in rows_of(runs / "0.5/seed_1"):
        confidence = max(float(value) for name, value in row.items() if name.startswith("p_"))
        bins[int(np.ceil(confidence * 15)) - 1].append((confidence, row["target"] == row["prediction"]))
    gaps = [abs(sum(sure for sure, _ in each) - sum(right for _, right in each)) for each in bins]
    assert float(lines[1]["ece"]) == pytest.approx(sum(gaps) / 240)


def test_page_markdown_and_latex_show_the_numbers_of_the_csv(runs, tmp_path):
    texts = report([runs], tmp_path / "out", runs / "0.5")
    lines = [line for line in csv.DictReader(io.StringIO(texts["results.csv"])) if line["seed"] == "mean"]
    shown = Page(texts["index.html"]).table("Systems side by side")
    tex_rows = [line.removesuffix(r" \\").split(" & ") for line in texts["results.tex"].splitlines() if " & " in line]
    for line, row, tex_row in zip(lines, shown, tex_rows[1:3], strict=True):
        assert row["system"] == line["system"] and tex_row[0] == tex(line["system"])
        assert row["UAR"] == tex_row[3] == f"{float(line['uar']):.3f}"
        assert row["macro F1"] == tex_row[8] == f"{float(line['macro_f1']):.3f}"
        assert row["95 % interval"] == f"{float(line['low']):.3f} to {float(line['high']):.3f}" == tex_row[5]
        assert f"| {row['UAR']} | {row['± sd']} | {row['95 % interval']} |" in texts["results.md"]
    assert shown[1]["against the first row"].startswith(f"+{float(lines[1]['difference']):.3f} (")
    recall = Page(texts["index.html"]).table("Recall of each class")
    assert [row["ser_small --skill 0.5"] for row in recall] == [
        f"{float(lines[0]['recall_' + row['class']]):.3f}" for row in recall
    ]
    assert texts["results.tex"].count(r"\toprule") == texts["results.tex"].count(r"\end{tabular}") == 2


def uar_by_hand(rows):
    """Mean recall of the classes that occur."""
    right = {}
    for row in rows:
        right.setdefault(row["target"], []).append(row["target"] == row["prediction"])
    return sum(sum(each) / len(each) for each in right.values()) / len(right), len(right)


@pytest.mark.parametrize(
    ("caption", "column", "key"),
    [
        ("Speaker", "speaker", lambda row, fact: row["speaker"]),
        ("Session", "session", lambda row, fact: fact.session),
        ("Kind of speech", "kind of speech", lambda row, fact: fact.kind),
    ],
)
def test_slices_are_those_of_a_slow_loop(runs, tmp_path, caption, column, key):
    facts = facts_of(runs / "2.0/seed_1")
    page = Page(report([runs], tmp_path / "out", facts=facts)["index.html"])
    shown = page.table(f"{caption}: UAR")
    tables = [rows_of(runs / "2.0" / seed) for seed in ("seed_1", "seed_2")]
    names = {key(row, facts[row["id"]]) for row in tables[0]}
    assert {row[column] for row in shown} == names
    for line in shown:
        found = [[row for row in rows if key(row, facts[row["id"]]) == line[column]] for rows in tables]
        (first, num_classes), (second, _) = map(uar_by_hand, found)
        assert line["ser_small --skill 2.0"] == f"{(first + second) / 2:.3f}"
        assert line["n"] == str(len(found[0])) and line["classes"] == str(num_classes)


def test_the_slices_by_duration_hold_the_utterances_they_name(runs, tmp_path):
    facts = facts_of(runs / "0.5/seed_1")
    page = Page(report([runs / "0.5"], tmp_path / "out", metric="accuracy", facts=facts)["index.html"])
    shown = page.table("Duration: accuracy")
    assert len(shown) == 4
    for line in shown:
        low, high = map(float, re.fullmatch(r"(.*) to (.*) s", line["duration"]).groups())
        rows = [
            row for row in rows_of(runs / "0.5/seed_1") if low - 0.005 <= facts[row["id"]].duration_s <= high + 0.005
        ]
        accuracy = sum(row["target"] == row["prediction"] for row in rows) / len(rows)
        assert (line["n"], line["ser_small"]) == (str(len(rows)), f"{accuracy:.3f}")


def test_small_slices_say_so_and_what_is_not_known_is_named(runs, tmp_path):
    facts = {"emodb_0000": Facts(session="9"), "emodb_0001": Facts(session="9")}
    texts = report([runs / "0.5"], tmp_path / "out", facts=facts)
    page = Page(texts["index.html"])
    assert [row["n"] for row in page.table("Session")] == ["2 (few)", "238"]
    assert "Not available: needs the audio: name its folder with --data-folder." in page.text
    assert "- Kind of speech: the manifest does not say" in texts["results.md"]


def test_the_confusion_matrix_counts_all_seeds(runs, tmp_path):
    shown = Page(report([runs / "2.0"], tmp_path / "out")["index.html"]).table("Confusion matrix, 2 seeds together")
    labels = [row["true \\ answered"] for row in shown]
    tables = [true_and_answered(rows_of(runs / "2.0" / seed)) for seed in ("seed_1", "seed_2")]
    counts = sum(metrics.confusion_matrix(*table, labels=labels) for table in tables)
    share = counts / counts.sum(axis=1, keepdims=True)
    for row, numbers, shares in zip(shown, counts, share, strict=True):
        for label, number, part in zip(labels, numbers, shares, strict=True):
            assert row[label] == f"{part:.0%} ({number})"


def test_the_page_asks_for_nothing_outside_and_runs_nothing(runs, tmp_path):
    text = report([runs], tmp_path / "out", facts=facts_of(runs / "2.0/seed_1"))["index.html"]
    page = Page(text)
    assert not re.search(r"https?:|url\(|@import|javascript:", text, re.IGNORECASE)
    assert {tag for tag, _ in page.tags}.isdisjoint({"script", "link", "iframe", "object", "embed", "base", "form"})
    for _, attributes in page.tags:
        assert attributes.get("src", "data:").startswith("data:") and attributes.get("href", "#").startswith("#")
        assert not any(name.startswith("on") for name in attributes)
    assert "default-src 'none'" in text and "prefers-color-scheme: dark" in text and 'name="viewport"' in text


def test_a_reader_without_eyes_finds_headings_captions_and_words_for_pictures(runs, tmp_path):
    page = Page(report([runs], tmp_path / "out", facts=facts_of(runs / "2.0/seed_1"))["index.html"])
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1 and levels.count(1) == 1 and max(np.diff(levels)) == 1
    pictures = [attributes for tag, attributes in page.tags if tag == "img"]
    assert len(pictures) == 4 and all(len(each["alt"]) > 60 for each in pictures)
    assert all(table[0] for table in page.tables)
    anchors = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    links = [attributes["href"][1:] for tag, attributes in page.tags if tag == "a"]
    assert anchors == links and len(set(anchors)) == len(anchors)
    assert all(attributes.get("scope") in ("row", "col") for tag, attributes in page.tags if tag == "th")
    assert dict(page.tags)["html"] == {"lang": "en"}


def test_hostile_names_are_shown_and_do_nothing(tmp_path, write_whole_run):
    speaker = HOSTILE.replace("{", "{{").replace("}", "}}") + "{}"
    names = {"corpus": HOSTILE, "speaker": speaker, "stamp": {"scheme": HOSTILE, "vad": HOSTILE}}
    run = write_whole_run(tmp_path / "run", overrides={"x": HOSTILE}, **names)
    other = write_whole_run(tmp_path / "other", skill=1.0, **names)
    facts = {f"emodb_{number:04}": Facts(session=HOSTILE, kind=HOSTILE) for number in range(240)}
    texts = report([run, other], tmp_path / "out", facts=facts)
    page = Page(texts["index.html"])
    assert {tag for tag, _ in page.tags}.isdisjoint({"script"}) and HOSTILE in "".join(page.text)
    assert len([tag for tag, _ in page.tags if tag == "img"]) == 4
    assert all(set(attributes) <= {"src", "alt"} for tag, attributes in page.tags if tag == "img")
    assert page.table("Session")[0]["session"] == HOSTILE
    assert r"\end{table}" not in texts["results.tex"] and "\\_\\%\\#" in texts["results.tex"]
    prose = re.sub(r"```.*?```|`[^`\n]*`", "", texts["results.md"], flags=re.DOTALL)
    assert "<script" not in prose and "<img" not in prose and "](" not in prose


def test_a_cell_that_a_spreadsheet_would_run_is_text(tmp_path, write_whole_run):
    run = write_whole_run(tmp_path / "run", corpus='=HYPERLINK("x")')
    line = next(csv.DictReader(io.StringIO(report([run], tmp_path / "out")["results.csv"])))
    assert line["corpus"] == '\'=HYPERLINK("x")'


def test_equal_runs_give_equal_bytes_wherever_they_lie(runs, tmp_path):
    first = report([runs], tmp_path / "a", facts=facts_of(runs / "2.0/seed_1"))
    moved = runs.rename(tmp_path / "moved")
    again = report([moved / "0.5", moved / "2.0"], tmp_path / "b", facts=facts_of(moved / "2.0/seed_1"))
    assert again == first and sorted(path.name for path in (tmp_path / "a").iterdir()) == sorted(FILES)


def test_learning_curves_are_told_in_words_and_missing_ones_named(tmp_path, write_whole_run):
    with_history = write_whole_run(tmp_path / "a", seed=3)
    without = write_whole_run(tmp_path / "b", skill=1.0, with_history=False)
    page = Page(report([with_history, without], tmp_path / "out")["index.html"])
    words = next(each["alt"] for tag, each in page.tags if tag == "img" and each["alt"].startswith("Training"))
    assert "seed 3, fold 2: loss 0.300 to 0.100, chosen update 20" in words
    assert "Not available: no run of it has a history.json." in page.text


def write_fused(folder, *inputs):
    sources, tables = read_sources([path / "predictions.csv" for path in inputs])
    aligned = align(tables, fallback=True)
    fused = fuse(aligned, "stacking", None, False)
    write_fusion(folder, fusion_record(aligned, fused, sources, "stacking"), aligned, fused)


def test_fusions_stand_beside_their_inputs_seed_by_seed(runs, tmp_path, write_whole_run):
    write_whole_run(runs / "0.5/seed_2", 2, 0.5)
    for seed in ("seed_1", "seed_2"):
        for name, skill in (("speech", "2.0"), ("text", "0.5")):
            (tmp_path / seed).mkdir(exist_ok=True)
            (runs / skill / seed).rename(tmp_path / seed / name)
        write_fused(tmp_path / seed / "fused", tmp_path / seed / "speech", tmp_path / seed / "text")
    texts = report([tmp_path / "seed_1", tmp_path / "seed_2"], tmp_path / "out")
    lines = list(csv.DictReader(io.StringIO(texts["results.csv"])))
    fused = [line for line in lines if line["system"].startswith("fusion_stacking")]
    assert [line["seed"] for line in fused] == ["mean", "1", "2"]
    true, answered = true_and_answered(rows_of(tmp_path / "seed_2/fused"))
    assert float(fused[2]["uar"]) == pytest.approx(metrics.balanced_accuracy_score(true, answered))
    page = "".join(Page(texts["index.html"]).text)
    assert f"emorec fuse {tmp_path}/seed_2/speech/predictions.csv" in page and "The weights of the fusion" in page


def test_a_run_without_its_predictions_or_with_others_is_refused(runs, tmp_path):
    place = runs / "0.5/seed_1/predictions.csv"
    text = place.read_text()
    place.unlink()
    with pytest.raises(DataError, match=r"0.5/seed_1/predictions.csv must be there"):
        report([runs], tmp_path / "out")
    place.write_text((runs / "2.0/seed_1/predictions.csv").read_text())
    with pytest.raises(DataError, match=r"must be what results\.json was made of"):
        report([runs], tmp_path / "out")
    place.write_text(re.sub(r"(\nemodb_0007,.*),[^,\n]+\n", r"\1,nan\n", text))
    with pytest.raises(DataError, match="emodb_0007"):
        report([runs], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_runs_of_other_utterances_are_refused_though_their_counts_agree(runs, tmp_path):
    place = runs / "0.5/seed_1/predictions.csv"
    place.write_text(place.read_text().replace("emodb_0007,", "emodb_9007,"))
    with pytest.raises(ProtocolError, match="must be of the same test utterances"):
        report([runs], tmp_path / "out")


@pytest.mark.parametrize("row", [{"update": 1}, {"update": 1, "train": {"loss": float("nan")}}, {}])
def test_a_broken_history_is_refused(runs, tmp_path, row):
    (runs / "0.5/seed_1/fold_2/history.json").write_text(json.dumps({"rows": [row], "chosen_update": 1}))
    with pytest.raises(DataError, match=r"fold_2/history.json must hold a finite training loss"):
        report([runs], tmp_path / "out")


def test_a_runs_own_folder_is_no_place_for_a_report(runs):
    before = sorted(path.name for path in (runs / "0.5/seed_1").iterdir())
    with pytest.raises(ConfigError, match="must be new or hold a report"):
        report([runs], runs / "0.5/seed_1")
    assert sorted(path.name for path in (runs / "0.5/seed_1").iterdir()) == before


def test_runs_that_are_not_finished_are_found_and_so_is_a_manifest(runs):
    (runs / "2.0/seed_2/results.json").unlink()
    assert unfinished([runs]) == [runs / "2.0/seed_2"]
    assert manifest_of(compare([runs])) == runs / "2.0/seed_1/manifest.json"
