"""Kernels that are kept ready: one that has ended is never handed out, and another one takes its place."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import psutil
import pytest
from apps.serving.stub import SERVE, SLIDER, visit, wait_for, write_notebook
from serving import free_port, kernels, serving

SERVE_UNFORKED = SERVE.replace("int(sys.argv[2])", "int(sys.argv[2]), fork=False")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
@pytest.mark.parametrize("serve", [SERVE, SERVE_UNFORKED], ids=["fork", "no fork"])
def test_a_dead_kernel_is_replaced(tmp_path: Path, serve: str):
    path = write_notebook(tmp_path / "stub.ipynb", SLIDER)
    port = free_port()
    with serving([sys.executable, "-c", serve, path, str(port)], port, tmp_path / "log") as server:
        wait_for(lambda: len(kernels(server)) == 2, "two kernels are kept ready")
        killed = kernels(server)
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        assert "a slider" in visit(f"http://127.0.0.1:{port}/").page
        wait_for(lambda: len(living(kernels(server) - killed)) == 3, "one for the visit, and two are kept ready again")
    assert "Traceback" not in (tmp_path / "log").read_text()


def living(pids: set[int]) -> set[int]:
    return {pid for pid in pids if psutil.pid_exists(pid)}
