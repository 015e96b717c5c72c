"""The Voila server of one app: announces itself once it listens, and ends with all its kernels."""

from __future__ import annotations

import logging
import secrets
import shutil
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import traitlets
from jupyter_core.utils import ensure_async
from jupyter_server.services.kernels.handlers import KernelHandler
from tornado.ioloop import PeriodicCallback
from tornado.web import HTTPError, RequestHandler
from voila.app import Voila
from voila.request_info_handler import RequestInfoSocketHandler
from voila.shutdown_kernel_handler import VoilaShutdownKernelHandler
from voila.tornado.handler import TornadoVoilaHandler
from voila.tornado.kernel_websocket_handler import VoilaKernelWebsocketHandler

from lrp_widgets.apps.serving.entrance import Entrance
from lrp_widgets.apps.serving.figures import Figures
from lrp_widgets.apps.serving.kernels import replace_dead
from lrp_widgets.apps.serving.pace import Pace
from lrp_widgets.apps.serving.pages import AppPage, EndOfVisit, KernelModel, visitor_of
from lrp_widgets.apps.serving.provisioner import register
from lrp_widgets.apps.serving.pulse import BEAT, PULSE_PATH, Pulse
from lrp_widgets.apps.serving.sockets import KernelSocket
from lrp_widgets.apps.serving.status import STATUS_PATH, forget, tell_where
from lrp_widgets.apps.serving.visits import Visits

__all__ = ["Server"]

# What stands in place of Voila's handlers; None where nothing does.
INSTEAD: dict[type, type | None] = {
    TornadoVoilaHandler: AppPage,
    VoilaKernelWebsocketHandler: KernelSocket,
    VoilaShutdownKernelHandler: EndOfVisit,
    KernelHandler: KernelModel,
    # Tells a waiting notebook the query of its visit, and anybody who has the id of its kernel. No app waits for it.
    RequestInfoSocketHandler: None,
}


LOOK_ROUND = 0.5  # s between two looks for kernels that nobody needs


class Server(Voila):
    """Voila as the apps need it. Import it where a server starts: with Voila come 2 s of imports."""

    hosts = traitlets.List(traitlets.Unicode()).tag(config=True)  # Names of the server besides those of loopback.
    visitors = traitlets.Int(1, min=1).tag(config=True)  # How many pages may be open at once.

    def initialize(self, argv: Any = None) -> None:
        """Set up without starting. No command line but `argv` is read, and tornado only logs errors."""
        register()
        super().initialize(argv)
        # Without it the log has a line for each refused request, and for each visit one on the unit of a ping timeout.
        logging.getLogger("tornado").setLevel(logging.ERROR)
        logging.getLogger("tornado.application").addFilter(_Sparse())
        # Ctrl-C and a closed terminal end the loop as SIGTERM does: a KeyboardInterrupt could land anywhere.
        for name in ("SIGINT", "SIGHUP"):
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), signal.getsignal(signal.SIGTERM))

    def init_settings(self) -> Any:
        """Voila's settings, and what the handlers here share."""
        settings: Any = super().init_settings()
        self.visits = Visits(self.visitors)
        self.pulses: set[Pulse] = set()
        self.began = self.visits.clock()
        self.token_of_status = secrets.token_hex(16)
        return settings | {
            "visits": self.visits,
            "visitor_cookie": f"lrp_widgets-{self.port}",  # a browser sends a cookie to all ports of a host
            "end_visit": self.end_visit,
            "pulses": self.pulses,
            "log_function": self._answered,
        }

    def listen(self) -> None:
        """Serve until the server is stopped, with the entrance in front of the application."""
        self.app: Any = Entrance(self.app, [host.lower() for host in self.hosts])
        PeriodicCallback(self._look_round, 1000 * LOOK_ROUND).start()
        PeriodicCallback(self._beat, 1000 * BEAT).start()
        try:
            tell_where(self.port, self.token_of_status)
        except OSError as error:
            print(f"lrp_widgets: --status will find no server, for it cannot be noted down: {error}", file=sys.stderr)
        super().listen()

    @property
    def app_name(self) -> str:
        """The name of the notebook that is served."""
        return Path(self.notebook_path or "").stem

    async def end_visit(self, kernel: str) -> None:
        """End the kernel of a visit at once; one that has ended already is forgotten."""
        self.visits.ended(kernel)
        for pulse in [pulse for pulse in self.pulses if pulse.kernel == kernel]:
            pulse.beat()
        if kernel in self.kernel_manager:
            with suppress(HTTPError, KeyError):  # it ended by itself meanwhile
                await ensure_async(self.kernel_manager.shutdown_kernel(kernel, now=True))

    async def _look_round(self) -> None:
        gone = [kernel for kernel in self.visits.by_kernel if kernel not in self.kernel_manager]
        for kernel in [*gone, *self.visits.overdue()]:
            await self.end_visit(kernel)
        await replace_dead(self.kernel_manager)

    def _beat(self) -> None:
        for pulse in [*self.pulses]:
            pulse.beat()

    def _answered(self, handler: RequestHandler) -> None:
        """Takes the place of tornado's line in the log."""
        if visitor := visitor_of(handler):
            self.visits.seen(visitor)

    def init_handlers(self) -> Any:
        """Voila's handlers with ours in their places. Raises RuntimeError where this Voila has other ones."""
        rules: Any = super().init_handlers()
        if missing := INSTEAD.keys() - {rule[1] for rule in rules}:
            names = ", ".join(kind.__name__ for kind in missing)
            raise RuntimeError(f"This version of Voila has no {names}, which lrp_widgets guards. Install another one.")
        ours = [(pattern, INSTEAD.get(kind, kind), *rest) for pattern, kind, *rest in rules]
        figures = (STATUS_PATH, Figures, {"server": self})
        pulse = (rf"{PULSE_PATH}(?P<kernel_id>\w+(?:-\w+){{4}})", Pulse)
        return [figures, pulse, *(rule for rule in ours if rule[1] is not None)]

    def stop(self) -> None:
        """End the kernels, also those that are still starting, and remove their connection files."""
        if (forks := self.kernel_manager.fork_server) is not None:
            forks.close()
        _end_children()  # a kernel that is asked to end while it starts says so with a traceback
        with suppress(HTTPError):  # "Kernel does not exist": one that was ended before it was entered in the list
            super().stop()
        _end_children()
        forget(self.port)
        shutil.rmtree(self.connection_dir, ignore_errors=True)


class _Sparse(logging.Filter):
    """Lets few tracebacks into the log: a visitor who finds out how to cause one cannot fill the disk with them."""

    def __init__(self) -> None:
        super().__init__()
        self._pace = Pace(rate=0.1, most=3.0)

    def filter(self, record: logging.LogRecord) -> bool:
        return not record.exc_info or self._pace.take() == 0


def _end_children() -> None:
    children = psutil.Process().children(recursive=True)
    for child in children:
        with suppress(psutil.NoSuchProcess):
            child.kill()
    psutil.wait_procs(children, timeout=5)
