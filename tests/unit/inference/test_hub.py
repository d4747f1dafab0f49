"""Model folders on the hub: from its cache, without a network; uploads to a stub."""

import shutil

import pytest
from huggingface_hub import constants

from emorec_lobes.cli.main import main
from emorec_lobes.errors import ConfigError, UnavailableError
from emorec_lobes.inference.hub import locate_folder, push
from emorec_lobes.inference.model_folder import open_model


@pytest.fixture()
def cache(tmp_path, monkeypatch):
    """An empty cache of the hub's, and no network."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "hub"


def fill(cache, exported):
    """What a download leaves: contents under blobs, links to them under snapshots, and the newest one's name."""
    repository = cache / "models--org--emotion"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs/main").write_text("a" * 40)
    shutil.copytree(exported, repository / "blobs")
    snapshot = repository / "snapshots" / ("a" * 40)
    snapshot.mkdir(parents=True)
    for path in exported.iterdir():
        (snapshot / path.name).symlink_to(f"../../blobs/{path.name}")


def test_a_model_is_opened_from_the_cache_and_nothing_is_left_in_the_working_folder(cache, exported, tmp_path):
    fill(cache, exported)
    opened = open_model("org/emotion")
    assert opened.source == cache / "models--org--emotion/snapshots" / ("a" * 40)
    assert opened.hparams == open_model(exported).hparams
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hub"]


def test_what_is_not_in_the_cache_is_one_line_offline(cache):
    with pytest.raises(UnavailableError, match=r"org/other is no folder, .*HF_HUB_OFFLINE is set"):
        open_model("org/other")


def test_the_hub_is_asked_where_the_cache_has_no_copy(cache, exported, monkeypatch):
    import huggingface_hub
    from huggingface_hub.errors import LocalEntryNotFoundError

    asked = []

    def snapshot_download(repo_id, *, allow_patterns, local_files_only=False):
        asked.append(local_files_only)
        if local_files_only:
            raise LocalEntryNotFoundError("not there")
        starred = [pattern for pattern in allow_patterns if "*" in pattern]
        assert "hyperparams.yaml" in allow_patterns and all(each.startswith("*.safetensors") for each in starred)
        return str(exported)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    assert locate_folder("org/emotion") == exported and asked == [True, False]


class Hub:
    """Stands for the hub."""

    calls: list = []  # noqa: RUF012

    def create_repo(self, repo_id, **options):
        self.calls.append(("create", repo_id, options))
        return f"https://hub/{repo_id}"

    def upload_folder(self, repo_id, folder_path, **options):
        self.calls.append(("upload", repo_id, folder_path))


def test_a_folder_is_uploaded_as_private_after_it_was_checked(fold, tmp_path, monkeypatch, capsys):
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub, "HfApi", Hub)
    Hub.calls.clear()
    assert main(["export", str(fold), "--to", str(tmp_path / "model"), "--push", "org/emotion"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "pushed: https://hub/org/emotion"
    assert Hub.calls[0] == ("create", "org/emotion", {"private": True, "exist_ok": True})
    assert Hub.calls[1] == ("upload", "org/emotion", str(tmp_path / "model"))
    assert 'from_hparams("org/emotion")' in (tmp_path / "model/README.md").read_text()


def test_a_hub_that_refuses_is_one_line_and_the_folder_stays(exported, monkeypatch):
    import huggingface_hub

    def refuse(*args, **kwargs):
        raise OSError("no\nroute")

    monkeypatch.setattr(huggingface_hub.HfApi, "create_repo", refuse)
    with pytest.raises(UnavailableError, match=r"could not be uploaded to org/emotion \(no route\)"):
        push(exported, "org/emotion")


def test_a_name_that_is_no_hub_id_is_refused_before_anything_is_written(fold, tmp_path, capsys):
    assert main(["export", str(fold), "--to", str(tmp_path / "model"), "--push", "emotion"]) == 2
    assert "`push` must be owner/name" in capsys.readouterr().err and not (tmp_path / "model").exists()
    with pytest.raises(ConfigError, match="must be a model's folder or a hub id"):
        locate_folder("emotion")
