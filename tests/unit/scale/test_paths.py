"""URLs of files: read, listed, and refused with one line."""

import fsspec
import pytest
from fsspec.registry import known_implementations

from emorec_lobes.errors import ConfigError, DataError, UnavailableError
from emorec_lobes.inference.listing import listed
from emorec_lobes.scale import paths
from emorec_lobes.scale.paths import is_remote, read_remote


@pytest.fixture()
def store(tmp_path):
    """(URL of a folder in memory, URL of a folder on the disk), with the same files."""
    memory = fsspec.filesystem("memory")
    for name in ("b/2.flac", "b/1.wav", "a.wav", "notes.txt"):
        memory.pipe(f"/{tmp_path.name}/{name}", name.encode())
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    return f"memory://{tmp_path.name}", f"file://{tmp_path}"


@pytest.mark.parametrize("kind", [0, 1])
def test_a_folder_a_pattern_and_a_file_stand_for_their_audio(store, kind):
    root = store[kind]
    shown = root.replace("memory://", "memory:///")  # as fsspec writes it
    found = list(listed([root]))
    assert found == [f"{shown}/{name}" for name in ("a.wav", "b/1.wav", "b/2.flac")]
    assert list(listed([f"{root}/*/*.wav"])) == [f"{shown}/b/1.wav"]
    assert list(listed([f"{root}/a.wav", f"{root}/none.wav"])) == [f"{root}/a.wav", f"{root}/none.wav"]
    assert [read_remote(url) for url in found] == [b"a.wav", b"b/1.wav", b"b/2.flac"]


def test_what_cannot_be_read_is_one_line(store, monkeypatch):
    for url, kind, words in (
        (f"{store[0]}/none.wav", DataError, "must be a file that can be read"),
        (f"{store[1]}/none.wav", DataError, "No such file"),
        ("nonsense://x/a.wav", DataError, "nonsense"),
    ):
        with pytest.raises(kind, match=words) as caught:
            read_remote(url)
        assert "\n" not in str(caught.value) and url in str(caught.value)
    monkeypatch.setattr(paths, "_MAX_BYTES", 3)
    with pytest.raises(DataError, match="at most 1 GiB"):
        read_remote(f"{store[0]}/a.wav")


def test_a_store_whose_library_is_missing_says_what_to_install(monkeypatch):
    monkeypatch.setitem(known_implementations, "far", {"class": "no.such.Module", "err": "Install far"})
    with pytest.raises(UnavailableError, match="Install far"):
        read_remote("far://bucket/a.wav")


def test_a_url_without_audio_is_refused(store):
    with pytest.raises(ConfigError, match="must stand for audio files"):
        list(listed([f"{store[0]}/*.mp3"]))


def test_only_urls_are_remote():
    assert [is_remote(name) for name in ("gs://b/a.wav", "a.wav", "C:\\a.wav", "/a:b//c.wav")] == [True] + 3 * [False]
