"""A visit's kernel has a bound on its memory, and what goes beyond it harms no other."""

from __future__ import annotations

import sys

import pytest
from apps.serving.stub import SERVE, write_notebook
from serving import free_port, get, serving

from lrp_widgets.apps.serving.capacity import memory_bound

GREEDY = """
try:
    taken = len(bytearray(64 << 30))
except MemoryError:
    taken = "nothing was taken"
taken
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux bounds a process that runs")
def test_a_kernel_that_wants_too_much_memory_is_refused_it(tmp_path):
    path = write_notebook(
        tmp_path / "greedy.ipynb", GREEDY, "import resource; resource.getrlimit(resource.RLIMIT_DATA)"
    )
    port = free_port()
    with serving([sys.executable, "-c", SERVE, path, str(port)], port, tmp_path / "log"):
        status, page = get(f"http://127.0.0.1:{port}/")
        assert status == 200
        assert "nothing was taken" in page
        assert f"({memory_bound()}, {memory_bound()})" in page


def test_the_bound_follows_the_machine(monkeypatch):
    for total, bound in ((1, 2), (5, 2.5), (64, 4)):
        memory = type("Memory", (), {"total": total * 2**30})
        monkeypatch.setattr("psutil.virtual_memory", lambda memory=memory: memory)
        assert memory_bound() == bound * 2**30
