"""Memory: freed memory is kept for the next tensor, since all moves of a slider need tensors of the same sizes."""

from __future__ import annotations

import ctypes
import sys
from functools import cache

__all__ = ["reuse_memory"]

# From malloc.h of glibc.
TRIM_THRESHOLD, MMAP_THRESHOLD, ARENA_MAX = -1, -3, -8
LARGEST = 2**30


@cache
def reuse_memory() -> bool:
    """Ask the C library to keep memory for the next tensor, in one arena for all threads. Returns whether it does.

    By default, large blocks go back to the system at once, which has to clear every page again for the next tensor:
    this took a third of the time of an explanation of VGG16.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        tune = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):  # another C library
        return False
    return all(
        tune(what, value) for what, value in ((MMAP_THRESHOLD, LARGEST), (TRIM_THRESHOLD, 2**31 - 1), (ARENA_MAX, 1))
    )
