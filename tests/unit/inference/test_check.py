"""A hyperparameter file from elsewhere is data until every tag in it is known to be safe."""

import pytest

from emorec_lobes.errors import ConfigError
from emorec_lobes.inference.check import load_checked, load_plain, target_of

SAFE = """
labels: [angry, sad]
model: !new:emorec_lobes.models.layer_mix.LayerMix {num_layers: 3, mode: ratio}
modules: {model: 1}
"""


def write(tmp_path, text):
    path = tmp_path / "hyperparams.yaml"
    path.write_text(text)
    return path


def test_a_safe_file_is_built(tmp_path):
    built = load_checked(write(tmp_path, SAFE), ["labels", "model"])
    assert list(built) == ["labels", "model"]
    assert built["model"].num_layers == 3 and built["labels"] == ["angry", "sad"]


@pytest.mark.parametrize(
    "value",
    [
        "!apply:os.mkdir [{folder}]",
        "!new:os.mkdir [{folder}]",
        "!name:os.mkdir",
        "!module:antigravity",
        "!applyref:os.mkdir",
        "!include:other.yaml",
        "!!python/object/apply:os.mkdir [{folder}]",
        "!!python/name:os.mkdir",
        "!ref <labels>",
        "!new:emorec_lobes.models.layer_mix.LayerMix.__init__ {{}}",
        "[1, {{deep: !apply:os.mkdir [{folder}]}}]",
        "(!!python/object/apply:os.mkdir [{folder}])",
        "' (!!python/object/apply:os.mkdir [{folder}])'",
        "[(1, 2)]",
        "{{<<: !apply:os.mkdir [{folder}]}}",
    ],
)
def test_anything_else_is_refused_and_nothing_runs(tmp_path, value):
    folder = tmp_path / "made"
    path = write(tmp_path, SAFE.replace("modules: {model: 1}", "extra: " + value.format(folder=folder)))
    with pytest.raises(ConfigError, match="is not on the list of safe targets"):
        load_checked(path, ["model", "extra"])
    assert not folder.exists()


def test_a_dangerous_key_that_is_not_asked_for_does_not_run(tmp_path):
    folder = tmp_path / "made"
    path = write(tmp_path, SAFE + f"extra: !apply:os.mkdir [{folder}]\n")
    assert load_checked(path, ["labels"]) == {"labels": ["angry", "sad"]}
    assert not folder.exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("labels: [a", "is not valid YAML"),
        ("just words", "must hold keys and values"),
        ("", "must hold keys and values"),
        ("labels: [a]", "has no key `model`"),
        ("labels: [a]\nmodel: 1\nmodel: 2", "duplicate key"),
        ("labels: [a]\nmodel: &loop [*loop]", "cannot be built"),
        ("labels: [a]\nmodel: " + "[" * 5_000 + "]" * 5_000, "is not valid YAML"),
    ],
)
def test_a_file_that_is_no_hyperparameter_file_is_one_line(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message) as caught:
        load_checked(write(tmp_path, text), ["labels", "model"])
    assert "\n" not in str(caught.value)


def test_data_that_no_key_or_number_can_be_is_one_line(tmp_path):
    for text in ("?\n: 1", "size: 1" + "0" * 5_000, "a: 1\na: 2"):
        with pytest.raises(ConfigError, match="cannot be built"):
            load_plain(write(tmp_path, text))


def test_a_safe_class_with_senseless_arguments_is_one_line(tmp_path):
    model = "model: !new:emorec_lobes.models.front_end.DisentangledFrontEnd"
    for arguments in ("{front_end: 3, positions: [], make_disentangler: 1}", "{front_end: {}, positions: [a]}"):
        with pytest.raises(ConfigError, match="cannot be built"):
            load_checked(write(tmp_path, f"{model} {arguments}"), ["model"])


def test_a_missing_file_is_one_line(tmp_path):
    with pytest.raises(ConfigError, match="does not exist"):
        load_checked(tmp_path / "hyperparams.yaml", ["model"])


def test_what_is_data_alone_is_read_and_the_rest_is_left_out(tmp_path):
    folder = tmp_path / "made"
    extra = f"odd: (!!python/object/apply:os.mkdir [{folder}])\n"
    extra += (
        f"run: !apply:os.mkdir [{folder}]\ndeep: [1, {{x: !name:os.mkdir }}]\nsize: 3\nnested: {{a: [1.5, null]}}\n"
    )
    plain = load_plain(write(tmp_path, SAFE.replace("modules: {model: 1}", "") + extra))
    assert plain == {"labels": ["angry", "sad"], "size": 3, "nested": {"a": [1.5, None]}}
    assert not folder.exists()


def test_the_target_of_a_key_is_named_and_not_built(tmp_path):
    path = write(tmp_path, SAFE + "odd: !new:os.mkdir [x]\nname: !name:os.mkdir\n")
    assert target_of(path, "model") == "emorec_lobes.models.layer_mix.LayerMix"
    assert target_of(path, "odd") == "os.mkdir"
    assert [target_of(path, key) for key in ("labels", "name", "missing")] == ["", "", ""]
