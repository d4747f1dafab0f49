"""A folder from elsewhere is refused at its first fault, with nothing in it executed."""

import json
import pickle
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from emorec_lobes.cli.main import main
from emorec_lobes.errors import ConfigError, DataError, EmorecError
from emorec_lobes.inference.export import export, read_fold, write_checksums
from emorec_lobes.inference.model_folder import open_model, verify


def edit(folder, name, old, new):
    """Changes a file, and the checksums so that they fit again: the attacker made the whole folder."""
    text = (folder / name).read_text()
    assert old in text
    (folder / name).write_text(text.replace(old, new))
    write_checksums(folder)


def refused(folder, match):
    """By `verify`, by `open_model` and by the command, in one line."""
    for action in (lambda: list(verify(folder)), lambda: open_model(folder)):
        with pytest.raises(EmorecError, match=match) as caught:
            action()
        assert "\n" not in str(caught.value) and len(str(caught.value)) < 700
    return True


def test_what_was_exported_passes_with_a_line_a_check(exported, capsys):
    assert main(["verify", str(exported)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "checksums.json", "checksums", "hyperparams.yaml", "custom.py", "label_encoder.txt", "model.safetensors",
    ]  # fmt: skip


def test_the_command_ends_at_the_first_fault_with_code_2(copy, capsys):
    (copy / "README.md").write_text("Better than it was.")
    assert main(["verify", str(copy)]) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1 and "README.md is not the file that was exported" in captured.err
    assert len(captured.out.splitlines()) == 1


@pytest.mark.parametrize("place", ["model:", "encoder: resemblyzer", "frames_per_code: 48"])
@pytest.mark.parametrize(
    "attack",
    [
        "!new:os.system ['touch {made}']",
        "!apply:os.system ['touch {made}']",
        "!applyref:os.system ['touch {made}']",
        "!name:os.system ['touch {made}']",
        "!module:antigravity",
        "!include:other.yaml",
        "!!python/object/apply:os.system ['touch {made}']",
        "!!python/object/new:os.system ['touch {made}']",
        "!!python/name:os.system",
        "(!!python/object/apply:os.system ['touch {made}'])",
        "\"(!!python/object/apply:os.system ['touch {made}'])\"",
        "!new:subprocess.Popen {{args: [touch, '{made}']}}",
        "!new:emorec_lobes.models.layer_mix.LayerMix.forward",
        "!<!apply:os.system> ['touch {made}']",
        "!apply%3Aos.system ['touch {made}']",
    ],
)
def test_a_file_that_would_run_something_is_refused_and_nothing_runs(copy, tmp_path, place, attack):
    made = tmp_path / "made"
    key = place.split(":")[0]
    attack = attack.format(made=made)
    edit(copy, "hyperparams.yaml", place, f"x: {attack}\n{place}" if key == "model" else f"{key}: {attack}")
    assert refused(copy, "which is not on the list of safe targets|is not valid YAML")
    assert not made.exists()


def test_a_tag_directive_hides_no_target(copy, tmp_path):
    text = (copy / "hyperparams.yaml").read_text()
    attack = f"%TAG !e! !apply:os.\n---\nx: !e!system ['touch {tmp_path}/made']\n"
    (copy / "hyperparams.yaml").write_text(attack + text)
    write_checksums(copy)
    assert refused(copy, "would run !apply:os.system")
    assert not (tmp_path / "made").exists()


def test_trust_skips_the_list_and_nothing_else(copy, tmp_path):
    made = tmp_path / "made"
    edit(copy, "hyperparams.yaml", "sample_rate", f"x: !apply:os.system ['touch {made.name}']\nsample_rate")
    with pytest.raises(ConfigError, match=r"would run !apply:os\.system"):
        open_model(copy)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        assert open_model(copy, trust=True).task == "speech"
        assert made.exists()
    (copy / "README.md").write_text("Changed.")
    with pytest.raises(DataError, match="its checksum differs"):
        open_model(copy, trust=True)


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "~/x", "a/../../x", "..\\\\x", "https://host/x", "C:\\\\x"])
def test_a_path_that_leads_out_is_refused_in_the_hyperparameters(copy, path):
    edit(copy, "hyperparams.yaml", "encoder: resemblyzer", f'encoder: "{path}"')
    assert refused(copy, "`encoder` must name nothing outside its folder")


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/b", "x" * 5_000, "", "evil.py", "model.safetensors\n"])
def test_a_name_that_no_export_has_is_refused_in_the_checksums(copy, name):
    checksums = json.loads((copy / "checksums.json").read_text())
    (copy / "checksums.json").write_text(json.dumps({name: "0" * 64, **checksums}))
    assert refused(copy, "leads out of the folder|is no file of a model folder")


@pytest.mark.parametrize("name", ["README.md", "hyperparams.yaml", "checksums.json", "model.safetensors"])
def test_a_link_to_somewhere_else_is_refused(copy, tmp_path, name):
    (copy / name).rename(tmp_path / "elsewhere")
    (copy / name).symlink_to(tmp_path / "elsewhere")
    assert refused(copy, "must be a file in the folder itself")


def test_the_links_of_the_hubs_cache_lead_nowhere_but_to_its_blobs(exported, tmp_path):
    repository = tmp_path / "models--org--name"
    snapshot, blobs = repository / "snapshots/abc", repository / "blobs"
    snapshot.mkdir(parents=True)
    shutil.copytree(exported, blobs)
    for path in blobs.iterdir():
        (snapshot / path.name).symlink_to(f"../../blobs/{path.name}")
    assert len(list(verify(snapshot))) == 6
    (blobs / "README.md").rename(tmp_path / "secret")
    (blobs / "README.md").symlink_to(tmp_path / "secret")
    assert refused(snapshot, "README.md must be a file in the folder itself")


@pytest.mark.parametrize("name", ["hyperparams.yaml", "model.safetensors", "label_encoder.txt", "custom.py"])
def test_a_missing_file_is_named(copy, name):
    (copy / name).unlink()
    assert refused(copy, f"{name} does not exist")
    write_checksums(copy)
    assert refused(copy, f"must list {name}")


def test_an_additional_file_is_refused_unless_it_is_gits_or_the_hubs(copy):
    (copy / ".gitattributes").write_text("*.safetensors filter=lfs")
    (copy / ".git").mkdir()
    assert list(verify(copy))
    (copy / "extra.py").write_text("")
    assert refused(copy, "has 'extra.py'")


def test_weights_of_another_fold_are_refused(copy, make_fold, tmp_path):
    other = make_fold(tmp_path / "fold_2", skill=0.8)
    list(export(read_fold(other), tmp_path / "other"))
    shutil.copy(tmp_path / "other/model.safetensors", copy)
    assert refused(copy, "model.safetensors is not the file that was exported")


def spoilt(weights, how):
    name = next(name for name, value in weights.items() if value.is_floating_point() or how == "lacks")
    if how == "lacks":
        del weights[name]
    elif how == "has another":
        weights["backdoor"] = torch.zeros(1)
    elif how == "has another shape":
        weights[name] = torch.zeros(3, 5, 7)
    elif how == "has another kind":
        weights[name] = weights[name].double()
    else:
        weights[name] = torch.full_like(weights[name], float("nan"))
    return weights


@pytest.mark.parametrize("how", ["lacks", "has another", "has another shape", "has another kind", "is not finite"])
def test_a_tensor_that_does_not_fit_is_refused(copy, how):
    save_file(spoilt(load_file(copy / "model.safetensors"), how), copy / "model.safetensors")
    write_checksums(copy)
    assert refused(copy, "does not fit its hyperparams.yaml")


class Bomb:
    """What runs where a pickle is read."""

    def __init__(self, made):
        self.made = made

    def __reduce__(self):
        return (open, (str(self.made), "w"))


def test_a_pickle_under_the_name_of_tensors_is_refused_and_not_read(copy, tmp_path):
    (copy / "model.safetensors").write_bytes(pickle.dumps(Bomb(tmp_path / "made")))
    write_checksums(copy)
    assert refused(copy, "is damaged, or no safetensors file")
    torch.save({"weights": Bomb(tmp_path / "made")}, copy / "model.safetensors")
    write_checksums(copy)
    assert refused(copy, "is damaged, or no safetensors file")
    assert not (tmp_path / "made").exists()


def test_code_that_speechbrain_would_import_is_the_exported_one(copy):
    edit(copy, "custom.py", "__all__", "import os\n__all__")
    assert refused(copy, "custom.py must be the file that `emorec export` writes")


def test_classes_in_another_order_are_refused(copy):
    edit(copy, "hyperparams.yaml", "[angry, neutral, happy, sad]", "[angry, happy, neutral, sad]")
    assert refused(copy, "label_encoder.txt must list the labels")


@pytest.mark.parametrize("labels", ["[joyful, b]", "angry", "[]", "[[angry]]"])
def test_classes_that_are_no_emotions_are_refused(copy, labels):
    edit(copy, "hyperparams.yaml", "[angry, neutral, happy, sad]", labels)
    assert refused(copy, "`labels` must be names of emotions")


def test_aliases_that_would_fill_the_memory_are_refused_at_once(copy):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30)]
    edit(copy, "hyperparams.yaml", "sample_rate", "\n".join([*lines, "sample_rate"]))
    assert refused(copy, "its aliases hold one another, or make too much of it")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("num_convs: 3", "num_convs: 100000000"),
        ("num_convs: 3", "num_convs: 0x7fffffff"),
        ("num_lstm_layers: 2", "num_lstm_layers: 5000"),
        ("conv_channels: 8", "conv_channels: 99999999"),
        ("[angry, neutral, happy, sad]", f"[{', '.join(['angry'] * 1000)}]"),
    ],
)
def test_a_network_larger_than_any_of_ours_is_refused_before_it_is_built(copy, old, new):
    edit(copy, "hyperparams.yaml", old, new)
    assert refused(copy, "has larger numbers than any model of ours")


def test_a_wider_network_than_its_weights_takes_no_memory(copy):
    edit(copy, "hyperparams.yaml", "conv_channels: 8", "conv_channels: 900000")  # 16 TB, if it were built
    assert refused(copy, "does not fit its hyperparams.yaml")


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("hyperparams.yaml", "x: 1\n" * 500_000, "must be a few kilobytes"),
        ("checksums.json", '{"a": "' + "x" * 2_000_000 + '"}', "must be a few kilobytes"),
        ("checksums.json", "[]", "must hold a JSON object"),
        ("record.json", "{", "not valid JSON"),
        ("hyperparams.yaml", "model: [", "is not valid YAML"),
        ("hyperparams.yaml", "model: 3\nlabels: [angry]", "must describe a model"),
    ],
)
def test_a_broken_file_is_one_line(copy, name, content, match):
    (copy / name).write_text(content)
    if name != "checksums.json":
        write_checksums(copy)
    assert refused(copy, match)


def test_a_folder_that_is_none_is_one_line(tmp_path):
    with pytest.raises(ConfigError, match=r"must be a model folder .* or a finished fold"):
        open_model(tmp_path)
    with pytest.raises(ConfigError, match="must be a model's folder or a hub id"):
        open_model(tmp_path / "missing")
