"""A checkpoint is whole or not there, whatever moment the process dies at."""

import signal

import pytest
import torch
from speechbrain.utils.checkpoints import Checkpointer

from emorec_lobes.experiments import checkpoints
from emorec_lobes.experiments.checkpoints import AtomicCheckpointer


class Killed(BaseException):
    """Stands for the process ending here: nothing handles it."""


@pytest.fixture()
def model():
    return torch.nn.Linear(2, 1)


def fresh(folder, model):
    return AtomicCheckpointer(folder, recoverables={"first": model, "second": torch.nn.Linear(1, 1)})


def set_weight(model, value):
    with torch.no_grad():
        model.weight.fill_(value)


def test_what_is_saved_comes_back(tmp_path, model):
    set_weight(model, 3.0)
    fresh(tmp_path, model).save_checkpoint(meta={"uar": 0.5})
    set_weight(model, 0.0)
    found = fresh(tmp_path, model).recover_if_possible()
    assert model.weight.tolist() == [[3.0, 3.0]] and found.meta["uar"] == 0.5


@pytest.mark.parametrize("dies_at", ["first tensor", "second tensor", "fsync", "rename"])
def test_dying_while_saving_leaves_the_checkpoint_before(tmp_path, model, monkeypatch, dies_at):
    set_weight(model, 1.0)
    fresh(tmp_path, model).save_checkpoint()
    set_weight(model, 2.0)
    checkpointer = fresh(tmp_path, model)

    def die(*args, **kwargs):
        raise Killed

    if dies_at.endswith("tensor"):
        checkpointer.custom_save_hooks[dies_at.split()[0]] = die
    elif dies_at == "fsync":
        monkeypatch.setattr(checkpoints, "_reach_disk", die)
    else:
        monkeypatch.setattr(checkpoints.Path, "rename", die)
    with pytest.raises(Killed):
        checkpointer.save_checkpoint()
    monkeypatch.undo()
    assert fresh(tmp_path, model).recover_if_possible() is not None
    assert model.weight.tolist() == [[1.0, 1.0]]
    set_weight(model, 4.0)
    fresh(tmp_path, model).save_checkpoint()
    set_weight(model, 0.0)
    fresh(tmp_path, model).recover_if_possible()
    assert model.weight.tolist() == [[4.0, 4.0]]


def test_the_host_class_needs_this(tmp_path, model):
    """The reason for the subclass: the plain one lists a checkpoint that it cannot load."""
    checkpointer = Checkpointer(tmp_path, recoverables={"first": model})

    def die(*args):
        raise Killed

    checkpointer.custom_save_hooks["first"] = die
    with pytest.raises(Killed):
        checkpointer.save_checkpoint()
    assert len(Checkpointer(tmp_path, {"first": model}).list_checkpoints()) == 1
    with pytest.raises((RuntimeError, KeyError)):
        Checkpointer(tmp_path, {"first": model}).recover_if_possible()


@pytest.mark.parametrize("lost", ["first.ckpt", "CKPT.yaml"])
def test_a_checkpoint_half_deleted_is_not_listed(tmp_path, model, lost):
    set_weight(model, 1.0)
    fresh(tmp_path, model).save_checkpoint(name="kept+00")
    set_weight(model, 2.0)
    newest = fresh(tmp_path, model).save_checkpoint(name="newest+00")
    (newest.path / lost).unlink()
    fresh(tmp_path, model).recover_if_possible()
    assert model.weight.tolist() == [[1.0, 1.0]]


@pytest.mark.parametrize("lost", ["first.ckpt", "CKPT.yaml"])
def test_what_a_killed_process_left_is_deleted_with_the_checkpoints_that_are_not_kept(tmp_path, model, lost):
    checkpointer = fresh(tmp_path, model)
    whole, half_deleted = checkpointer.save_checkpoint(), checkpointer.save_checkpoint()
    (half_deleted.path / lost).unlink()
    (tmp_path / ".unfinished" / "CKPT+half+00").mkdir(parents=True)
    (tmp_path / "notes.txt").write_text("mine")
    fresh(tmp_path, model).delete_checkpoints(num_to_keep=1)
    assert {path.name for path in tmp_path.iterdir()} == {whole.path.name, "notes.txt"}


def test_the_latest_checkpoint_is_the_last_one_saved_even_if_the_clock_was_set_back(tmp_path, model, monkeypatch):
    set_weight(model, 1.0)
    fresh(tmp_path, model).save_checkpoint()
    monkeypatch.setattr("time.time", lambda: 1e9)
    for value in (2.0, 3.0):
        set_weight(model, value)
        fresh(tmp_path, model).save_checkpoint()
    set_weight(model, 0.0)
    fresh(tmp_path, model).recover_if_possible()
    assert model.weight.tolist() == [[3.0, 3.0]]


def test_only_the_best_and_the_latest_are_kept(tmp_path, model):
    checkpointer = fresh(tmp_path, model)
    for uar in (0.3, 0.9, 0.5, 0.6):
        checkpointer.save_and_keep_only(meta={"uar": uar}, max_keys=["uar"], importance_keys=[])
    assert sorted(item.meta["uar"] for item in checkpointer.list_checkpoints()) == [0.6, 0.9]


def test_checkpoints_saved_within_one_second_do_not_overwrite_each_other(tmp_path, model):
    paths = {fresh(tmp_path, model).save_checkpoint().path for _ in range(5)}
    assert len(paths) == 5 == len(fresh(tmp_path, model).list_checkpoints())


def test_ctrl_c_while_saving_waits_until_the_checkpoint_is_whole(tmp_path, model):
    checkpointer = fresh(tmp_path, model)
    save = torch.save

    def save_and_interrupt(value, path):
        signal.raise_signal(signal.SIGINT)
        save(value.state_dict(), path)

    checkpointer.custom_save_hooks["first"] = save_and_interrupt
    set_weight(model, 3.0)
    with pytest.raises(KeyboardInterrupt):
        checkpointer.save_checkpoint()
    [written] = tmp_path.rglob("first.ckpt")
    assert torch.load(written)["weight"].tolist() == [[3.0, 3.0]]


@pytest.mark.parametrize("error", [MemoryError, torch.OutOfMemoryError])
def test_running_out_of_memory_while_loading_is_not_called_damage(tmp_path, model, error):
    fresh(tmp_path, model).save_checkpoint()
    checkpointer = fresh(tmp_path, model)

    def run_out(*args):
        raise error

    checkpointer.custom_load_hooks["first"] = run_out
    with pytest.raises(error):
        checkpointer.recover_if_possible()
