"""How many requests the server answers, and how fast, with and without batches.

    python benchmarks/serve.py [--model M] [--clients N [N ...]] [--requests N] [--rounds N] [--seconds S]

`emorec serve` runs as a process of its own, once with batches and once with `--batch-size 1`; both get the same
requests, in turns, from so many clients, of which each sends its next one when it has its answer. Every answer is
compared with the one that its recording got alone: one that went to another request would be seen. README.md beside
this file says how to read the table.
"""

import argparse
import contextlib
import functools
import http.client
import json
import operator
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import soundfile
from _material import noise

from emorec_lobes.errors import ConfigError, UnavailableError, exit_code_of
from emorec_lobes.units import SAMPLE_RATE_HZ

WAYS = {"batches": (), "one by one": ("--batch-size", "1")}
# What batches and singles may differ by: sums in another order.
TOLERANCE = 1e-4
NUM_RECORDINGS = 16  # each of another length
SERVE = "import sys; from emorec_lobes.cli.main import main; sys.exit(main())"
BOUNDARY = b"a-boundary-that-no-recording-holds"


@dataclass(frozen=True)
class Load:
    """What one way took for all of its requests."""

    latencies_s: np.ndarray
    wall_s: float
    num_busy: int  # answered 503
    largest_difference: float
    batches: np.ndarray  # questions to the model, requests in them

    def __add__(self, other: "Load") -> "Load":
        return Load(
            np.concatenate([self.latencies_s, other.latencies_s]),
            self.wall_s + other.wall_s,
            self.num_busy + other.num_busy,
            max(self.largest_difference, other.largest_difference),
            self.batches + other.batches,
        )

    def row(self, way: str, clients: int) -> str:
        """As a line of the table."""
        p50, p95, p99 = np.percentile(self.latencies_s, (50, 95, 99)) * 1e3
        rate = len(self.latencies_s) / self.wall_s
        times = f"{rate:.1f} | {p50:.0f} | {p95:.0f} | {p99:.0f} | {self.batches[1] / self.batches[0]:.1f}"
        return f"| {clients} | {way} | {times} | {self.num_busy} | {self.largest_difference:.0e} |"


def recordings(count: int, duration_s: float, seed: int) -> list[bytes]:
    """Forms with WAV files of noise that swings as syllables do, from half to one and a half times as long."""
    generator, forms = np.random.default_rng(seed), []
    with TemporaryDirectory() as folder:
        for number in range(count):
            path = Path(folder) / f"{number}.wav"
            soundfile.write(path, noise(duration_s * generator.uniform(0.5, 1.5), generator), SAMPLE_RATE_HZ)
            head = b'--%s\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n' % BOUNDARY
            forms.append(head + path.read_bytes() + b"\r\n--%s--\r\n" % BOUNDARY)
    return forms


@contextlib.contextmanager
def serving(model: str | None, *options: str) -> Iterator[str]:
    """Where a server listens, which runs as long as the block.

    Raises
    ------
    UnavailableError
        If it does not start; with its own line.
    """
    words = ["serve", "--port", "0", *(("--model", model) if model else ()), *options]
    command = [sys.executable, "-c", SERVE, *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        try:
            found = re.search(r"http://([^ ]+)", server.stdout.readline())
            if not found:
                said = server.stderr.read().strip().removeprefix("emorec: ")
                raise UnavailableError(said or f"The server ended before it began, with code {server.wait()}.")
            yield found[1]
        finally:
            server.terminate()


def ask(connection: http.client.HTTPConnection, form: bytes) -> dict[str, float] | None:
    """The probabilities of one recording; None where the server is busy."""
    kind = f"multipart/form-data; boundary={BOUNDARY.decode()}"
    connection.request("POST", "/v1/classify", form, {"Content-Type": kind})
    response = connection.getresponse()
    answer = json.loads(response.read())
    if response.status not in (200, 503):
        raise UnavailableError(f"The server must answer, but said {response.status}: {answer['error']}")
    return answer.get("probabilities")


def measure(address: str, forms: Sequence[bytes], alone: Sequence[dict[str, float]], clients: int, total: int) -> Load:
    """Sends `total` requests from so many clients."""
    before = batches(address)

    def client(first: int) -> list[tuple[float, float | None]]:
        connection, found = http.client.HTTPConnection(address, timeout=600), []
        for number in range(first, total, clients):
            place, start = number % len(forms), time.perf_counter()
            answer = ask(connection, forms[place])
            duration_s = time.perf_counter() - start
            far = None if answer is None else max(abs(answer[label] - value) for label, value in alone[place].items())
            found.append((duration_s, far))
        connection.close()
        return found

    start = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        found = [each for part in pool.map(client, range(clients)) for each in part]
    wall_s = time.perf_counter() - start
    far = [each for _, each in found if each is not None]
    if max(far) > TOLERANCE:
        raise ConfigError(
            f"An answer is {max(far):.2g} off the one its recording gets alone. Do not trust this server."
        )
    return Load(
        np.array([each for each, _ in found]), wall_s, len(found) - len(far), max(far), batches(address) - before
    )


def batches(address: str) -> np.ndarray:
    """How many questions the model was asked, and how many requests were in them."""
    connection = http.client.HTTPConnection(address, timeout=60)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    found = (re.search(rf"^emorec_batch_size_{what} (\S+)$", text, re.MULTILINE)[1] for what in ("count", "sum"))
    return np.array([float(each) for each in found])


def run(argv: Sequence[str] | None = None) -> int:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="as of `emorec serve` (default: the one in the package)")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 32], metavar="N")
    parser.add_argument("--requests", type=int, default=96, metavar="N", help="for each row and round (default: 96)")
    parser.add_argument("--rounds", type=int, default=2, metavar="N", help="turns of both ways (default: 2)")
    parser.add_argument("--seconds", type=float, default=3.0, metavar="S", help="mean length (default: 3)")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    if min(*args.clients, args.requests, args.rounds, args.seconds) <= 0:
        raise ConfigError("All numbers must be more than 0. See `--help`.")
    forms = recordings(NUM_RECORDINGS, args.seconds, args.seed)
    print("| clients | way | requests/s | p50 ms | p95 ms | p99 ms | mean batch | busy | largest difference |")
    print("|--:|---|--:|--:|--:|--:|--:|--:|--:|")
    with serving(args.model, *WAYS["one by one"]) as single, serving(args.model) as batched:
        ways = dict(zip(WAYS, (batched, single), strict=True))
        connection = http.client.HTTPConnection(single, timeout=600)
        alone = [ask(connection, form) for form in forms]
        connection.close()
        measure(batched, forms, alone, max(args.clients), len(forms))  # once, unmeasured
        for clients in args.clients:
            rounds = [
                {way: measure(address, forms, alone, clients, args.requests) for way, address in ways.items()}
                for _ in range(args.rounds)
            ]
            for way in ways:
                load = functools.reduce(operator.add, (each[way] for each in rounds))
                print(load.row(way, clients), flush=True)
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """The benchmark's exit code."""
    return exit_code_of("serve", lambda: run(argv))


if __name__ == "__main__":
    sys.exit(main())
