"""How values and exceptions are written in a message: short, and never empty."""

from __future__ import annotations

import traceback
from typing import Any

__all__ = ["brief", "in_words"]

LONGEST = 120  # characters of a value in a message


def brief(value: Any) -> str:
    """A value as it is written; of a long one its type and its shape or length."""
    shape = getattr(value, "shape", None)
    text = "" if shape is not None and _count(shape) > 8 else repr(value)
    if text and len(text) <= LONGEST:
        return text
    kind = type(value).__name__
    if shape is not None:
        return f"{kind} of shape {tuple(shape)}"
    return f"{kind} of length {len(value)}" if hasattr(value, "__len__") else f"{text[:LONGEST]}…"


def in_words(error: BaseException) -> str:
    """What an exception says; where it has no text, the line that raised it."""
    if text := str(error).strip():
        return text
    frames = traceback.extract_tb(error.__traceback__)
    if not frames or not frames[-1].line:
        return "it gave no reason"
    return f"it gave no reason at {frames[-1].line!r} in {frames[-1].name}()"


def _count(shape: Any) -> int:
    count = 1
    for length in shape:
        count *= length
    return count
