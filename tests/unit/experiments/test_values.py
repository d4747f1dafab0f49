"""A hyperparameter that cannot mean anything is refused by its name, whatever it would have broken later."""

import pytest
from ruamel.yaml import YAML

from emorec_lobes.errors import ConfigError
from emorec_lobes.experiments.values import check_values

FILE = {
    "seed": 1,
    "batch_size": 2,
    "num_workers": 2,
    "lr": 0.001,
    "masked": True,
    "labels": ["angry", "sad"],
    "corpus": "iemocap",
    "patience": None,
    "manifest": None,
    "max_grad_norm": float("inf"),
    "validation_score": "uar",
}


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"batch_size": 1},
        {"num_workers": 0, "seed": 0},
        {"lr": 1},
        {"patience": 3},
        {"patience": None},
        {"manifest": "a.json"},
        {"labels": ["happy"]},
    ],
)
def test_values_of_the_right_kind_and_range_pass(given):
    check_values(FILE, given)


@pytest.mark.parametrize(
    "given",
    [
        {"batch_size": 0},
        {"batch_size": 2.5},
        {"batch_size": True},
        {"batch_size": None},
        {"seed": -1},
        {"seed": 2**63},
        {"lr": -0.1},
        {"lr": float("nan")},
        {"lr": "1e"},
        {"max_grad_norm": -1.0},
        {"masked": 1},
        {"masked": "yes"},
        {"labels": "angry"},
        {"corpus": 3},
        {"patience": "long"},
        {"patience": 0},
    ],
)
def test_every_other_value_is_refused_by_name(given):
    [(key, value)] = given.items()
    with pytest.raises(ConfigError, match=f"`{key}` must be .* but is {value!r} instead"):
        check_values(FILE, given)


def test_what_the_file_builds_takes_arguments_or_null():
    file = YAML().load("front_end: !new:torch.nn.Linear {in_features: 2, out_features: 3}")
    check_values(file, {"front_end": {"in_features": 4}})
    check_values(file, {"front_end": None})
    with pytest.raises(ConfigError, match="`front_end` must be arguments of what it builds, but is 3 instead"):
        check_values(file, {"front_end": 3})


@pytest.mark.parametrize("score", ["accuracy", "uar", "weighted_f1", "macro_f1"])
def test_any_score_may_choose(score):
    check_values(FILE, {"validation_score": score})


def test_a_score_there_is_not_is_refused_with_those_there_are():
    with pytest.raises(ConfigError, match=r"`validation_score` must be one of accuracy, uar, .* 'f1'"):
        check_values(FILE, {"validation_score": "f1"})


def test_the_files_own_values_are_checked_too():
    with pytest.raises(ConfigError, match="`batch_size`"):
        check_values({"batch_size": 0}, {})
