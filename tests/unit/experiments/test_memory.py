"""A process that keeps what it frees has no page cleared anew."""

import platform
import subprocess
import sys

import pytest

COUNT = """
import resource, torch
from emorec_lobes.experiments.memory import keep_freed_memory

def faults(times):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(times):
        large = torch.ones(16 * 2**20)  # 64 MiB, 16384 pages
        del large
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

faults(1)
print(faults(5))
assert keep_freed_memory()
faults(20)  # until a place of the right size has been left free
print(faults(5))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the switches are glibc's")
def test_freed_memory_is_used_again_without_being_cleared():
    done = subprocess.run([sys.executable, "-c", COUNT], capture_output=True, text=True, check=True)
    given_back, kept = map(int, done.stdout.split())
    assert kept < 100 < given_back
