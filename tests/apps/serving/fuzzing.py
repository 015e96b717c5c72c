"""Frames for the websocket of a kernel, whole and spoilt, and the server that they are thrown at.

Run as a script it serves, on the port of its argument, `KernelSocket` over a stand-in for the kernel, so that a server
that a frame makes stand still can be killed.
"""

from __future__ import annotations

import asyncio
import json
import random
import resource
import sys
from typing import Any

from jupyter_server.auth import AllowAllAuthorizer
from jupyter_server.auth.identity import PasswordIdentityProvider
from jupyter_server.services.kernels.connection.base import deserialize_msg_from_ws_v1, serialize_msg_to_ws_v1
from tornado.web import Application, RequestHandler

from lrp_widgets.apps.serving.sockets import KernelSocket
from lrp_widgets.apps.serving.visits import Visits

KERNEL = "0a-1b-2c-3d-4e"
HEADER = {"msg_id": "1", "msg_type": "comm_msg", "session": "s", "username": "", "version": "5.3", "date": ""}
CONTENT = {"comm_id": "c", "data": {"method": "update", "state": {"value": 4}}}
HUGE = (0, 1, 5, 7, 255, 2**31 - 1, 2**32 - 1, 2**63, 2**64 - 1)


def whole(*buffers: bytes, channel: str = "shell", **parts: Any) -> bytes:
    """A frame as Jupyter writes it.  parts: what differs from a small update of a widget."""
    message = {"header": HEADER, "parent_header": {}, "metadata": {}, "content": CONTENT, **parts}
    names = ("header", "parent_header", "metadata", "content")
    packed = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in (message[n] for n in names)]
    return serialize_msg_to_ws_v1([*packed, *buffers], channel)


def spoilt(draw: random.Random) -> bytes | str:
    """A frame that is wrong somewhere, or anywhere."""
    frame = bytearray(whole(*(draw.randbytes(draw.randrange(50)) for _ in range(draw.randrange(4)))))
    kind = draw.randrange(9)
    if kind == 0:
        return draw.randbytes(draw.randrange(400))
    if kind == 1:
        return bytes([draw.choice((0, 1, 127, 255))]) * draw.randrange(1, 300)
    if kind == 2:
        return "".join(chr(draw.randrange(32, 1000)) for _ in range(draw.randrange(100)))
    if kind == 3:
        frame[:8] = draw.choice(HUGE).to_bytes(8, "little")
    elif kind == 4:  # an offset
        start = 8 * draw.randrange(1, 7)
        frame[start : start + 8] = draw.choice(HUGE).to_bytes(8, "little")
    elif kind == 5:
        del frame[draw.randrange(len(frame)) :]
    elif kind == 6:
        for _ in range(draw.randrange(1, 6)):
            frame[draw.randrange(len(frame))] = draw.randrange(256)
    elif kind == 7:
        deep = draw.choice((b"[", b'{"a":')) * draw.randrange(1, 20_000)
        return whole(**{draw.choice(("header", "parent_header", "metadata", "content")): deep})
    else:
        return whole(channel=draw.choice(("", "iopub", "stdin", "shell\0", "x" * 999)), header=draw.choice(([], {}, 3)))
    return bytes(frame)


class _Connection:
    """Reads frames as Jupyter does, and answers nothing."""

    kernel_ws_protocol = None

    def __init__(self, websocket_handler: KernelSocket, **_: Any) -> None:
        self._socket = websocket_handler
        self.session = type("Session", (), {"session": ""})()

    async def connect(self) -> None:
        pass

    def disconnect(self) -> None:
        pass

    def handle_incoming_message(self, frame: bytes) -> None:
        channel, parts = deserialize_msg_from_ws_v1(frame)
        assert channel in ("shell", "control") and len(parts) >= 4
        json.loads(parts[0])["msg_type"]
        if len(parts) == 5 and parts[4] == b"answer":
            self._socket.write_message(whole(), binary=True)


class _Kernels(dict[str, None]):
    get_kernel = dict.get


class _Open(Visits):
    """Every kernel is everybody's."""

    def owns(self, visitor: str, kernel: str) -> bool:
        return True


class _Alive(RequestHandler):
    def get(self) -> None:
        self.write("alive")


async def serve(port: int) -> None:
    """Serve until the process ends."""
    application = Application(
        [("/alive", _Alive), (r"/api/kernels/(?P<kernel_id>[\w-]+)/channels", KernelSocket)],
        kernel_manager=_Kernels({KERNEL: None}),
        kernel_websocket_connection_class=_Connection,
        identity_provider=PasswordIdentityProvider(token=""),
        authorizer=AllowAllAuthorizer(),
        allow_remote_access=True,
        visits=_Open(most=1),
        visitor_cookie="visitor",
        cookie_secret=b"of no other server",
        log_function=lambda handler: None,
    )
    application.listen(port, "127.0.0.1")
    await asyncio.Event().wait()


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))  # a frame that fills the memory ends this process alone
    asyncio.run(serve(int(sys.argv[1])))
