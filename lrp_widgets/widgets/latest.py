"""Latest: one worker, one slot; the newest request wins and no exception is lost."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Generic, TypeVar

__all__ = ["Latest"]

Request = TypeVar("Request")
PAUSE = 0.25  # s without a request before idle work begins: between two moves of a hand there is less


class Latest(Generic[Request]):
    """Runs the newest request on a thread of its own, which is the only one that shows results.

    work(request, superseded): an iterator of results; each may be shown and may be the last. It may ask `superseded()`,
    whether a newer request waits, and stop early.
    show(result), fail(exception): called on the worker's thread, one at a time.
    idle(superseded): called there after PAUSE seconds without a request, once after each; it shows nothing.
    Widgets written from two threads at once lose updates; so handlers only call `request`, which returns at once.
    """

    def __init__(
        self,
        work: Callable[[Request, Callable[[], bool]], Iterator[Any]],
        show: Callable[[Any], None],
        fail: Callable[[BaseException], None],
        idle: Callable[[Callable[[], bool]], None] | None = None,
    ) -> None:
        self._work, self._show, self._fail, self._idle = work, show, fail, idle
        self._change = threading.Condition()
        self._waiting: list[Request] = []  # at most one: the newest
        self._refused: list[BaseException] = []
        self._busy = False
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="lrp_widgets-latest", daemon=True)
        self._thread.start()

    def request(self, request: Request) -> None:
        """Ask for a result; an older request that still waits is forgotten."""
        with self._change:
            if self._closed:
                return
            self._waiting[:] = [request]
            self._change.notify_all()

    def refuse(self, error: BaseException) -> None:
        """Have an error told after the next result of what runs, or at once: a refusal takes no request's place."""
        with self._change:
            if not self._closed:
                self._refused.append(error)
                self._change.notify_all()

    @property
    def superseded(self) -> bool:
        """Whether a newer request waits."""
        return bool(self._waiting) or self._closed

    def settled(self, timeout: float | None = None) -> bool:
        """Wait until nothing runs or waits; False where that took longer than `timeout` seconds."""
        with self._change:
            return self._change.wait_for(lambda: not (self._busy or self._waiting or self._refused), timeout)

    def on_worker(self) -> bool:
        """Whether the caller runs on the worker's thread, and so may write output widgets."""
        return threading.current_thread() is self._thread

    def close(self) -> None:
        """End the worker after what it does now."""
        with self._change:
            self._closed = True
            self._waiting.clear()
            self._refused.clear()
            self._change.notify_all()

    def _run(self) -> None:
        rested = True
        while True:
            with self._change:
                self._busy = False
                self._change.notify_all()
                self._change.wait_for(lambda: self._waiting or self._refused or self._closed, None if rested else PAUSE)
                if self._closed:
                    return
                requests, self._waiting[:] = self._waiting[:], []
                refused, self._refused[:] = self._refused[:], []
                self._busy = bool(requests or refused)
            rested = not requests or self._idle is None
            if not self._busy and self._idle is not None:
                with suppress(BaseException):  # nobody asked for it: whoever does will be told
                    self._idle(lambda: self.superseded)
            for request in requests:
                self._do(request)
            for error in refused:
                self._tell(error)

    def _do(self, request: Request) -> None:
        told: list[BaseException] = []
        covered = False
        try:
            for result in self._work(request, lambda: self.superseded):
                self._show(result)
                covered = bool(told)
                for error in self._refused_meanwhile():
                    self._tell(error)
                    told, covered = [error], False
        except BaseException as error:  # also a model's sys.exit(): it would end the thread without a word
            self._tell(error)
            return
        if covered:  # a later result may have written over it
            self._tell(told[0])

    def _refused_meanwhile(self) -> list[BaseException]:
        """What was refused since; nothing where a newer request waits, after whose results it is told."""
        with self._change:
            refused = [] if self._waiting else self._refused[:]
            if refused:
                self._refused.clear()
            return refused

    def _tell(self, error: BaseException) -> None:
        try:
            self._fail(error)
        except BaseException:  # telling failed too: leave a trace, and live on for the next request
            traceback.print_exc()
