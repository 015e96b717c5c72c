"""Latest: a request, a refusal or a close that comes at the worst moment is neither lost nor mistaken."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lrp_widgets.widgets import Latest

PATIENCE = 20.0  # s: far longer than anything here takes
WAIT = 0.5  # s that the worker leaves to another thread between two of its instructions


class Interrupted(list):
    """A list that lets another thread run, once, right after it was read or right before it is written."""

    def __init__(self, *, read: Callable[[], Any] | None = None, write: Callable[[], Any] | None = None) -> None:
        super().__init__()
        self._read, self._write = read, write
        self.thread: threading.Thread | None = None

    def _let(self, act: Callable[[], Any]) -> None:
        if self.thread is None:
            self.thread = threading.Thread(target=act)
            self.thread.start()
            self.thread.join(WAIT)  # with the lock held the other one waits until this is over

    def __getitem__(self, place: Any) -> Any:
        values = super().__getitem__(place)
        if self._read is not None and values:
            self._let(self._read)
        return values

    def __setitem__(self, place: Any, values: Any) -> None:
        if self._write is not None:
            self._let(self._write)
        super().__setitem__(place, values)


@pytest.fixture
def shown() -> list[Any]:
    return []


@pytest.fixture
def failed() -> list[BaseException]:
    return []


@pytest.fixture
def latest(shown, failed) -> Iterator[Latest[Any]]:
    latest: Latest[Any] = Latest(lambda request, _: iter([request]), shown.append, failed.append)
    yield latest
    latest.close()


def finished(latest: Latest[Any], interrupted: Interrupted) -> None:
    """Wait until the other thread has done its act, and the worker what came of it."""
    assert latest.settled(PATIENCE)
    assert interrupted.thread is not None
    interrupted.thread.join(PATIENCE)
    assert latest.settled(PATIENCE)


def test_a_request_while_the_worker_takes_the_last_one_is_not_lost(latest, shown):
    latest._waiting = Interrupted(read=lambda: latest.request("second"))
    latest.request("first")
    finished(latest, latest._waiting)
    assert shown == ["first", "second"]


def test_a_refusal_while_the_worker_takes_the_last_one_is_not_lost(latest, failed):
    latest._refused = Interrupted(read=lambda: latest.refuse(ValueError("second")))
    latest.refuse(ValueError("first"))
    finished(latest, latest._refused)
    assert [str(error) for error in failed] == ["first", "second"]


def test_a_refusal_between_two_results_while_the_last_one_is_taken_is_not_lost(latest, shown, failed):
    refused = Interrupted(read=lambda: latest.refuse(ValueError("second")))

    def work(request: int, superseded: Callable[[], bool]) -> Iterator[int]:
        latest._refused = refused
        latest.refuse(ValueError("first"))
        yield request
        yield request + 1

    latest._work = work
    latest.request(1)
    finished(latest, refused)
    assert shown == [1, 2]
    assert {str(error) for error in failed} == {"first", "second"}


def test_nobody_is_told_that_all_is_settled_between_a_request_and_its_work(latest, shown):
    seen: list[tuple[bool, list[Any]]] = []
    interrupted = Interrupted(write=lambda: seen.append((latest.settled(PATIENCE), list(shown))))
    assert latest.settled(PATIENCE)
    latest._refused = interrupted  # emptied when the request was taken, and before the worker counts as busy
    latest.request("first")
    finished(latest, interrupted)
    assert seen == [(True, ["first"])]


def test_a_close_while_a_request_comes_leaves_nothing_waiting(latest, shown):
    interrupted = Interrupted(write=latest.close)
    latest._waiting = interrupted
    latest.request("late")
    finished(latest, interrupted)
    assert latest._waiting == [] and shown in ([], ["late"])
