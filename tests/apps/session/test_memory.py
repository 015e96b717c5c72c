"""Memory is kept for the next move, where the C library can be asked to."""

from __future__ import annotations

import subprocess
import sys

import pytest

MOVES = """
import resource, sys, torch
from lrp_widgets.apps.session.memory import reuse_memory
kept = reuse_memory() if sys.argv[1] == "keep" else True
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(3):
    torch.ones(16 * 2**20).add(1)
before = faults()
for _ in range(20):
    torch.ones(16 * 2**20).add(1)
print(kept, faults() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mallopt is glibc's")
def test_a_tensor_of_64_mb_costs_no_new_pages():
    def moved(how: str) -> tuple[str, int]:
        run = subprocess.run([sys.executable, "-c", MOVES, how], capture_output=True, text=True, check=True)
        kept, faults = run.stdout.split()
        return kept, int(faults)

    (kept, with_it), (_, without) = moved("keep"), moved("leave")
    if kept == "False":
        pytest.skip("this C library has no mallopt")
    assert 10 * with_it < without
