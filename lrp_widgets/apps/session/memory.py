"""Memory: freed memory is kept for the next tensor, since all moves of a slider need tensors of the same sizes."""

from __future__ import annotations

import ctypes
import sys
from functools import cache

__all__ = ["as_memory_error", "reuse_memory"]

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


def as_memory_error(error: BaseException) -> BaseException:
    """An error for want of memory as a sentence on what to do; any other one as it is."""
    if isinstance(error, MemoryError) or "can't allocate memory" in str(error) or "out of memory" in str(error):
        return MemoryError(
            "This takes more memory than there is for it. Take a smaller input, or fewer of them at once."
        )
    return error
