"""`emorec serve` says in one line what keeps it from serving, before it opens a model."""

import sys

import pytest

from emorec_lobes.cli.main import main

TOKEN = "correct-horse-battery-staple"


def complaint(capsys, *words):
    assert main(["serve", "--port", "0", "--model", "nowhere", *map(str, words)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and error.startswith("emorec: ")
    return error


@pytest.mark.parametrize("content", ["", "short", f"{TOKEN} and more", "a" * 15, "\u00e9" * 20])
def test_a_token_that_protects_nothing_is_refused(capsys, tmp_path, content):
    (tmp_path / "token").write_text(content, encoding="utf-8")
    error = complaint(capsys, "--token-file", tmp_path / "token")
    assert str(tmp_path / "token") in error
    assert not content or content not in error


def test_a_missing_token_file_is_named(capsys, tmp_path):
    assert "No such file" in complaint(capsys, "--token-file", tmp_path / "none")


def test_the_environment_may_hold_the_token(monkeypatch):
    from emorec_lobes.server.running import read_token

    monkeypatch.delenv("EMOREC_TOKEN", raising=False)
    assert read_token(None) is None
    monkeypatch.setenv("EMOREC_TOKEN", f"{TOKEN}\n")
    assert read_token(None) == TOKEN


def test_an_empty_token_in_the_environment_is_no_open_door(monkeypatch, capsys):
    monkeypatch.setenv("EMOREC_TOKEN", "")
    assert "EMOREC_TOKEN" in complaint(capsys)


@pytest.mark.parametrize("option", ["--max-audio-s", "--batch-size", "--decoders", "--timeout-s", "--max-upload-mb"])
@pytest.mark.parametrize("value", ["0", "-1"])
def test_a_limit_of_nothing_is_refused(capsys, option, value):
    assert option in complaint(capsys, f"{option}={value}")


def test_memory_must_hold_one_recording(capsys):
    assert "--max-audio-s" in complaint(capsys, "--memory-mb", 10)


def test_a_port_that_is_taken_is_named(capsys):
    pytest.importorskip("uvicorn")
    from emorec_lobes.server.running import listen

    with listen("127.0.0.1", 0) as taken:
        number = taken.getsockname()[1]
        assert f"127.0.0.1:{number}" in complaint(capsys, "--port", number)


def test_an_address_that_is_none_is_named(capsys):
    pytest.importorskip("uvicorn")
    assert "no.such.host.invalid:0 cannot" in complaint(capsys, "--host", "no.such.host.invalid")
    assert "`--port`" in complaint(capsys, "--port", "70000")


def test_the_extra_that_is_missing_is_named(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "fastapi", None)
    assert "emorec[serve]" in complaint(capsys)


def test_serving_everybody_without_a_token_is_warned_of(capsys, monkeypatch):
    uvicorn = pytest.importorskip("uvicorn")
    pytest.importorskip("prometheus_client")
    from emorec_lobes.server.limits import Limits
    from emorec_lobes.server.running import listen, serve

    class Recognizer:
        labels = ("angry", "sad")

    served = []
    monkeypatch.setattr(uvicorn.Server, "run", lambda self, sockets: served.append(sockets))
    monkeypatch.setattr("signal.signal", lambda *_: None)
    for host, token in (("127.0.0.1", None), ("0.0.0.0", TOKEN), ("0.0.0.0", None)):
        with listen(host, 0) as port:
            serve(Recognizer(), Limits(), port, token)
        warned = "other machines" in capsys.readouterr().err
        assert warned == (host == "0.0.0.0" and token is None)
    assert len(served) == 3
