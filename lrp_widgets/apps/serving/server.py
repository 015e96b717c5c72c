"""The Voila server of one app: announces itself once it listens, and ends with all its kernels."""

from __future__ import annotations

import logging
import shutil
import signal
from contextlib import suppress
from typing import Any

import psutil
from tornado.web import HTTPError
from voila.app import Voila
from voila.request_info_handler import RequestInfoSocketHandler
from voila.tornado.kernel_websocket_handler import VoilaKernelWebsocketHandler

from lrp_widgets.apps.serving.sockets import KernelSocket

__all__ = ["Server"]

# What stands in place of Voila's handlers; None where nothing does.
INSTEAD: dict[type, type | None] = {
    VoilaKernelWebsocketHandler: KernelSocket,
    # Tells a waiting notebook the query of its visit, and anybody who has the id of its kernel. No app waits for it.
    RequestInfoSocketHandler: None,
}


class Server(Voila):
    """Voila as the apps need it. Import it where a server starts: with Voila come 2 s of imports."""

    def initialize(self, argv: Any = None) -> None:
        """Set up without starting. No command line but `argv` is read, and tornado only logs errors."""
        super().initialize(argv)
        # Without it the log has a line for each refused request, and for each visit one on the unit of a ping timeout.
        logging.getLogger("tornado").setLevel(logging.ERROR)
        # Ctrl-C and a closed terminal end the loop as SIGTERM does: a KeyboardInterrupt could land anywhere.
        for name in ("SIGINT", "SIGHUP"):
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), signal.getsignal(signal.SIGTERM))

    def init_handlers(self) -> Any:
        """Voila's handlers with ours in their places. Raises RuntimeError where this Voila has other ones."""
        rules: Any = super().init_handlers()
        if missing := INSTEAD.keys() - {rule[1] for rule in rules}:
            names = ", ".join(kind.__name__ for kind in missing)
            raise RuntimeError(f"This version of Voila has no {names}, which lrp_widgets guards. Install another one.")
        ours = [(pattern, INSTEAD.get(kind, kind), *rest) for pattern, kind, *rest in rules]
        return [rule for rule in ours if rule[1] is not None]

    def stop(self) -> None:
        """End the kernels, also those that are still starting, and remove their connection files."""
        _end_children()  # a kernel that is asked to end while it starts says so with a traceback
        with suppress(HTTPError):  # "Kernel does not exist": one that was ended before it was entered in the list
            super().stop()
        _end_children()
        shutil.rmtree(self.connection_dir, ignore_errors=True)


def _end_children() -> None:
    children = psutil.Process().children(recursive=True)
    for child in children:
        with suppress(psutil.NoSuchProcess):
            child.kill()
    psutil.wait_procs(children, timeout=5)
