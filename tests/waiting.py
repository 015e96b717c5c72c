"""Two threads in a chosen order, by a lock that tells when somebody waits; and coroutines on a loop of their own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

__all__ = ["Other", "WatchedLock", "run_coroutine"]

T = TypeVar("T")

PATIENCE = 60.0  # s: far longer than anything takes; it only ends a test that would hang


def run_coroutine(coroutine: Coroutine[Any, Any, T]) -> T:
    """What a coroutine returns, on a thread of its own.

    Once a browser test has run in this process, Playwright's loop runs on the main thread until the session ends, and
    asyncio.run refuses to begin another one beside it.
    """
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()


class WatchedLock:
    """A lock that one thread may take several times, and that notes when another one has to wait for it."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self.waited = threading.Event()

    def __enter__(self) -> bool:
        if not self._lock.acquire(blocking=False):
            self.waited.set()
            self._lock.acquire()
        return True

    def __exit__(self, *_: Any) -> None:
        self._lock.release()


class Other:
    """Runs a function on a thread of its own while this one is in the middle of something."""

    def __init__(self, act: Callable[[], Any], lock: WatchedLock) -> None:
        self._lock, self._done, self._error = lock, threading.Event(), list[BaseException]()
        self.result: Any = None

        def run() -> None:
            try:
                self.result = act()
            except BaseException as error:
                self._error.append(error)
            finally:
                self._done.set()

        self._thread = threading.Thread(target=run, daemon=True)

    def had_to_wait(self, went_by: Callable[[], bool] = lambda: False) -> bool:
        """Start it, and go on when it waits for the lock (True), or has come to its end or gone by without it (False).

        went_by: whether it has done what it should have waited with, where it comes to its end later.
        """
        self._thread.start()
        while not self._lock.waited.wait(0.001) and not self._done.is_set() and not went_by():
            pass
        return not (self._done.is_set() or went_by())

    def end(self) -> Any:
        """What it returned, when it has come to its end; what it raised is raised here."""
        self._thread.join(PATIENCE)
        assert self._done.is_set(), "The other thread still waits."
        if self._error:
            raise self._error[0]
        return self.result
