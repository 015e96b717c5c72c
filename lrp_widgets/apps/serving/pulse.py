"""The pulse of a visit: once a second the page is told how its kernel is, so that silence means something too."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import psutil
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from lrp_widgets.apps.serving.answers import PlainErrors
from lrp_widgets.apps.serving.pages import OfVisitor, visitor_of

__all__ = ["BEAT", "PULSE_PATH", "Pulse"]

PULSE_PATH = "/lrp_widgets/pulse/"
BEAT = 1.0  # s
MOST_LISTENING = 8  # connections for one kernel: a page has one, and for a moment two where it lost one

ALIVE, ALONE, STOPPED, ENDED = "alive", "alone", "stopped", "ended"


class Pulse(OfVisitor, PlainErrors, WebSocketHandler):
    """Tells a page "alive", "alone" (its own connection to the kernel is lost), "stopped" or "ended"."""

    kernel = ""

    @property
    def listening(self) -> set[Pulse]:
        """All pages that are told."""
        return self.settings["pulses"]

    def open(self, *args: str, **kwargs: str) -> None:
        """Tell a page how its kernel is; for one that has none, that is the end of it."""
        self.kernel = kwargs["kernel_id"]
        if sum(other.kernel == self.kernel for other in self.listening) >= MOST_LISTENING:
            self.close()
            return
        self.listening.add(self)
        self.beat()

    def beat(self) -> None:
        """Tell it again."""
        state = self._state()
        with suppress(WebSocketClosedError):
            self.write_message(state)
        if state == ENDED:
            self.listening.discard(self)
            self.close()

    def on_message(self, message: Any) -> None:
        """A page has nothing to say here."""
        self.close()

    def on_close(self) -> None:
        """Tell it no longer."""
        self.listening.discard(self)

    def _state(self) -> str:
        visit = self.visits.by_kernel.get(self.kernel)
        if visit is None or visit.is_dead or not self.visits.owns(visitor_of(self), self.kernel):
            return ENDED
        if self._is_stopped():
            return STOPPED
        return ALIVE if visit.connections else ALONE

    def _is_stopped(self) -> bool:
        with suppress(KeyError, psutil.Error, AttributeError):
            manager = self.settings["kernel_manager"].get_kernel(self.kernel)
            return psutil.Process(manager.provisioner.pid).status() == psutil.STATUS_STOPPED
        return False
