import json
import shlex

import pytest

from emorec_lobes.errors import ConfigError, DataError, ProtocolError
from emorec_lobes.evaluation.systems import base_of, command_line, group_records, keep_records, read_records


def systems_in(*places):
    return group_records(read_records(places))


def kept_in(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_records_are_found_below_a_folder_but_not_those_of_single_folds(two_systems):
    found = [str(path.relative_to(two_systems)) for path in read_records([two_systems])]
    assert found == [f"{name}/seed_{seed}/results.json" for name in ("plain", "refit") for seed in (1, 2, 3)]


def test_a_file_a_run_and_a_folder_of_runs_can_be_named_even_twice(two_systems):
    run = two_systems / "plain/seed_1"
    assert len(read_records([run / "results.json", run, two_systems / "plain"])) == 3


def test_seeds_are_one_system_and_options_make_another(two_systems, write_run):
    write_run(two_systems / "other", 1, {"lr": "0.1", "refit": "True"}, hparams="ser_large.yaml")
    found = {system.name: list(system.runs) for system in systems_in(two_systems)}
    assert found == {"ser_large --refit True": [1], "ser_small": [1, 2, 3], "ser_small --refit True": [1, 2, 3]}


def test_an_option_that_all_have_is_not_in_the_names_but_in_the_commands(two_systems):
    for system in systems_in(two_systems):
        assert "--lr" not in system.name and "--lr 0.1" in command_line(system)


def test_an_option_that_only_another_recipe_lacks_is_not_in_the_names(two_systems, write_run):
    write_run(two_systems / "svm", 1, hparams="svm_small.yaml")
    assert {system.name for system in systems_in(two_systems)} == {"ser_small", "ser_small --refit True", "svm_small"}


def test_a_long_name_makes_a_file_name_of_bearable_length_and_its_own(tmp_path, write_run):
    for number in (1, 2):
        write_run(tmp_path / str(number), 1, {f"option_{k}": f"{number}" for k in range(40)})
    slugs = {system.slug for system in systems_in(tmp_path)}
    assert len(slugs) == 2 and max(map(len, slugs)) < 120


def test_the_recipe_is_named_where_two_share_a_file(tmp_path, write_run):
    write_run(tmp_path / "a")
    record = json.loads((write_run(tmp_path / "b") / "results.json").read_text())
    record["command"]["recipe"] = "recipes/Other/train.py"
    (tmp_path / "b/results.json").write_text(json.dumps(record))
    assert [system.name for system in systems_in(tmp_path)] == [
        "recipes/IEMOCAP/train_ser.py ser_small",
        "recipes/Other/train.py ser_small",
    ]


def test_a_command_is_one_line_for_all_seeds(tmp_path, write_run):
    for seed in (2, 1):
        write_run(tmp_path / str(seed), seed, {"labels": "[angry, sad]"})
    write_run(tmp_path / "3", 1, {"labels": "null"})
    line, single = (command_line(system) for system in systems_in(tmp_path))
    assert line == (
        "for seed in 1 2; do python recipes/IEMOCAP/train_ser.py hparams/ser_small.yaml --data_folder /corpora/emodb "
        "--labels '[angry, sad]' --seed $seed --output_folder results/emodb/ser_small_labels-angry-sad/seed_$seed; done"
    )
    assert shlex.split(single)[-4:] == ["--seed", "1", "--output_folder", "results/emodb/ser_small_labels-null/seed_1"]


def test_a_run_of_several_processes_is_started_as_such(tmp_path, write_run):
    write_run(tmp_path, fingerprint={"run": {"num_processes": "2"}})
    assert command_line(systems_in(tmp_path)[0]).startswith("torchrun --nproc_per_node 2 recipes/IEMOCAP/train_ser.py ")


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"stamp": {"corpus": "iemocap"}}, "corpus"),
        ({"labels": ["angry", "happy"]}, "labels"),
        ({"folds": [{"fold": "1", "speakers": ["s0"], "num_utterances": 60, "accuracy": 1.0}]}, "folds"),
        ({"confusion_by_speaker": {"s0": [[1, 0], [0, 1]]}}, "tested utterances"),
    ],
)
def test_rows_that_were_not_tested_alike_cannot_stand_in_one_table(two_systems, write_run, changes, what):
    path = write_run(two_systems / "z", 1, {"x": "1"}) / "results.json"
    record = json.loads(path.read_text())
    stamp = {**record["stamp"], **changes.get("stamp", {})}
    stamp["num_folds"] = len(changes.get("folds", record["folds"]))
    path.write_text(json.dumps({**record, **changes, "stamp": stamp}))
    with pytest.raises(ProtocolError, match=f"seed_3/results.json and .*z/results.json differ in {what}") as caught:
        systems_in(two_systems)
    assert "\n" not in str(caught.value)


def test_the_protocol_may_differ_between_rows(two_systems, write_run):
    write_run(two_systems / "paper", 1, {"protocol": "paper"}, stamp={"protocol": "paper"}, fingerprint={"data": "9"})
    assert len(systems_in(two_systems)) == 3


@pytest.mark.parametrize("name", ["data", "features", "run"])
def test_seeds_that_differ_in_more_than_the_seed_are_no_system(tmp_path, write_run, name):
    write_run(tmp_path / "a", 1, fingerprint={name: "one"})
    write_run(tmp_path / "b", 2, fingerprint={name: "two"})
    with pytest.raises(ProtocolError, match=f"differ in {name}, in which the seeds of a system must agree"):
        systems_in(tmp_path)


def test_seeds_of_another_content_of_the_file_are_no_system(tmp_path, write_run):
    write_run(tmp_path / "a", 1)
    path = write_run(tmp_path / "b", 2) / "results.json"
    path.write_text(path.read_text().replace('"fingerprint": "0f3a"', '"fingerprint": "1111"'))
    with pytest.raises(ProtocolError, match="differ in hyperparameters"):
        systems_in(tmp_path)


def test_a_seed_that_is_there_twice_is_refused(two_systems, write_run):
    write_run(two_systems / "again", 2, {"lr": "0.1"})
    with pytest.raises(ProtocolError, match="are seed 2 of one system"):
        systems_in(two_systems)


def test_what_is_no_record_of_all_folds_is_refused(tmp_path, write_run, two_systems):
    with pytest.raises(ConfigError, match="json of all folds"):
        read_records([tmp_path / "none"])
    with pytest.raises(ConfigError, match="json of all folds"):
        read_records([tmp_path, *map(write_run, [tmp_path / "x/fold_1"]), tmp_path / "x"])
    with pytest.raises(ProtocolError, match="must be of all 5 folds, but is of 3"):
        read_records([write_run(tmp_path / "part", stamp={"num_folds": 5})])
    path = two_systems / "plain/seed_1/results.json"
    record = json.loads(path.read_text())
    for broken, reason in (
        ({**record, "command": None}, "must say how it was made"),
        ({**record, "stamp": {}}, "must say its corpus"),
        ({"uar": 1}, "must have `labels`"),
    ):
        path.write_text(json.dumps(broken))
        with pytest.raises(DataError, match=reason):
            read_records([path])


def test_a_base_is_one_system(two_systems):
    systems = systems_in(two_systems)
    assert base_of(systems, read_records([two_systems / "refit/seed_2"])).name == "ser_small --refit True"
    assert base_of(systems, {}) is None
    with pytest.raises(ConfigError, match="must be one system"):
        base_of(systems, read_records([two_systems]))


def test_kept_records_are_small_files_that_make_the_same_systems(two_systems, tmp_path):
    records = read_records([two_systems])
    systems = group_records(records)
    keep_records(systems, systems[0], tmp_path / "kept", records)
    assert kept_in(tmp_path / "kept") == [
        *(f"base/ser_small-{seed}.results.json" for seed in (1, 2, 3)),
        *(f"ser_small_refit-True-{seed}.results.json" for seed in (1, 2, 3)),
    ]
    assert systems_in(tmp_path / "kept") == systems
    assert all(len(path.read_text().splitlines()) == 1 for path in (tmp_path / "kept").rglob("*.json"))


def test_a_kept_record_that_is_not_among_the_runs_is_neither_dropped_nor_overlooked(two_systems, tmp_path):
    kept = tmp_path / "kept"
    plain = read_records([two_systems / "plain"])
    keep_records(group_records(plain), None, kept, plain)
    refit = read_records([two_systems / "refit"])
    with pytest.raises(ConfigError, match=r"ser_small-1.results.json is not among the runs"):
        keep_records(group_records(refit), None, kept, refit)
    assert kept_in(kept) == [f"ser_small-{seed}.results.json" for seed in (1, 2, 3)]
    again = read_records([two_systems / "plain"])
    keep_records(group_records(again), None, kept, again)
    both = read_records([kept, two_systems / "refit"])
    keep_records(group_records(both), None, kept, both)
    assert len(kept_in(kept)) == 6


def test_kept_records_whose_system_gets_another_name_move(two_systems, tmp_path):
    kept = tmp_path / "kept"
    refit = read_records([two_systems / "refit"])
    keep_records(group_records(refit), None, kept, refit)
    assert "ser_small-1.results.json" in kept_in(kept)
    both = read_records([kept, two_systems / "plain"])
    systems = group_records(both)
    keep_records(systems, None, kept, both)
    assert {system.name for system in systems_in(kept)} == {system.name for system in systems}
    assert len(kept_in(kept)) == 6
