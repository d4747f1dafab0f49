"""Files of other toolkits, and of ours, as answers by id."""

import json

import pytest

from emorec_lobes.errors import ConfigError, DataError
from emorec_lobes.evaluation.answers import Reading, check_columns, id_of, read_answers, read_system
from emorec_lobes.evaluation.predictions import write_predictions

EXPECTED = {"a1": "angry", "a2": "happy", "a3": "sad"}


def written(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def s3prl(folder):
    return written(folder / "test_fold1_predict.txt", "a1 ang\na2 hap\na3 sad\n"), {}


def emobox(folder):
    rows = [{"key": key, "pred": number} for number, key in enumerate(EXPECTED)]
    text = "\n".join(json.dumps(row) for row in rows)
    return written(folder / "p.jsonl", text), {"label_map": {"0": "angry", "1": "happy", "2": "sad"}}


def nkululeko(folder):
    head = "file,start,end,anger,happiness,sadness,predicted,truth,uncertainty,correct\n"
    rows = [
        f"./data/wav/{key}.wav,0 days,0 days 00:00:01.9,0.1,0.2,0.7,{label},happy,0.4,False"
        for key, label in zip(EXPECTED, ("anger", "happiness", "sadness"), strict=True)
    ]
    return written(folder / "p.csv", head + "\n".join(rows)), {}


def semicolons(folder):
    return written(folder / "p.csv", 'clip;mine\na1;angry\n"a2";"Joy"\n\na3;Sad\n'), {
        "columns": {"id": "clip", "prediction": "mine"}
    }


@pytest.mark.parametrize("make", [s3prl, emobox, nkululeko, semicolons])
def test_every_toolkits_output_gives_the_same_answers(tmp_path, make):
    path, options = make(tmp_path)
    answers = read_answers(path, Reading(**options))
    assert answers.predictions == EXPECTED
    assert set(answers.targets.values()) == ({"happy"} if make is nkululeko else set())


def test_of_our_own_file_the_test_rows_count(tmp_path, strict_run):
    table = strict_run(num_utterances=30)
    write_predictions(tmp_path / "predictions.csv", table)
    (answers,) = read_system(tmp_path)
    tested = table.only("test")
    named = [table.labels[each] for each in tested.predicted]
    assert answers.predictions == dict(zip(tested.ids.tolist(), named, strict=True))
    assert answers.labels == table.labels and len(answers.speakers) == 30


def test_a_folder_of_seeds_is_one_system_in_the_order_of_its_seeds(tmp_path, strict_run):
    for seed in (1, 2, 10):
        write_predictions(tmp_path / f"seed_{seed}" / "predictions.csv", strict_run(seed=seed, num_utterances=30))
    assert [answers.path.parent.name for answers in read_system(tmp_path)] == ["seed_1", "seed_2", "seed_10"]


def test_a_map_merges_the_classes_of_our_files_too(tmp_path, strict_run):
    write_predictions(tmp_path / "predictions.csv", strict_run(num_utterances=30))
    (answers,) = read_system(tmp_path, Reading(label_map={"happy": "neutral"}))
    assert "happy" not in answers.labels and "happy" not in answers.predictions.values()


@pytest.mark.parametrize(
    ("cell", "stem"), [("x/a.b_1.WAV", "a.b_1"), ("c:\\x\\a.flac", "a"), (" a.b ", "a.b"), ("a.mp3", "a")]
)
def test_a_path_is_read_as_the_stem_of_its_file(cell, stem):
    assert id_of(cell) == stem


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.csv", "id,prediction\nx,sad\nx,happy\n", "row 2 (id 'x') must be the only one of its id, but row 1"),
        ("a.csv", "id,prediction\nx,nan\n", "row 1 (id 'x') must have a prediction, but has 'nan'"),
        ("a.csv", "id,prediction\nx,\n", "row 1 (id 'x') must have a prediction, but has ''"),
        ("a.json", '[{"id": "x", "prediction": null}]', "row 1 (id 'x') must have a prediction"),
        ("a.json", '[{"id": "x", "prediction": NaN}]', "row 1 (id 'x') must have a prediction, but has 'nan'"),
        ("a.csv", "id,prediction\n,sad\n", "row 1 must have an id"),
        ("a.csv", "id,prediction\nx,glad\n", "Map it with --map glad=EMOTION"),
        ("a.csv", "id,label\nx,happy\n", "must have a column of predictions, e.g. `prediction`, but has id, label"),
        ("a.csv", "id,prediction\nx\n", "row 1 must have 2 cells"),
        ("a.txt", "x happy\ny very sad\n", "line 2 must be an id and an emotion, but is 'y very sad'"),
        ("a.txt", "\n", "at least one line"),
        ("a.results.json", "{}", "is a record, which keeps no answers"),
    ],
)
def test_what_cannot_be_read_is_one_line_that_names_file_and_id(tmp_path, name, text, said):
    path = written(tmp_path / name, text)
    with pytest.raises((ConfigError, DataError)) as caught:
        read_answers(path, Reading())
    assert str(path) in str(caught.value) and said in str(caught.value) and "\n" not in str(caught.value)


def test_a_missing_file_and_an_empty_folder_are_refused(tmp_path):
    with pytest.raises(DataError, match="No such file"):
        read_system(tmp_path / "none.csv")
    with pytest.raises(ConfigError, match="holds none"):
        read_system(tmp_path)


def test_a_column_that_no_file_has_is_refused_though_a_usual_one_is_there(tmp_path):
    path = written(tmp_path / "a.csv", "id,prediction,other\nx,sad,happy\n")
    for column, is_there in (("other", True), ("othr", False)):
        reading = Reading(columns={"prediction": column})
        answers = read_answers(path, reading)
        if is_there:
            check_columns([answers], reading)
            assert answers.predictions == {"x": "happy"}
        else:
            with pytest.raises(ConfigError, match="'othr'"):
                check_columns([answers], reading)
