"""What an app loads before it shows anything, loaded once, in a process that has one thread when it is through.

A fork copies the memory of a process and a single thread of it. A thread pool of a library would be there in the copy
without its threads, and whoever gives it work would wait for ever.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import threading
import time
import warnings
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["FORKED", "Defaults", "reason_against_forks", "warm_up"]

FORKED = "lrp_widgets-forked"  # how Jupyter's settings call kernels that are forks
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1"}  # of the process that warms up: OpenBLAS starts its threads at import
BLAS_VARIABLES = ("OPENBLAS_NUM_THREADS", "GOTO_NUM_THREADS", "OMP_NUM_THREADS")  # the first that is set counts
PATIENCE = 30.0  # s until the first picture and what follows it are through
IDLE = 1.0  # s in which an app prepares what is likely to be asked for


def reason_against_forks() -> str:
    """Why processes of this machine are not forked; "" where they can be."""
    if not sys.platform.startswith("linux") or not hasattr(os, "pidfd_open"):
        return "this system has no fork that libraries for numbers survive"
    return ""


@dataclass(frozen=True)
class Defaults:
    """What a process of its own would have: each fork is brought to it, so that it rounds alike."""

    torch_threads: int

    @classmethod
    def of_this_process(cls) -> Defaults:
        """Read them, before anything is computed, and leave one thread to each library."""
        import torch

        defaults = cls(torch.get_num_threads())
        torch.set_num_threads(1)
        return defaults

    def restore(self) -> None:
        """Bring this process to them, and OpenBLAS to what the environment says now.

        Random numbers begin anew, from entropy of the system, as in every new process.
        """
        import numpy as np
        import threadpoolctl
        import torch

        torch.set_num_threads(self.torch_threads)
        asked = next((os.environ[name] for name in BLAS_VARIABLES if os.environ.get(name, "").isdigit()), "")
        threadpoolctl.threadpool_limits(int(asked or 0) or len(os.sched_getaffinity(0)), user_api="blas")
        torch.seed()
        np.random.seed()


def warm_up(notebook: Path) -> str:
    """Run a notebook's cells for what they import and read, and close what they made. Returns why no fork may follow.

    What they print is dropped, and a cell that fails ends the warm-up: the kernel of a visit will say so.
    """
    with (
        open(os.devnull, "w") as nothing,
        redirect_stdout(nothing),
        redirect_stderr(nothing),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        _import_kernel()
        with suppress(Exception):
            _run(notebook)
        _close_apps()
    return _what_remains()


def _import_kernel() -> None:
    """What a kernel imports before its first cell."""
    import ipykernel.debugger
    import ipykernel.kernelapp  # noqa: F401


def _run(notebook: Path) -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), notebook.name, "exec"), names)


def _close_apps() -> None:
    """Let apps finish what they prepare, and end them with their threads."""
    if "ipywidgets" not in sys.modules:
        return
    import ipywidgets

    apps: list[Any] = [
        widget for widget in [*ipywidgets.widgets.widget._instances.values()] if hasattr(widget, "settled")
    ]
    for app in apps:
        app.settled(PATIENCE)
    if apps:
        time.sleep(IDLE)
    for widget in [*apps, *ipywidgets.widgets.widget._instances.values()]:
        with suppress(Exception):
            widget.close()
    for thread in threading.enumerate():
        if thread is not threading.main_thread():
            thread.join(PATIENCE)


def _what_remains() -> str:
    """Why this process may not be forked, or "". The collector leaves alone from here on what is shared."""
    if (torch := sys.modules.get("torch")) is not None and torch.cuda.is_initialized():
        return "the driver of the graphics card is loaded, which does not survive a fork"
    deadline = time.monotonic() + PATIENCE  # a thread that has ended is listed for a moment longer
    while (count := len(os.listdir("/proc/self/task"))) > 1:
        if time.monotonic() > deadline:
            return f"{count - 1} threads of libraries run beside the main one"
        time.sleep(0.01)
    gc.collect()
    gc.freeze()  # a collection would write into every object, and so copy the pages that all kernels share
    return ""
