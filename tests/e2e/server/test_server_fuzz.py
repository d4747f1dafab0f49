"""Thousands of spoilt uploads: never a 500, and no more memory than before."""

import collections
import contextlib
import http.client
import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest

pytest.importorskip("uvicorn")
pytest.importorskip("fastapi")
pytestmark = pytest.mark.slow

NUM_UPLOADS = 2_500
WARM_UP = 500  # until allocators and pools have what they keep
MAX_GROWTH_MB = 15
ROUTES = ("/v1/classify", "/v1/timeline")
EXPECTED = {200, 400, 413, 415, 422, 503}
BOUNDARY = b"----a-boundary-of-a-form"
SERVE_A_STUB = """
import runpy, sys
from emorec_lobes.server.limits import Limits
from emorec_lobes.server.running import listen, serve
stub = runpy.run_path(sys.argv[1])["StubRecognizer"]
with listen("127.0.0.1", 0) as port:
    serve(stub(), Limits(max_audio_s=20, max_upload_mb=1), port, None)
"""


def spoilt(data, generator):
    """The same bytes with a few of them changed, cut, doubled, inserted, or numbers made huge."""
    data = bytearray(data)
    for _ in range(generator.integers(1, 6)):
        # Headers are at the start, and break more than samples do.
        limit = len(data) if generator.random() < 0.4 else min(len(data), 200)
        place = int(generator.integers(0, max(limit, 1)))
        kind = generator.integers(6)
        if kind == 0:
            data[place : place + 1] = generator.bytes(1)
        elif kind == 1:
            data[place : place + 4] = generator.choice(
                [b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\x7f", b"\0\0\0\x80"]
            )
        elif kind == 2:
            del data[int(generator.integers(0, len(data) + 1)) :]
        elif kind == 3:
            data[place:place] = generator.bytes(int(generator.integers(1, 64)))
        elif kind == 4:
            del data[place : place + int(generator.integers(1, 64))]
        else:
            data[place:place] = data[place : place + int(generator.integers(1, 2_000))]
    return bytes(data)


def form(data):
    head = b'--%s\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n' % BOUNDARY
    fields = b'\r\n--%s\r\nContent-Disposition: form-data; name="labels"\r\n\r\nangry,sad\r\n--%s--\r\n' % (
        BOUNDARY,
        BOUNDARY,
    )
    return head + data + fields


def requests(seeds):
    """(route, content type, body): mostly spoilt audio in a sound request, else a spoilt request."""
    generator = np.random.default_rng(20_260_101)
    is_form = f"multipart/form-data; boundary={BOUNDARY.decode()}"
    for number in range(NUM_UPLOADS):
        data, route = seeds[number % len(seeds)], ROUTES[number % 2]
        chance = generator.random()
        if chance < 0.8:
            yield route, is_form, form(spoilt(data, generator))
        elif chance < 0.9:
            yield route, is_form, spoilt(form(data), generator)
        else:
            text = json.dumps({"audio": data[:2_000].hex(), "labels": ["angry"], "text": "words", "threshold": 0.5})
            yield route, "application/json", spoilt(text.encode(), generator)


def post(address, request):
    """The status; a request that the server cannot even read may end its connection."""
    route, content_type, body = request
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=300)
    try:
        connection.request("POST", route, body, {"Content-Type": content_type})
        response = connection.getresponse()
        answer = json.loads(response.read())
        assert response.status == 200 or list(answer) == ["error"]
        assert "Traceback" not in str(answer)
        return response.status
    finally:
        connection.close()


def resident_mb(process):
    """Memory of a process and of its children, in 10^6 bytes."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    total = 0
    for each in (process, *children):
        total += int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{each}/status").read_text())[1]) * 1024
    return total / 1e6


@contextlib.contextmanager
def server():
    words = [sys.executable, "-c", SERVE_A_STUB, str(Path(__file__).parent / "conftest.py")]
    started = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ)
    try:
        yield started, re.search(r"http://[^ ]+", started.stdout.readline())[0]
    finally:
        started.kill()
        started.communicate()


def test_spoilt_uploads_are_refused_and_leave_nothing_behind(make_recording):
    forms = [("WAV", None), ("WAV", "FLOAT"), ("WAV", "IMA_ADPCM"), ("FLAC", None), ("OGG", "VORBIS"), ("OGG", "OPUS")]
    forms += [("MP3", "MPEG_LAYER_III"), ("AIFF", None), ("CAF", None), ("AU", None), ("W64", None), ("RF64", None)]
    seeds = [
        make_recording(0.3, 0.5, form=form, subtype=subtype, channels=1 + len(form) % 2) for form, subtype in forms
    ]
    everything = list(requests(seeds))
    with server() as (started, address), ThreadPoolExecutor(4) as clients:
        counts = collections.Counter(clients.map(lambda each: post(address, each), everything[:WARM_UP]))
        before_mb = resident_mb(started.pid)
        counts.update(clients.map(lambda each: post(address, each), everything[WARM_UP:]))
        after_mb = resident_mb(started.pid)
        sound = [post(address, (ROUTES[0], f"multipart/form-data; boundary={BOUNDARY.decode()}", form(seeds[0])))]
        deaths = http.client.HTTPConnection(urlsplit(address).netloc)
        deaths.request("GET", "/metrics")
        dead = re.search(rb"^emorec_decoder_deaths (\S+)", deaths.getresponse().read(), re.MULTILINE)[1]
        started.terminate()
        _, logged = started.communicate(timeout=60)
    print(f"\n{dict(counts)}, {before_mb:.1f} -> {after_mb:.1f} MB, {float(dead):g} decoders died")
    assert set(counts) <= EXPECTED and counts[200] > 0 and counts[422] > 0
    assert sum(counts.values()) == NUM_UPLOADS and sound == [200]
    assert after_mb - before_mb < MAX_GROWTH_MB
    assert (started.returncode, logged) == (0, "")
