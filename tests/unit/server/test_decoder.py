"""The process that decodes is confined: memory, time, files."""

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from emorec_lobes.server import decoder
from emorec_lobes.server.refusals import Refused


def run_confined(line):
    """The exit code and the output of one line in a process of its own, with 64 MiB and 0 s granted."""
    script = "from emorec_lobes.server import decoder as d; d._confine(2**26); d._grant_cpu(0)\n" + line
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    return done.returncode, done.stderr


def test_it_gets_no_more_memory_than_granted():
    code, error = run_confined("bytearray(2**25); bytearray(2**27)")
    assert code == 1 and error.strip().endswith("MemoryError")


def test_it_runs_no_longer_than_granted():
    assert run_confined("while True: pass")[0] == -signal.SIGXCPU


def test_it_writes_no_file(tmp_path):
    code, error = run_confined(
        f"import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"with open({str(tmp_path / 'a')!r}, 'wb') as f: f.write(b'x')"
    )
    assert code == 1 and "File too large" in error


def test_it_learns_nothing_of_the_servers_environment(monkeypatch):
    import asyncio

    from emorec_lobes.server.decoders import DecoderPool
    from emorec_lobes.server.limits import Limits

    monkeypatch.setenv("EMOREC_TOKEN", "correct-horse-battery-staple")

    async def environment():
        pool = DecoderPool(Limits(decoders=1))
        await pool.start()
        content = Path(f"/proc/{pool.process_ids[0]}/environ").read_bytes()
        await pool.close()
        return content

    assert b"correct-horse" not in asyncio.run(environment())


@pytest.mark.parametrize("size", [0, 1, 7, 1_000])
def test_noise_is_refused_and_never_a_defect(size):
    data = np.random.default_rng(size).bytes(size)
    with pytest.raises(Refused) as refused:
        decoder.decode(data, 5, 5 * 48_000)
    assert refused.value.status == 422
