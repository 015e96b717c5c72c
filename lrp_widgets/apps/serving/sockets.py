"""The websocket between a page and its kernel: what comes in is checked and paced, what goes out is bounded."""

from __future__ import annotations

import asyncio
import re
from typing import Any

from jupyter_server.auth.decorator import ws_authenticated
from tornado.iostream import StreamBufferFullError
from tornado.web import HTTPError
from tornado.websocket import WebSocketClosedError
from voila.tornado.kernel_websocket_handler import VoilaKernelWebsocketHandler

from lrp_widgets.apps.serving.answers import PlainErrors
from lrp_widgets.apps.serving.frames import PROTOCOL, FrameError, check_frame
from lrp_widgets.apps.serving.pace import Pace
from lrp_widgets.apps.serving.pages import OwnKernel

__all__ = ["KernelSocket"]

SESSION = re.compile(r"[\w-]{0,64}", re.ASCII)  # becomes an address of ZeroMQ, which may have 255 bytes
GOING_AWAY, PROTOCOL_ERROR = 1001, 1002  # why a websocket is closed, by RFC 6455

MOST_UNREAD = 64 * 2**20  # bytes that wait in the server for a page to read them
MOST_UNANSWERED = 64 * 2**20  # bytes that wait for the kernel to read them
BYTES = (4 * 2**20, 32 * 2**20)  # a second and at once: an upload has 6 MB
MESSAGES = (300.0, 2000.0)  # a second and at once: a slider that is dragged sends some 30, a page that opens hundreds


class KernelSocket(OwnKernel, PlainErrors, VoilaKernelWebsocketHandler):
    """Voila's handler, which reads only frames that were checked, and no faster than the kernel can take them.

    Without the subprotocol, Jupyter writes frames of another layout, and Voila reads these as if they had this one: a
    server that lets such a page in stands still for good.
    """

    connection: Any

    def initialize(self) -> None:
        """Every connection has an allowance of its own."""
        self._bytes, self._messages = Pace(*BYTES), Pace(*MESSAGES)
        self._unanswered = 0
        self._is_counted = False

    @ws_authenticated
    async def get(self, kernel_id: str) -> None:
        """Open the connection. Raises HTTPError where the page does not offer the subprotocol."""
        offered = self.request.headers.get("Sec-WebSocket-Protocol", "").split(",")
        if PROTOCOL not in [name.strip() for name in offered]:
            raise HTTPError(400, f"The websocket of a kernel must offer the subprotocol {PROTOCOL}.")
        if not SESSION.fullmatch(self.get_query_argument("session_id", "")):
            raise HTTPError(400, "session_id must have at most 64 letters, digits, - and _.")
        await super().get(kernel_id)  # type: ignore[misc]

    async def open(self, kernel_id: str) -> None:
        """Connect to the kernel."""
        if self.ws_connection is not None:
            self.ws_connection.stream.max_write_buffer_size = MOST_UNREAD  # type: ignore[attr-defined]
        self.visits.connected(kernel_id)
        self._is_counted = True
        await super().open(kernel_id)

    def on_close(self) -> None:
        """A page that was left needs its kernel no longer; one that lost its connection comes back."""
        if self._is_counted:
            self.visits.disconnected(self.kernel_id, left=self.close_code == GOING_AWAY)
        super().on_close()

    async def on_message(self, ws_message: bytes | str) -> None:
        """Hand a frame on to the kernel. The next one is not read before this one is through."""
        try:
            check_frame(ws_message)
        except FrameError as error:
            self.close(PROTOCOL_ERROR, str(error))
            return
        wait = max(self._bytes.take(len(ws_message)), self._messages.take())
        if wait:
            await asyncio.sleep(wait)
        self._unanswered += len(ws_message)
        if self._unanswered > MOST_UNANSWERED:
            self.close(PROTOCOL_ERROR, "The kernel does not answer.")
        elif self.connection is not None:  # None when the page has left meanwhile
            super().on_message(ws_message)

    def write_message(self, message: Any, binary: bool = False) -> Any:
        """Send a message of the kernel to the page; to one that has left or does not read any, nothing more."""
        self._unanswered = 0
        try:
            return super().write_message(message, binary)
        except StreamBufferFullError:
            if self.ws_connection is not None:
                self.ws_connection.stream.close()  # type: ignore[attr-defined]
        except WebSocketClosedError:  # Jupyter would log a traceback of it
            pass
        return None
