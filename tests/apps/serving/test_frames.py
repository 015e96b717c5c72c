"""Which frames a kernel's websocket takes, and that no frame makes the server stand still."""

from __future__ import annotations

import asyncio
import random
import re
import sys
from pathlib import Path

import pytest
from apps.serving.fuzzing import KERNEL, spoilt, whole
from apps.serving.stub import App, visit
from serving import free_port, get, serving
from waiting import run_coroutine
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from lrp_widgets.apps.serving.frames import MOST_BYTES, PROTOCOL, FrameError, check_frame
from lrp_widgets.apps.serving.pace import Pace

PATIENCE = 30.0  # s for an answer that comes at once where nothing stands still
FRAMES = 5000


@pytest.mark.parametrize("channel", ["shell", "control"])
@pytest.mark.parametrize("buffers", [(), (b"",), (b"a picture", b"", bytes(100_000))])
def test_what_jupyter_writes_is_taken(channel, buffers):
    check_frame(whole(*buffers, channel=channel))


def offsets(*numbers: int, tail: bytes = b"") -> bytes:
    return b"".join(number.to_bytes(8, "little") for number in numbers) + tail


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        ("text", "A frame must be binary."),
        (b"short", f"A frame must have between 8 and {MOST_BYTES} bytes, got 5."),
        (bytes(MOST_BYTES + 1), f"A frame must have between 8 and {MOST_BYTES} bytes, got {MOST_BYTES + 1}."),
        (b"\xff" * 8, f"A frame must have between 6 and 262 offsets, got {2**64 - 1}."),
        (offsets(5), "A frame must have between 6 and 262 offsets, got 5."),
        (whole(*[b""] * 257), "A frame must have between 6 and 262 offsets, got 263."),
        (offsets(6, 56), "A frame with 6 offsets must have at least 56 bytes, got 16."),
        (whole(header=b" " * 8193), "The header of a frame may have 8192 bytes, got 8193."),
        (whole(metadata=b" " * 65_537), "The metadata of a frame may have 65536 bytes, got 65537."),
        (whole(content=b" " * (2**22 + 1)), "The content of a frame may have 4194304 bytes, got 4194305."),
        (whole(channel="iopub"), "The channel of a frame must be shell or control."),
        (whole(channel=""), "The channel of a frame must be shell or control."),
        (whole(header=b"{"), "The header of a frame must be JSON."),
        (whole(header=b"[" * 8000), "The header of a frame must be JSON."),
        (whole(header=b"\xff"), "The header of a frame must be JSON."),
        (whole(header=b"3"), "The header of a frame must be a table with msg_id and msg_type."),
        (
            whole(header={"msg_id": 3, "msg_type": "x"}),
            "The header of a frame must be a table with msg_id and msg_type.",
        ),
    ],
)
def test_a_frame_that_is_refused_is_told_why(frame, said):
    with pytest.raises(FrameError, match=f"^{re.escape(said)}$"):
        check_frame(frame)
    assert len(said) <= 123  # what fits where a websocket is closed


@pytest.mark.parametrize(
    "wrong",
    [
        {0: 55},  # into the table
        {0: 2**63},
        {2: 2**64 - 1},
        {3: 0},  # falls
        {5: 57},
        {5: 10**6},  # beyond the end
    ],
)
def test_offsets_that_do_not_rise_to_the_end_are_refused(wrong):
    frame = bytearray(whole())
    for place, number in wrong.items():
        frame[8 * (place + 1) : 8 * (place + 2)] = number.to_bytes(8, "little")
    with pytest.raises(FrameError, match="The offsets of a frame must rise"):
        check_frame(bytes(frame))


def test_a_sender_waits_when_its_allowance_is_used_up():
    now = 0.0
    pace = Pace(rate=2.0, most=6.0, clock=lambda: now)
    assert [pace.take(3) for _ in range(4)] == [0, 0, 1.5, 3.0]
    now = 3.0
    assert pace.take(0) == 0
    assert pace.take(1) == 0.5
    now = 1000.0
    assert [pace.take(6), pace.take(2)] == [0, 1.0]  # it never grows beyond the most


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="the script bounds its memory")
def test_no_frame_makes_the_server_stand_still(tmp_path):
    port = free_port()
    script = Path(__file__).with_name("fuzzing.py")
    with serving([sys.executable, script, str(port)], port, tmp_path / "log"):
        run_coroutine(_throw(port, random.Random(16)))
    assert "Traceback" not in (tmp_path / "log").read_text()


async def _throw(port: int, draw: random.Random) -> None:
    address = f"ws://127.0.0.1:{port}/api/kernels/{KERNEL}/channels?session_id=fuzz"
    refused = 0
    socket = await _open(address)
    for number in range(FRAMES):
        try:
            await socket.send(spoilt(draw) if draw.random() < 0.8 else whole(b"answer"))
            if number % 5 == 0:
                await socket.send(whole(b"answer"))
                await asyncio.wait_for(socket.recv(), PATIENCE)
        except ConnectionClosed:
            refused += 1
            socket = await _open(address)
        if number % 50 == 0:
            assert await asyncio.to_thread(get, f"http://127.0.0.1:{port}/alive", PATIENCE) == (200, "alive")
    await socket.close()
    assert refused > FRAMES / 10


async def _open(address: str) -> ClientConnection:
    return await connect(address, subprotocols=[Subprotocol(PROTOCOL)], open_timeout=PATIENCE, ping_interval=None)


@pytest.mark.slow
def test_a_page_without_the_subprotocol_does_not_reach_its_kernel(app: App):
    guest = visit(app.address)
    cookie = {"Cookie": guest.cookie}
    address = f"{app.address.replace('http', 'ws')}api/kernels/{guest.kernel}/channels?session_id="

    async def refused(address: str, *protocols: str) -> tuple[int, str]:
        with pytest.raises(InvalidStatus) as caught:
            offered = [Subprotocol(protocol) for protocol in protocols] or None
            await connect(address, subprotocols=offered, additional_headers=cookie)
        return caught.value.response.status_code, caught.value.response.body.decode()

    said = f"The websocket of a kernel must offer the subprotocol {PROTOCOL}.\n"
    assert run_coroutine(refused(address)) == (400, said)
    assert run_coroutine(refused(address, "v2.kernel.websocket.jupyter.org")) == (400, said)
    said = "session_id must have at most 64 letters, digits, - and _.\n"
    assert run_coroutine(refused(address + "x" * 65, PROTOCOL)) == (400, said)
    assert "HTTPServerRequest" not in app.log.read_text()  # what tornado says over a traceback


@pytest.mark.slow
def test_a_malformed_frame_ends_its_own_connection_alone(app: App):
    guest = visit(app.address)
    cookie = {"Cookie": guest.cookie}
    address = f"{app.address.replace('http', 'ws')}api/kernels/{guest.kernel}/channels?session_id=a"

    async def attack() -> str:
        protocols = [Subprotocol(PROTOCOL)]
        async with connect(address, subprotocols=protocols, open_timeout=PATIENCE, additional_headers=cookie) as socket:
            await socket.send(b"\xff" * 8)
            with pytest.raises(ConnectionClosed) as closed:
                while True:
                    await asyncio.wait_for(socket.recv(), PATIENCE)
        assert closed.value.rcvd
        return closed.value.rcvd.reason

    assert run_coroutine(attack()) == f"A frame must have between 6 and 262 offsets, got {2**64 - 1}."
    assert get(app.address, PATIENCE)[0] == 200
