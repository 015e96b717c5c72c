"""How many visits this machine has room for."""

from __future__ import annotations

import os
from pathlib import Path

import psutil

__all__ = ["available_memory", "capacity", "memory_bound"]

A_VISIT = 320 * 10**6  # bytes of memory that are its own, after some moves
A_FORK = 160 * 10**6  # the same, where what an app loads is shared
RESERVE = 600 * 10**6  # bytes for the server and for what else runs
A_CORE = 20  # visits, of which one in ten moves a slider at a time
LEAST_BOUND, MOST_BOUND = 2 * 2**30, 4 * 2**30  # an app takes 0.3 of them, a photograph of 40 megapixels 0.5 more


def available_memory() -> int:
    """Bytes that processes of this machine, or of this container, can still take."""
    free = psutil.virtual_memory().available
    group = Path("/sys/fs/cgroup")  # of a container; elsewhere these files do not exist, or say "max"
    try:
        left = int((group / "memory.max").read_text()) - int((group / "memory.current").read_text())
    except (OSError, ValueError):
        return free
    return max(0, min(free, left))


def capacity(forked: bool) -> int:
    """How many visits there is memory and time for, at least 1.  forked: whether they share what they load."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    free = available_memory() - RESERVE - (A_VISIT if forked else 0)
    return max(1, min(free // (A_FORK if forked else A_VISIT), A_CORE * cores))


def memory_bound() -> int:
    """How many bytes the kernel of one visit may take: half of the machine's memory, within bounds."""
    return max(LEAST_BOUND, min(MOST_BOUND, psutil.virtual_memory().total // 2))
