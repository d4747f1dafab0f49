"""What papers/ says of the papers, and that every row of their own can be run."""

import re
from dataclasses import replace
from statistics import mean, stdev

import pytest

from emorec_lobes.errors import ConfigError
from emorec_lobes.experiments.paper_jobs import paper_jobs, places_of
from emorec_lobes.experiments.papers import PAPERS, read_paper, read_rehearsal

TABLES = {
    "makiuchi2021": ["Table 1", "Table 2", "Section 6.1", "Table 3", "Table 4", "Table 5", "Table 6"],
    "xi2022": ["Table 2", "Table 3"],
}
# Copied by hand from the papers: (paper, table, row) -> its cells.
PRINTED = {
    ("makiuchi2021", "Table 1", "Small"): "67.9 71.7 67.3 72.2 71.6 70.1±2.3",
    ("makiuchi2021", "Table 1", "Large"): "59.6 73.6 66.0 71.3 70.0 68.1±5.5",
    ("makiuchi2021", "Table 2", "GRU+Context [37]"): "68.3 66.9",
    ("makiuchi2021", "Table 2", "Transformer [38]"): "- 64.9",
    ("makiuchi2021", "Table 2", "wav2vec+CNN [11]"): "- 67.9",
    ("makiuchi2021", "Table 2", "Ours (Small)"): "70.1 70.7",
    ("makiuchi2021", "Section 6.1", "Small on a mel spectrogram"): "50.4",
    ("makiuchi2021", "Table 3", "Small"): "18.4 20.6 19.4 15.9 13.6 17.6±2.8",
    ("makiuchi2021", "Table 3", "Large"): "25.6 19.8 24.5 23.4 21.4 22.9±2.3",
    ("makiuchi2021", "Table 4", "ALBERT"): "62.3±2.3",
    ("makiuchi2021", "Table 4", "BERT c"): "65.5±3.3",
    ("makiuchi2021", "Table 4", "BERT u"): "66.1±2.1",
    ("makiuchi2021", "Table 4", "BERT uwm"): "65.8±2.6",
    ("makiuchi2021", "Table 4", "ELECTRA"): "56.6±3.8",
    ("makiuchi2021", "Table 4", "RoBERTa"): "64.1±3.5",
    ("makiuchi2021", "Table 4", "XLNet c"): "58.1±3.6",
    ("makiuchi2021", "Table 5", "BERT+Attn+Context [40]"): "71.9 71.2",
    ("makiuchi2021", "Table 5", "Self-Attn+LSTM [3]"): "65.9 -",
    ("makiuchi2021", "Table 5", "Ours (BERT uncased)"): "66.1 67.0",
    ("makiuchi2021", "Table 6", "BERT+Attn+Context [40]"): "76.1 77.4",
    ("makiuchi2021", "Table 6", "ASR-SER [9]"): "69.7 68.6",
    ("makiuchi2021", "Table 6", "Ours (w1 = 0.6, w2 = 1)"): "73.0 73.5",
    ("xi2022", "Table 2", "ResNet18, Baseline"): "55.47",
    ("xi2022", "Table 2", "ResNet18, Pre-train"): "62.24",
    ("xi2022", "Table 2", "ResNet18, Pre-train+AD"): "68.19",
    ("xi2022", "Table 2", "VGG5, Baseline"): "61.84",
    ("xi2022", "Table 2", "VGG5, AD"): "64.34",
    ("xi2022", "Table 3", "ICON [25]"): "63.0",
    ("xi2022", "Table 3", "MCED [26]"): "60.1",
    ("xi2022", "Table 3", "COPYPASTE [6]"): "63.78",
    ("xi2022", "Table 3", "Proposed"): "68.19",
}
NUM_ROWS = {"makiuchi2021": [2, 7, 2, 2, 7, 5, 5], "xi2022": [5, 4]}
every_paper = pytest.mark.parametrize("name", PAPERS)


@every_paper
def test_all_tables_with_results_are_there_with_all_their_rows(name):
    paper = read_paper(name)
    assert [table.name for table in paper.tables] == TABLES[name]
    assert [len(table.rows) for table in paper.tables] == NUM_ROWS[name]


def test_numbers_are_those_that_the_papers_print():
    rows = {
        (name, table.name, row.name): row.paper
        for name in PAPERS
        for table in read_paper(name).tables
        for row in table.rows
    }
    found = {key: " ".join(cell.replace(" ", "") for cell in rows[key]) for key in PRINTED}
    assert found == PRINTED


@every_paper
def test_every_cell_is_a_percentage_a_dash_or_a_mean_with_its_deviation(name):
    for table in read_paper(name).tables:
        for row in table.rows:
            assert len(row.paper) == len(table.columns)
            for column, cell in zip(table.columns, row.paper, strict=True):
                number = r"\d\d\.\d\d?"
                pattern = rf"{number} ± \d\.\d" if column.deviation else rf"{number}|-"
                assert re.fullmatch(pattern, cell), (table.name, row.name, cell)


def test_the_deviation_that_the_paper_prints_is_that_of_its_folds_with_n_less_1():
    for number in (0, 3):
        for row in read_paper("makiuchi2021").tables[number].rows:
            folds = [float(cell) for cell in row.paper[:-1]]
            printed_mean, printed_deviation = map(float, row.paper[-1].split(" ± "))
            assert mean(folds) == pytest.approx(printed_mean, abs=0.06)
            assert stdev(folds) == pytest.approx(printed_deviation, abs=0.06)


def test_the_names_that_the_paper_swaps_are_translated():
    columns = read_paper("makiuchi2021").tables[1].columns
    assert [(column.name, column.score) for column in columns] == [("UA", "accuracy"), ("WA", "uar")]


@every_paper
def test_each_own_row_has_what_makes_it_and_all_that_is_made_is_needed(name):
    paper = read_paper(name)
    things = {*paper.runs, *paper.probes, *paper.fusions}
    needed = {row.run for table in paper.tables for row in table.rows if row.run is not None}
    assert needed <= things
    behind = {*paper.probes.values(), *(each for fusion in paper.fusions.values() for each in fusion.of)}
    assert things - needed - behind == set() and behind <= set(paper.runs)
    assert {run.pretrained for run in paper.runs.values()} - {None} == set(paper.pretrainings)


@every_paper
def test_recipes_accept_every_row_and_no_two_train_the_same(name, tmp_path):
    places = places_of(name, tmp_path / "to", tmp_path, tmp_path, None, is_rehearsal=False)
    paper = read_paper(name)
    jobs = paper_jobs(paper, places, seeds=[1], threads=1)
    assert set(jobs.runs) == set(paper.runs) and set(jobs.pretrainings) == set(paper.pretrainings)
    for runs in jobs.runs.values():
        assert runs[0].settings["corpus"] == "iemocap" and runs[0].settings["selection"] == name
    fingerprints = [runs[0].settings.fingerprint() for runs in jobs.runs.values()]
    assert len(set(fingerprints)) == len(fingerprints)
    assert list(tmp_path.iterdir()) == []


@every_paper
def test_every_row_can_be_built_as_it_is_rehearsed(name, tmp_path):
    places = places_of(name, tmp_path / "to", None, None, None, is_rehearsal=True)
    rehearsal = read_rehearsal()
    jobs = paper_jobs(read_paper(name), places, seeds=[1], threads=1, rehearsal=rehearsal)
    for runs in jobs.runs.values():
        assert runs[0].settings["corpus"] == "synthetic"
        assert sum(part.numel() for part in runs[0].settings.build()["modules"]["model"].parameters()) < 2_000_000
    assert set(jobs.local_encoders()) <= set(rehearsal.encoders)
    assert list(tmp_path.iterdir()) == []


def test_an_option_goes_to_the_recipes_that_have_it_and_no_row_is_changed(tmp_path):
    paper = read_paper("xi2022")
    places = places_of("xi2022", tmp_path / "to", tmp_path, tmp_path, None, is_rehearsal=False)
    jobs = paper_jobs(paper, places, [1], 1, ["--split_list", "list.txt", "--number_of_epochs=3", "--device=cpu"])
    assert jobs.runs["vgg5_ad"][0].settings["number_of_epochs"] == 3
    assert "--split_list" in jobs.pretrainings["speakers"].job.words
    assert "--device=cpu" in jobs.pretrainings["speakers"].job.words
    with pytest.raises(ConfigError, match="`--ad_positions` must be left to the paper's rows"):
        paper_jobs(paper, places, [1], 1, ["--ad_positions", "[]"])


def test_encoders_lie_in_folders_named_as_their_hub_ids_or_are_asked_for_by_them(tmp_path):
    (tmp_path / "encoders/xlnet/xlnet-large-cased").mkdir(parents=True)
    places = places_of("makiuchi2021", tmp_path / "to", tmp_path, None, tmp_path / "encoders", is_rehearsal=False)
    whole = read_paper("makiuchi2021")
    some = replace(whole, runs={name: whole.runs[name] for name in ("ter_xlnet", "ter_roberta", "ser_mel")})
    runs = paper_jobs(some, places, [1], 1).runs
    assert runs["ter_xlnet"][0].settings["encoder"] == str(tmp_path / "encoders/xlnet/xlnet-large-cased")
    assert runs["ter_roberta"][0].settings["encoder"] == "FacebookAI/roberta-large"
    assert runs["ser_mel"][0].settings["encoder"] == "mel"
