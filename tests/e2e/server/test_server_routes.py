"""What each route answers."""

import base64
import io
import json

import numpy as np
import pytest
import soundfile


def classify(client, data, **fields):
    return client.post("/v1/classify", files={"file": ("a.wav", data)}, data=fields)


def test_a_recording_sent_as_a_form_is_answered_by_the_prediction(client, make_recording):
    answer = classify(client, make_recording(0.25, duration_s=0.2))
    assert answer.status_code == 200
    body = answer.json()
    assert body["label"] == "angry"
    assert body["probabilities"]["angry"] == pytest.approx(0.25, abs=1e-4)
    assert sum(body["probabilities"].values()) == pytest.approx(1)
    assert body["duration_s"] == pytest.approx(0.2)
    assert (body["warnings"], body["embedding"]) == ([], None)


def test_the_same_recording_as_json_gets_the_same_answer(client, make_recording):
    data = make_recording(0.3)
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        as_json = client.post("/v1/classify", json={"audio": encode(data).decode()})
        assert as_json.json() == classify(client, data).json()


def test_options_reach_the_recognizer_from_a_form_and_from_json(client, recognizer, make_recording):
    data = make_recording(0.25)
    form = classify(client, data, text="so what", labels="sad, angry", threshold="0.5", embedding="true")
    body = {"text": "so what", "labels": ["sad", "angry"], "threshold": 0.5, "embedding": True}
    sent = client.post("/v1/classify", json={"audio": base64.b64encode(data).decode(), **body})
    assert form.json() == sent.json()
    assert form.json()["label"] is None
    assert set(form.json()["probabilities"]) == {"sad", "angry"}
    assert form.json()["embedding"] == pytest.approx([0.25] * 3, abs=1e-4)
    expected = {"text": ["so what"], "labels": ("sad", "angry"), "threshold": 0.5, "embeddings": True}
    assert recognizer.calls == [expected, expected]


def test_words_alone_may_be_asked_about(client, recognizer):
    answer = client.post("/v1/classify", json={"text": "so what"})
    assert answer.status_code == 200
    assert answer.json() == client.post("/v1/classify", files={"text": (None, "so what")}).json()


def test_an_empty_field_of_a_form_was_not_filled_in(client, recognizer, make_recording):
    assert classify(client, make_recording(), text="", labels="").status_code == 200
    assert recognizer.calls[-1]["text"] is None and recognizer.calls[-1]["labels"] is None


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 96_000, 384_000])
def test_the_rate_of_the_file_reaches_the_recognizer(client, make_recording, rate):
    body = classify(client, make_recording(0.25, rate=rate, duration_s=0.1)).json()
    assert body["warnings"] == [f"resampled from {rate} Hz"]
    assert body["duration_s"] == pytest.approx(0.1)


@pytest.mark.parametrize(("form", "subtype"), [("WAV", "FLOAT"), ("WAV", "PCM_24"), ("FLAC", None), ("OGG", "VORBIS")])
def test_what_is_decoded_are_the_samples_of_the_file(client, form, subtype):
    times = np.arange(8_000) / 16_000
    stream = io.BytesIO()
    soundfile.write(stream, 0.4 * np.sin(2 * np.pi * 200 * times), 16_000, format=form, subtype=subtype)
    wave, _ = soundfile.read(io.BytesIO(stream.getvalue()))
    level = classify(client, stream.getvalue()).json()["probabilities"]["angry"]
    assert level == pytest.approx(np.abs(wave).mean(), abs=1e-5)


def test_channels_are_mixed_by_their_mean(client):
    wave = np.stack([np.full(4_000, 0.5), np.full(4_000, 0.1)] + [np.full(4_000, 0.3)] * 6, axis=1)
    stream = io.BytesIO()
    soundfile.write(stream, wave, 16_000, format="WAV", subtype="FLOAT")
    assert classify(client, stream.getvalue()).json()["probabilities"]["angry"] == pytest.approx(0.3, abs=1e-6)


def test_the_timeline_has_windows_as_they_were_asked_for(client, make_recording):
    files = {"file": ("a.wav", make_recording(duration_s=3))}
    answer = client.post("/v1/timeline", files=files, data={"window_s": "2", "shift_s": "0.5"})
    segments = answer.json()["segments"]
    assert [segment["start_s"] for segment in segments] == [0, 0.5, 1, 1.5, 2, 2.5]
    assert segments[-1] == {"start_s": 2.5, "stop_s": 3, "label": "angry", "probabilities": {"angry": 1}}


@pytest.mark.parametrize("encoding", ["float32", "int16"])
def test_a_stream_answers_every_chunk_with_what_it_completed(client, encoding):
    kind, scale = ("<f4", 1) if encoding == "float32" else ("<i2", 32768)
    chunk = (np.full(8_000, 0.5) * scale).astype(kind).tobytes()
    with client.websocket_connect(f"/v1/stream?sample_rate_hz=16000&encoding={encoding}") as socket:
        assert socket.receive_json() == {"labels": ["angry", "happy", "neutral", "sad"], "latency_s": 1.0}
        answers = []
        for message in (chunk, chunk, chunk):
            socket.send_bytes(message)
            answers.append(socket.receive_json())
        socket.send_text("finish")
        last = socket.receive_json()
        assert socket.receive()["code"] == 1000
    assert [len(answer["segments"]) for answer in answers] == [0, 1, 0]
    assert answers[1]["segments"][0]["probabilities"]["angry"] == pytest.approx(0.5, abs=1e-4)
    assert last["segments"][0]["start_s"] == 1 and last["segments"][0]["stop_s"] == 1.5
    assert (last["received_s"], last["finished"]) == (1.5, True)


def test_health_says_what_may_be_asked(client):
    body = client.get("/health").json()
    assert body["status"] == "ok"
    assert body["labels"] == ["angry", "happy", "neutral", "sad"]
    assert (body["takes_text"], body["needs_token"], body["max_audio_s"]) == (True, False, 5)


def test_metrics_count_requests_by_route_and_status(client, make_recording):
    classify(client, make_recording())
    classify(client, b"no audio")
    client.get("/some/name/nobody/knows")
    lines = client.get("/metrics").text.splitlines()
    assert 'emorec_requests_total{route="/v1/classify",status="200"} 1.0' in lines
    assert 'emorec_requests_total{route="/v1/classify",status="422"} 1.0' in lines
    assert 'emorec_requests_total{route="other",status="404"} 1.0' in lines
    assert "emorec_batch_size_sum 1.0" in lines
    assert "emorec_pending_requests 0.0" in lines
    assert any(line.startswith("process_resident_memory_bytes ") for line in lines)


def test_the_description_has_types_for_every_answer(client):
    api = client.get("/openapi.json").json()
    assert set(api["paths"]) == {"/v1/classify", "/v1/timeline", "/health"}
    post = api["paths"]["/v1/classify"]["post"]
    assert set(post["requestBody"]["content"]) == {"multipart/form-data", "application/json"}
    assert post["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].endswith("/Answer")
    assert post["responses"]["422"]["content"]["application/json"]["schema"]["$ref"].endswith("/Problem")
    probabilities = api["components"]["schemas"]["Answer"]["properties"]["probabilities"]
    assert probabilities["additionalProperties"] == {"type": "number"} and probabilities["description"]
    assert "detail" not in json.dumps(api["components"]["schemas"]["Problem"])


def test_the_page_asks_for_nothing_from_elsewhere(client):
    page = client.get("/")
    assert page.status_code == 200 and page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "unsafe" not in page.headers["content-security-policy"]
    for path in ("page/index.html", "page/style.css", "page/main.js"):
        text = client.get(path).text
        assert "http://" not in text and "https://" not in text and "//cdn" not in text
