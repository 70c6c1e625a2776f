"""A worker keeps its memory while it trains, and gives it back."""

from __future__ import annotations

import subprocess
import sys

import pytest

RUN = """
import resource
import psutil, torch
from whichopt.workers import allocator

def faults(work):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    work()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def step():
    torch.empty(2**22).fill_(1)  # 16 MiB, 4,096 pages

torch.set_num_threads(1)
allocator.keep()
step()
again = faults(lambda: [step() for _ in range(20)])
kept = psutil.Process().memory_info().rss
allocator.give_back()
print(again, kept - psutil.Process().memory_info().rss)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's")
def test_memory_is_kept_and_given_back() -> None:
    done = subprocess.run([sys.executable, "-c", RUN], capture_output=True, text=True, check=True)
    again, given = map(int, done.stdout.split())
    assert again < 10 * 4096, "20 times 4,096 pages would be fetched anew"
    assert given > 8 * 2**20
