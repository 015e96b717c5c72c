"""Memory is kept for the next move, where the C library can be asked to."""

from __future__ import annotations

import subprocess
import sys

import pytest

from lrp_widgets.apps.session.memory import as_memory_error

MOVES = """
import resource, sys, torch
from lrp_widgets.apps.session.memory import as_memory_error, reuse_memory
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


def test_a_want_of_memory_is_told_in_a_sentence():
    said = "This takes more memory than there is for it. Take a smaller input, or fewer of them at once."
    torch_says = (
        "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to"
    )
    for error in (MemoryError(), RuntimeError(torch_says), RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")):
        assert str(as_memory_error(error)) == said
    other = RuntimeError("mat1 and mat2 shapes cannot be multiplied")
    assert as_memory_error(other) is other
