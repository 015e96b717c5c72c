"""A frame that a page sends to its kernel, checked before anything else reads it.

The layout is that of the subprotocol v1.kernel.websocket.jupyter.org: 8 bytes with the number of offsets, 8 bytes for
each offset, all little-endian, then the channel, the header, the parent's header, the metadata, the content and any
buffers, each from its offset to the next one.
"""

from __future__ import annotations

import json
import struct
from itertools import pairwise

__all__ = ["MOST_BYTES", "PROTOCOL", "FrameError", "check_frame"]

PROTOCOL = "v1.kernel.websocket.jupyter.org"
MOST_BYTES = 10 * 2**20  # of a frame: the largest file that a page may send, and what stands beside it
MOST_BUFFERS = 256
# Bytes of the parts in front of the buffers. The server parses the header, the kernel parses all four.
MOST_OF = {"header": 8192, "parent header": 8192, "metadata": 65_536, "content": 4 * 2**20}
CHANNELS = (b"shell", b"control")  # iopub only brings messages, and on stdin a page has nothing to say
WORD = 8  # bytes of a number in the frame's table


class FrameError(ValueError):
    """A frame that is not of the layout, or too large; the message says which part."""


def check_frame(frame: bytes | str) -> None:
    """Raise FrameError where a frame is not whole and within bounds.

    The work is bounded by the size of the frame, whatever numbers stand in it.
    """
    if not isinstance(frame, bytes):
        raise FrameError("A frame must be binary.")
    if not WORD <= len(frame) <= MOST_BYTES:
        raise FrameError(f"A frame must have between {WORD} and {MOST_BYTES} bytes, got {len(frame)}.")
    count = int.from_bytes(frame[:WORD], "little")
    fewest = len(MOST_OF) + 2  # where the channel starts, where each part starts, and the end
    if not fewest <= count <= fewest + MOST_BUFFERS:
        raise FrameError(f"A frame must have between {fewest} and {fewest + MOST_BUFFERS} offsets, got {count}.")
    start = WORD * (count + 1)
    if len(frame) < start:
        raise FrameError(f"A frame with {count} offsets must have at least {start} bytes, got {len(frame)}.")
    offsets = struct.unpack_from(f"<{count}Q", frame, WORD)
    if offsets[0] != start or offsets[-1] != len(frame) or any(left > right for left, right in pairwise(offsets)):
        raise FrameError("The offsets of a frame must rise from the end of their table to the end of the frame.")
    for (part, most), left, right in zip(MOST_OF.items(), offsets[1:], offsets[2:], strict=False):
        if right - left > most:
            raise FrameError(f"The {part} of a frame may have {most} bytes, got {right - left}.")
    if frame[offsets[0] : offsets[1]] not in CHANNELS:
        raise FrameError("The channel of a frame must be shell or control.")
    _check_header(frame[offsets[1] : offsets[2]])


def _check_header(text: bytes) -> None:
    try:
        header = json.loads(text)
    except (ValueError, RecursionError):
        raise FrameError("The header of a frame must be JSON.") from None
    if not isinstance(header, dict) or not all(isinstance(header.get(key), str) for key in ("msg_id", "msg_type")):
        raise FrameError("The header of a frame must be a table with msg_id and msg_type.")
