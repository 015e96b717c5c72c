"""How many cores an explanation gets: one where it is quick, all of them where it is slow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from threadpoolctl import ThreadpoolController

__all__ = ["Cores"]

SLOW = 0.1  # s on one core: from here on more of them are worth their price
TIMES = 2  # in a row, for the first explanation also warms up what it needs


class Cores:
    """Keeps quick work on one core.

    The threads of an operation wait for each other many times in a millisecond. Where the browser, or another visitor's
    kernel, wants a core too, each of these waits lasts until it has had its turn: 70 ms instead of 4 ms were measured.
    """

    def __init__(self) -> None:
        self._slow = 0
        self._threads: ThreadpoolController | None = None

    @contextmanager
    def few(self) -> Iterator[None]:
        """One core for what this thread does inside, or all where that has been slow."""
        if self._slow >= TIMES:
            yield
            return
        self._threads = self._threads or ThreadpoolController()
        torch.get_num_threads()  # on a new thread, torch sets the number when it is first needed: let it be now
        # OpenMP keeps this number for each thread, so that nobody else's work is slowed down.
        with self._threads.limit(limits=1, user_api="openmp"):
            yield

    def took(self, seconds: float) -> None:
        """Learn from how long an explanation took."""
        if self._slow < TIMES:
            self._slow = self._slow + 1 if seconds > SLOW else 0
