"""The server as a process: `emorec serve` with a model that a recipe trained, and how it ends."""

import base64
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

pytest.importorskip("uvicorn")
pytest.importorskip("fastapi")

HERE = Path(__file__).parent
SERVE_A_STUB = """
import runpy, sys
from emorec_lobes.server.limits import Limits
from emorec_lobes.server.running import listen, serve
stub = runpy.run_path(sys.argv[1])["StubRecognizer"]
with listen("127.0.0.1", 0) as port:
    serve(stub(seconds_per_call=float(sys.argv[2])), Limits(decoders=1, max_pending=4), port, None)
"""


@contextlib.contextmanager
def process(*words, **environment):
    """A server, and its address as it says it; it is not left running."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    started = subprocess.Popen([sys.executable, *map(str, words)], env={**os.environ, **environment}, **pipes)
    try:
        line = started.stdout.readline()
        found = re.search(r"http://[^ ]+", line)
        assert found, line + started.communicate(timeout=60)[1]
        while True:
            with contextlib.suppress(urllib.error.URLError):
                urllib.request.urlopen(f"{found[0]}/health", timeout=60)
                break
            time.sleep(0.05)
        yield started, found[0]
    finally:
        started.kill()
        started.communicate()


def post(address, route, audio, **headers):
    body = json.dumps({"audio": base64.b64encode(audio).decode()}).encode()
    request = urllib.request.Request(f"{address}/v1/{route}", body, {"Content-Type": "application/json", **headers})
    with urllib.request.urlopen(request, timeout=120) as response:
        return json.load(response)


def children_of(started):
    return [int(word) for word in Path(f"/proc/{started.pid}/task/{started.pid}/children").read_text().split()]


def is_running(number):
    """A child that nobody has waited for is there, but does not run."""
    stat = Path(f"/proc/{number}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_answers_what_is_under_way_and_then_ends_without_a_word(make_recording, number):
    with process("-c", SERVE_A_STUB, HERE / "conftest.py", 1) as (started, address):
        children = children_of(started)
        asking = subprocess.Popen(
            [sys.executable, "-c", ASK, address, base64.b64encode(make_recording(0.25)).decode()],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert asking.stdout.readline() == "asking\n"
        time.sleep(0.5)
        started.send_signal(number)
        answer = json.loads(asking.communicate(timeout=60)[0])
        _, stderr = started.communicate(timeout=60)
    assert answer["probabilities"]["angry"] == pytest.approx(0.25, abs=1e-4)
    assert (started.returncode, stderr) == (0, "")
    assert children and not any(map(is_running, children))


ASK = """
import json, sys, urllib.request
body = json.dumps({"audio": sys.argv[2]}).encode()
print("asking", flush=True)
request = urllib.request.Request(sys.argv[1] + "/v1/classify", body, {"Content-Type": "application/json"})
print(urllib.request.urlopen(request, timeout=60).read().decode())
"""


def test_nothing_runs_on_when_the_server_is_killed():
    with process("-c", SERVE_A_STUB, HERE / "conftest.py", 0) as (started, _):
        children = children_of(started)
        started.kill()
        started.communicate()
        deadline = time.monotonic() + 30
        while any(map(is_running, children)) and time.monotonic() < deadline:
            time.sleep(0.05)
    assert children and not any(map(is_running, children))


def test_a_trained_model_answers_over_http_as_it_does_in_python(train, tmp_path, tones):
    from emorec_lobes.inference.recognizer import EmotionRecognizer

    assert train(tmp_path / "run", fold=1, number_of_updates=10)[0] == 0
    fold = tmp_path / "run" / "fold_1"
    recognizer = EmotionRecognizer.from_hparams(fold)
    token = "correct-horse-battery-staple"
    words = ("-c", "import sys; from emorec_lobes.cli.main import main; sys.exit(main())", "serve", "--port", "0")
    with process(*words, "--model", fold, "--decoders", "1", EMOREC_TOKEN=token) as (started, address):
        headers = {"Authorization": f"Bearer {token}"}
        for name in ("s1_angry_1.wav", "s2_sad_1.wav"):
            data = (tones / name).read_bytes()
            answer, expected = post(address, "classify", data, **headers), recognizer.predict(data)
            assert answer["label"] == expected.label
            assert answer["probabilities"] == pytest.approx(expected.probabilities, abs=1e-5)
            assert answer["warnings"] == list(expected.warnings)
            segments = post(address, "timeline", data, **headers)["segments"]
            assert [each["label"] for each in segments] == [each.label for each in recognizer.timeline(data).segments]
        with pytest.raises(urllib.error.HTTPError, match="401"):
            post(address, "classify", data)
        started.send_signal(signal.SIGTERM)
        _, stderr = started.communicate(timeout=60)
    assert started.returncode == 0 and "Traceback" not in stderr
