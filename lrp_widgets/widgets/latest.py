"""Latest: one worker, one slot; the newest request wins and no exception is lost."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Generic, TypeVar

from lrp_widgets.widgets.exit import end_before_exit

__all__ = ["Latest"]

Request = TypeVar("Request")
LATE = 0.3  # s after which a request counts as a long one
PAUSE = 0.25  # s without a request before idle work begins; two moves of one drag are closer together


class Latest(Generic[Request]):
    """Runs the newest request on a thread of its own, which is the only one that shows results.

    work(request, superseded): an iterator of results; each may be shown and may be the last. It may ask `superseded()`,
    whether a newer request waits, and stop early.
    show(result), fail(exception): called on the worker's thread, one after the other.
    idle(superseded): called there after PAUSE seconds without a request, once after each; it shows nothing.
    late(request): called on another thread, never while something is shown, where a request takes longer than LATE.
    ended(): called there last, when the worker was closed.
    showing: the lock that is held while something is shown; work that shows something by itself takes it.
    Widgets written from two threads at once lose updates; so handlers only call `request`, which returns at once.
    """

    def __init__(
        self,
        work: Callable[[Request, Callable[[], bool]], Iterator[Any]],
        show: Callable[[Any], None],
        fail: Callable[[BaseException], None],
        idle: Callable[[Callable[[], bool]], None] | None = None,
        ended: Callable[[], None] | None = None,
        late: Callable[[Request], None] | None = None,
    ) -> None:
        self._work, self._show, self._fail, self._idle, self._ended = work, show, fail, idle, ended
        self._late, self.showing = late, threading.RLock()
        self._change = threading.Condition()
        self._waiting: list[Request] = []  # at most one: the newest
        self._refused: list[BaseException] = []
        self._busy = False
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="lrp_widgets-latest", daemon=True)
        end_before_exit(self._thread, self._leave)
        self._thread.start()

    def request(self, request: Request) -> None:
        """Ask for a result; an older request that still waits is forgotten."""
        with self._change:
            if self._closed:
                return
            self._waiting[:] = [request]
            self._change.notify_all()

    def refuse(self, error: BaseException) -> None:
        """Report an error, after the next result where work runs. A request that waits is kept."""
        with self._change:
            if not self._closed:
                self._refused.append(error)
                self._change.notify_all()

    @property
    def closed(self) -> bool:
        """Whether the worker was told to end."""
        return self._closed

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

    def _leave(self) -> None:
        """Close as Python exits: whoever would be told has ended already."""
        self._ended = None
        self.close()

    def _run(self) -> None:
        rested = True
        while True:
            with self._change:
                self._busy = False
                self._change.notify_all()
                self._change.wait_for(lambda: self._waiting or self._refused or self._closed, None if rested else PAUSE)
                if self._closed:
                    break
                requests, self._waiting[:] = self._waiting[:], []
                refused, self._refused[:] = self._refused[:], []
                self._busy = bool(requests or refused)
            rested = not requests or self._idle is None
            if not self._busy and self._idle is not None:
                with suppress(
                    BaseException
                ):  # nobody asked for this work; a request for the same will meet the error and tell it
                    self._idle(lambda: self.superseded)
            for request in requests:
                with self._watched(request):
                    self._do(request)
            for error in refused:
                self._tell(error)
        if self._ended is not None:
            self._ended()

    @contextmanager
    def _watched(self, request: Request) -> Iterator[None]:
        """Say where the request takes long, and nothing any more when it is through."""
        over = False

        def ring() -> None:
            with self.showing:
                if not over and self._late is not None:
                    self._late(request)

        timer = threading.Timer(LATE, ring)
        timer.daemon = True
        if self._late is not None:
            timer.start()
        try:
            yield
        finally:
            with self.showing:
                over = True
            timer.cancel()

    def _do(self, request: Request) -> None:
        last: list[BaseException] = []  # the error told last, if there was one
        covered = False
        try:
            for result in self._work(request, lambda: self.superseded):
                with self.showing:
                    self._show(result)
                covered = bool(last)
                for error in self._refused_meanwhile():
                    self._tell(error)
                    last, covered = [error], False
        except (
            BaseException
        ) as error:  # also SystemExit, as of a model that calls sys.exit(): it would end the thread silently
            self._tell(error)
            return
        if covered:  # a later result may have replaced the error on the page
            self._tell(last[0])

    def _refused_meanwhile(self) -> list[BaseException]:
        """The errors refused since. None where a newer request waits: they are reported after its results."""
        with self._change:
            refused = [] if self._waiting else self._refused[:]
            if refused:
                self._refused.clear()
            return refused

    def _tell(self, error: BaseException) -> None:
        try:
            with self.showing:
                self._fail(error)
        except BaseException:  # reporting failed too: print the traceback, and go on with the next request
            traceback.print_exc()
