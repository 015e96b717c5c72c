"""Memory that is used again: the tensors of a moving slider are always of the same sizes."""

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
    """Ask the C library to keep what is freed for the next tensor, in one arena for all threads; whether it does.

    By default it hands large memory back at once, and the system wipes every page of it again at the next move: a third
    of the time of an explanation of VGG16. Worker threads have arenas of their own, which hold only small tensors.
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
