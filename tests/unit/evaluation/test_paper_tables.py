"""A paper's tables beside ours, on constructed scores."""

import pytest

from emorec_lobes.evaluation.paper_tables import Column, Made, Ours, PaperRow, PaperTable, paper_text

FOLDS = tuple(Column("UA", "accuracy", fold) for fold in "123")
TABLE = PaperTable(
    "Table 1",
    "speech",
    (*FOLDS, Column("UA", "accuracy", deviation=True), Column("WA", "uar")),
    (
        PaperRow("Small", ("67.9", "71.7", "67.3", "69.0 ± 2.4", "70.7"), "small"),
        PaperRow("Other [3]", ("-", "-", "-", "55.6", "-"), None),
    ),
)
WHOLE = {"accuracy": 0.6, "uar": 0.6, "weighted_f1": 0.6, "macro_f1": 0.6}


def seed(*accuracies, whole=True):
    folds = {str(k + 1): {"accuracy": value, "uar": value / 2} for k, value in enumerate(accuracies)}
    return Made(folds, WHOLE if whole else None)


def lines(made, num_seeds=1, word="ours", plain=False):
    return paper_text("A paper", [TABLE], Ours(word, "", num_seeds, made), 1, plain).splitlines()


def cells(found, name, source):
    [line] = [line for line in found if line.startswith(f"| {name} | {source} |")]
    return [cell.strip() for cell in line.split("|")[3:-1]]


def test_the_papers_row_is_as_printed_and_ours_stands_beneath_it():
    found = lines({"small": [seed(0.5, 0.6, 0.7)]})
    place = next(place for place, line in enumerate(found) if line.startswith("| Small"))
    assert found[place] == "| Small | paper | 67.9 | 71.7 | 67.3 | 69.0 ± 2.4 | 70.7 |"
    # by hand: mean 0.6; deviation sqrt((0.01 + 0 + 0.01) / 2) = 0.1
    assert found[place + 1] == "| Small | ours | 50.0 | 60.0 | 70.0 | 60.0 ± 10.0 | 30.0 |"
    assert found[place + 2] == "| Other [3] | quoted there | - | - | - | 55.6 | - |"


def test_headings_have_both_names_of_a_score():
    found = lines({})
    assert "| row | from | fold 1 | fold 2 | fold 3 | UA = accuracy, mean ± sd | WA = UAR |" in found
    assert any("the paper's UA is accuracy, its WA is UAR" in line for line in found)


def test_a_run_that_is_not_there_is_dashes_and_the_papers_numbers_stay():
    found = lines({})
    assert cells(found, "Small", "ours") == ["-"] * 5
    assert cells(found, "Small", "paper")[0] == "67.9"
    assert not any("pooled" in line for line in found)


def test_a_run_of_which_a_fold_is_missing_has_its_folds_and_no_mean():
    found = lines({"small": [seed(0.5, 0.6, whole=False)]})
    assert cells(found, "Small", "ours") == ["50.0", "60.0", "-", "-", "-"]


def test_seeds_are_averaged_fold_by_fold_and_their_number_is_said():
    made = {"small": [seed(0.5, 0.6, 0.7), seed(0.7, 0.8, 0.9), seed(0.9, whole=False)]}
    # folds over whole seeds 0.6 0.7 0.8: mean 0.7, deviation 0.1; fold 1 has all three seeds
    assert cells(lines(made, num_seeds=3), "Small", "ours, 2 of 3 seeds") == [
        "70.0", "70.0", "80.0", "70.0 ± 10.0", "35.0"
    ]  # fmt: skip


def test_what_was_pooled_has_a_row_under_our_own_names_of_scores():
    found = lines({"small": [seed(0.5, 0.6, 0.7)], "probe": [Made({"1": {"accuracy": 0.2}}, {})]})
    place = next(place for place, line in enumerate(found) if "pooled" in line)
    assert found[place + 2] == "| run | seeds | accuracy | UAR | weighted F1 | macro F1 |"
    assert found[place + 4] == "| small | 1 | 0.600 | 0.600 | 0.600 | 0.600 |"
    assert not any(line.startswith("| probe") for line in found)


def test_a_rehearsal_is_called_so_wherever_its_numbers_stand():
    found = lines({"small": [seed(0.5, 0.6, 0.7)]}, word="rehearsal")
    assert cells(found, "Small", "rehearsal")[0] == "50.0"
    assert not any("| ours |" in line for line in found)


@pytest.mark.parametrize("made", [{}, {"small": [seed(0.5, 0.6, 0.7)]}])
def test_plain_text_has_the_cells_of_the_markdown(made):
    plain = next(line for line in lines(made, plain=True) if line.startswith("Small      ours"))
    assert plain.replace(" ± ", "±").split()[2:] == [
        cell.replace(" ", "") for cell in cells(lines(made), "Small", "ours")
    ]
