"""Every bad input is one line with a 4xx or 503, and the server answers the next request."""

import base64
import io
import json
import struct

import numpy as np
import pytest
import soundfile

RATE_HZ = 16_000


def flac(wave, rate=RATE_HZ):
    stream = io.BytesIO()
    soundfile.write(stream, wave, rate, format="FLAC")
    return stream.getvalue()


def float_wav(wave, rate=RATE_HZ):
    stream = io.BytesIO()
    soundfile.write(stream, wave, rate, format="WAV", subtype="FLOAT")
    return stream.getvalue()


def declares(data, num_bytes):
    """The same WAV file with another number of bytes in the header of its samples."""
    place = data.index(b"data") + 4
    return data[:place] + struct.pack("<I", num_bytes) + data[place + 4 :]


def with_rate(data, rate):
    return data[:24] + struct.pack("<I", rate) + data[28:]


NOISE = np.random.default_rng(1).normal(0, 0.1, 3 * RATE_HZ).astype(np.float32)
PLAIN = float_wav(NOISE)
BAD_AUDIO = {
    "not audio": (422, "can be decoded", b"%PDF-1.7 this is a letter" * 50),
    "zero bytes": (422, "0 bytes", b""),
    "a header alone": (422, "holds none", PLAIN[: PLAIN.index(b"data") + 8]),
    "a truncated wav": (422, "1.5 s are there", PLAIN[: len(PLAIN) // 2]),
    "a truncated flac": (422, "can be decoded", flac(NOISE)[:20_000]),
    "10 hours declared by a wav": (422, "36000.0 s", declares(PLAIN, 36_000 * 4 * RATE_HZ)),
    "10 hours declared and there, compressed": (413, "at most 5 s", flac(np.zeros(36_000 * 100, np.int16), 4_000)),
    "a rate of 1 Hz": (422, "4000 to 384000 Hz", with_rate(PLAIN, 1)),
    "a rate of 4 MHz": (422, "4000 to 384000 Hz", with_rate(PLAIN, 2**22)),
    "a rate of 4 GHz": (422, "can be decoded", with_rate(PLAIN, 2**32 - 1)),
    "not a number": (422, "NaN", float_wav(np.where(np.arange(8_000) == 4_000, np.nan, NOISE[:8_000]))),
    "infinite": (422, "NaN or infinite", float_wav(np.full(8_000, np.inf))),
    "refused by the model": (422, "is silent", float_wav(np.zeros(8_000))),
}


def post(client, audio, route="/v1/classify", **options):
    return client.post(route, files={"file": ("a.wav", audio)}, **options)


def assert_refused(answer, status, words=""):
    """One line in our style; nothing of the inside of the server."""
    assert answer.status_code == status, answer.text
    assert list(answer.json()) == ["error"]
    line = answer.json()["error"]
    assert words in line and "\n" not in line
    assert not any(inside in line for inside in ("Traceback", "0x", ".py", "BytesIO", "/tmp"))


@pytest.fixture(scope="module")
def shared(request):
    """One server for all of them: each must leave it whole."""
    pytest.importorskip("fastapi")
    from fastapi.testclient import TestClient

    from emorec_lobes.server.app import build_app
    from emorec_lobes.server.limits import Limits

    kind = request.getfixturevalue("stub_kind")
    app = build_app(kind(takes_text=False), Limits(max_upload_mb=0.5, max_audio_s=5, decoders=1))
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client
        assert post(client, PLAIN).status_code == 200
        assert app.state.service.decoders.num_deaths == 0


@pytest.mark.parametrize("route", ["/v1/classify", "/v1/timeline"])
@pytest.mark.parametrize("name", BAD_AUDIO)
def test_bad_audio_is_one_line(shared, route, name):
    status, words, data = BAD_AUDIO[name]
    if name == "refused by the model" and route == "/v1/timeline":
        return
    assert_refused(post(shared, data, route), status, words)


@pytest.mark.parametrize("data", [float_wav(np.tile(NOISE[:8_000, None], 8)), float_wav(NOISE, 384_000)])
def test_eight_channels_and_384_khz_are_unusual_and_answered(shared, data):
    assert post(shared, data).status_code == 200


def test_a_wav_that_was_written_to_a_pipe_declares_no_length_and_is_answered(shared):
    assert post(shared, declares(PLAIN, 2**32 - 1)).status_code == 200


def as_json(content):
    return {"content": content, "headers": {"Content-Type": "application/json"}}


AUDIO = base64.b64encode(PLAIN).decode()
BAD_REQUESTS = {
    "a path in place of audio": (400, "base64", {"json": {"audio": "/etc/passwd."}}),
    "an address in place of audio": (400, "base64", {"json": {"audio": "http://localhost:8000/a.wav"}}),
    "a field that asks for a path": (400, "`path`", {"json": {"audio": AUDIO, "path": "/etc/passwd"}}),
    "no JSON": (400, "JSON", as_json(b"{")),
    "JSON without end": (400, "JSON", as_json(b"[" * 100_000)),
    "no UTF-8": (400, "JSON", as_json(b'{"audio": "\xff\xfe"}')),
    "half a letter": (400, "JSON", as_json(json.dumps({"audio": AUDIO, "text": "\ud800"}).encode())),
    "a number for audio": (400, "`audio`", {"json": {"audio": 7}}),
    "an unknown emotion": (422, "Did you mean 'angry'?", {"json": {"audio": AUDIO, "labels": ["angri"]}}),
    "an emotion twice": (422, "once", {"json": {"audio": AUDIO, "labels": ["sad", "sad"]}}),
    "no emotion": (400, "`labels`", {"json": {"audio": AUDIO, "labels": []}}),
    "a threshold that is none": (400, "`threshold`", as_json(f'{{"audio": "{AUDIO}", "threshold": NaN}}')),
    "text for a model without": (422, "audio alone", {"json": {"audio": AUDIO, "text": "hello"}}),
    "too much text": (400, "10000 characters", {"json": {"audio": AUDIO, "text": "a" * 10_001}}),
    "an empty body": (415, "Content-Type", {}),
    "bare audio": (415, "Content-Type", {"content": PLAIN, "headers": {"Content-Type": "audio/wav"}}),
    "a form without a boundary": (
        *(400, "boundary"),
        {"content": b"a", "headers": {"Content-Type": "multipart/form-data"}},
    ),
    "a form that is none": (
        *(400, "recording"),
        {"content": b"--x\r\nbroken", "headers": {"Content-Type": "multipart/form-data; boundary=x"}},
    ),
    "neither audio nor text": (400, "recording", {"json": {}}),
    "a form without a file": (400, "recording", {"files": {"labels": (None, "sad")}}),
    "a path for a file": (400, "`file`", {"files": {"file": (None, "/etc/passwd")}}),
    "two files": (400, "files", {"files": [("file", ("a", PLAIN)), ("file", ("b", PLAIN))]}),
    "an unknown field": (400, "`field`", {"files": {"file": ("a", PLAIN), "url": (None, "http://localhost")}}),
    "a word for a number": (400, "`threshold`", {"files": {"file": ("a", PLAIN), "threshold": (None, "high")}}),
    "a large recording": (413, "0.5 MB", {"files": {"file": ("a", PLAIN * 3)}}),
    "an oversized body": (413, "bytes", {"content": b"a" * 1_000_000, "headers": {"Content-Type": "application/json"}}),
}


@pytest.mark.parametrize("name", BAD_REQUESTS)
def test_a_bad_request_is_one_line(shared, name):
    status, words, request = BAD_REQUESTS[name]
    assert_refused(shared.post("/v1/classify", **request), status, words)


def test_an_oversized_body_of_undeclared_length_is_cut_off_while_it_comes(shared):
    sent = []

    def chunks():
        for _ in range(1_000):
            sent.append(1)
            yield b"a" * 10_000

    answer = shared.post("/v1/classify", content=chunks(), headers={"Content-Type": "multipart/form-data; boundary=x"})
    assert answer.status_code in (400, 413)
    assert list(answer.json()) == ["error"]


@pytest.mark.parametrize(("field", "value"), [("window_s", "0.01"), ("window_s", "1e9"), ("shift_s", "1e-9")])
def test_windows_without_bounds_are_refused(shared, field, value):
    assert_refused(post(shared, PLAIN, "/v1/timeline", data={field: value}), 400, f"`{field}`")


def test_what_is_not_there_is_one_line_too(shared):
    assert_refused(shared.get("/v1/nothing"), 404)
    assert_refused(shared.get("/v1/classify"), 405)
    assert_refused(shared.get("/page/%2e%2e/app.py"), 404)
    assert_refused(shared.get("/page//etc/passwd"), 404)


def test_a_defect_of_the_model_is_a_500_that_tells_nothing(serve, stub_kind, make_recording):
    client = serve(stub_kind(fails_on=0.5), decoders=1)
    assert_refused(post(client, make_recording(0.5)), 500, "log")
    assert "secret" not in post(client, make_recording(0.5)).text
    assert post(client, make_recording(0.25)).status_code == 200


BAD_STREAMS = {
    "an unknown encoding": "encoding=mp3",
    "a rate that is none": "sample_rate_hz=0",
    "a rate out of bounds": "sample_rate_hz=999999999",
    "an unknown option": "path=/etc/passwd",
    "windows without end": "shift_s=0",
}


@pytest.mark.parametrize("name", BAD_STREAMS)
def test_a_stream_that_cannot_be_is_refused_before_it_begins(shared, name):
    from starlette.testclient import WebSocketDenialResponse

    with pytest.raises(WebSocketDenialResponse) as refused, shared.websocket_connect(f"/v1/stream?{BAD_STREAMS[name]}"):
        raise AssertionError("accepted")
    assert_refused(refused.value, 400)


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (b"abc", "whole float32 samples"),
        (np.array([np.nan], "<f4").tobytes(), "NaN"),
        ("stop", "`finish`"),
    ],
)
def test_a_chunk_that_cannot_be_used_ends_its_stream_with_a_line(shared, message, words):
    with shared.websocket_connect("/v1/stream") as socket:
        socket.receive_json()
        (socket.send_text if isinstance(message, str) else socket.send_bytes)(message)
        assert words in socket.receive_json()["error"]
        assert socket.receive()["code"] == 1007


def test_a_stream_is_no_longer_than_it_may_be(serve, recognizer):
    client = serve(recognizer, max_stream_s=1, decoders=1)
    with client.websocket_connect("/v1/stream") as socket:
        socket.receive_json()
        socket.send_bytes(np.zeros(20_000, "<f4").tobytes())
        assert "at most 1 s" in socket.receive_json()["error"]


def test_one_stream_too_many_is_told_to_try_later(serve, recognizer):
    from starlette.testclient import WebSocketDenialResponse

    client = serve(recognizer, max_streams=1, decoders=1)
    with client.websocket_connect("/v1/stream") as first:
        first.receive_json()
        with pytest.raises(WebSocketDenialResponse) as refused, client.websocket_connect("/v1/stream"):
            raise AssertionError("accepted")
        assert_refused(refused.value, 503)
        assert refused.value.headers["retry-after"] == "1"
    with client.websocket_connect("/v1/stream") as second:
        second.receive_json()


TOKEN = "correct-horse-battery-staple"
WRONG = (
    None,
    "Bearer",
    "Bearer ",
    "Bearer correct-horse-battery-stapl",
    f"Basic {TOKEN}",
    f"Bearer {TOKEN}x",
    "Bearer \xe9",
)


def test_a_wrong_token_is_refused_everywhere(serve, recognizer):
    from starlette.testclient import WebSocketDenialResponse

    client = serve(recognizer, token=TOKEN, decoders=1)
    for line in WRONG:
        headers = {} if line is None else {"Authorization": line.encode("latin-1")}
        answer = post(client, PLAIN, headers=headers)
        assert_refused(answer, 401, "Bearer")
        assert answer.headers["www-authenticate"] == "Bearer"
        assert_refused(client.get("/metrics", headers=headers), 401)
        with pytest.raises(WebSocketDenialResponse), client.websocket_connect("/v1/stream", headers=headers):
            raise AssertionError("accepted")
    assert recognizer.calls == []


def test_the_right_token_is_let_in_and_health_needs_none(serve, recognizer):
    client = serve(recognizer, token=TOKEN, decoders=1)
    headers = {"Authorization": f"bearer {TOKEN}"}
    assert post(client, PLAIN, headers=headers).status_code == 200
    assert client.get("/metrics", headers=headers).status_code == 200
    assert client.get("/health").json()["needs_token"] is True
    assert client.get("/").status_code == 200


def test_a_page_from_elsewhere_is_not_answered(shared):
    from starlette.testclient import WebSocketDenialResponse

    elsewhere = {"Origin": "http://evil.example"}
    assert_refused(post(shared, PLAIN, headers=elsewhere), 403, "Origin")
    with pytest.raises(WebSocketDenialResponse), shared.websocket_connect("/v1/stream", headers=elsewhere):
        raise AssertionError("accepted")
    assert post(shared, PLAIN, headers={"Origin": "http://testserver"}).status_code == 200


def test_a_local_server_answers_to_local_names_only(serve, recognizer):
    client = serve(recognizer, is_local=True, decoders=1)
    for host in ("localhost:8000", "127.0.0.1:8000", "[::1]:8000"):
        assert client.get("/health", headers={"Host": host}).status_code == 200
    for host in ("rebound.example:8000", "127.0.0.1.example", "", "[", "127.0.0.1@evil.example"):
        assert_refused(client.get("/health", headers={"Host": host}), 403, "Host")
