"""The process that the kernels of visits are forked from: it has loaded what an app needs, and forks in 20 ms.

Run as `python -P -m lrp_widgets.apps.serving.fork_server NOTEBOOK DESCRIPTOR`, by ForkServer (provisioner.py). It says
"" when it is ready, or why it cannot be forked, and answers each order with the process id of a kernel. It ends when
the other end of the connection is closed.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import threading
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from lrp_widgets.apps.serving.warm_up import Defaults, warm_up

__all__ = ["main"]

# No kernel of a visit is asked for what was typed before.
KERNEL_OPTIONS = ("--HistoryManager.enabled=False",)


def main(arguments: list[str]) -> None:
    """Warm up and fork, one kernel for each order. In a kernel it returns when the kernel ends."""
    notebook, descriptor = arguments
    connection = Connection(int(descriptor))
    defaults = Defaults.of_this_process()
    refused = warm_up(Path(notebook))
    connection.send_bytes(refused.encode())
    if refused:
        return
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the system forgets kernels that have ended
    while True:
        try:
            order = json.loads(connection.recv_bytes())
        except EOFError:
            return
        pid = os.fork()
        if pid == 0:
            connection.close()
            _be_kernel(order, defaults)
            return
        _lead_group(pid)
        connection.send_bytes(str(pid).encode())


def _lead_group(pid: int) -> None:
    """Give a kernel a group of its own, so that a signal to it and to what it starts reaches nobody else."""
    with suppress(OSError):  # it has ended already, or has done so itself
        os.setpgid(pid, pid)


def _be_kernel(order: dict[str, Any], defaults: Defaults) -> None:
    """Become the kernel that was ordered: its environment and folder, and nothing of this process but what it read."""
    _lead_group(0)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.environ.clear()
    os.environ.update(order["env"])
    os.chdir(order["cwd"] or ".")
    sys.argv = [sys.argv[0], *order["argv"]]
    defaults.restore()
    import ipywidgets
    from ipykernel.kernelapp import IPKernelApp

    class ForkedKernelApp(IPKernelApp):
        """Jupyter's, which ends with the server. What starts it is not the server, for which a kernel usually looks."""

        def init_poller(self) -> None:
            self.poller = threading.Thread(target=_end_with, args=(self.parent_handle,), daemon=True)

    app = ForkedKernelApp.instance(parent_handle=order["server"])
    app.initialize([*order["argv"], *KERNEL_OPTIONS])
    ipywidgets.register_comm_target()  # ipywidgets does so when it is imported, and then there was no kernel
    app.start()


def _end_with(server: int) -> None:
    """Wait for the end of the server, and end this process."""
    try:
        ends = select.poll()
        ends.register(os.pidfd_open(server), select.POLLIN)
        ends.poll()
    finally:
        os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
