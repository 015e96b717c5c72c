"""Latest: the newest request wins, one thread shows, and no exception is lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lrp_widgets.widgets import Latest

PATIENCE = 20.0  # s: far longer than anything here takes


class Screen:
    """What was shown and what failed, and on which thread."""

    def __init__(self) -> None:
        self.shown: list[Any] = []
        self.failed: list[BaseException] = []
        self.threads: set[threading.Thread] = set()

    def show(self, result: Any) -> None:
        self.threads.add(threading.current_thread())
        self.shown.append(result)

    def fail(self, error: BaseException) -> None:
        self.threads.add(threading.current_thread())
        self.failed.append(error)


@pytest.fixture
def screen() -> Screen:
    return Screen()


@pytest.fixture
def started() -> Iterator[Callable[..., Latest[Any]]]:
    """Makes workers, and closes them."""
    made: list[Latest[Any]] = []

    def make(work: Any, show: Any, fail: Any) -> Latest[Any]:
        made.append(Latest(work, show, fail))
        return made[-1]

    yield make
    for latest in made:
        latest.close()


def workers() -> list[threading.Thread]:
    """The worker threads alive."""
    return [thread for thread in threading.enumerate() if thread.name == "lrp_widgets-latest"]


def ended(before: int) -> bool:
    """Whether the number of worker threads comes back to what it was."""
    deadline = time.monotonic() + PATIENCE
    while len(workers()) > before and time.monotonic() < deadline:
        time.sleep(0.01)
    return len(workers()) <= before


def echo(request: Any, superseded: Callable[[], bool]) -> Iterator[Any]:
    yield request


def gated() -> tuple[threading.Event, threading.Event, Callable[..., Iterator[Any]]]:
    """Work that says when it has begun, and goes on when it is told to."""
    go, begun = threading.Event(), threading.Event()

    def work(request: Any, superseded: Callable[[], bool]) -> Iterator[Any]:
        begun.set()
        assert go.wait(PATIENCE)
        yield request

    return go, begun, work


def test_a_request_is_answered_on_one_thread_that_is_not_this_one(started, screen):
    latest = started(echo, screen.show, screen.fail)
    for request in "ab":
        latest.request(request)
        assert latest.settled(PATIENCE)
    assert (screen.shown, screen.failed) == (["a", "b"], [])
    assert len(screen.threads) == 1
    assert threading.current_thread() not in screen.threads


def test_the_newest_request_wins(started, screen):
    go, begun, work = gated()
    latest = started(work, screen.show, screen.fail)
    latest.request(0)
    assert begun.wait(PATIENCE)
    for request in (1, 2, 3):
        latest.request(request)  # returns at once, although the worker is busy
    assert screen.shown == []
    go.set()
    assert latest.settled(PATIENCE)
    assert screen.shown == [0, 3]


def test_of_a_hundred_requests_at_5_ms_the_last_is_shown_last(started, screen, measured):
    def work(request: int, superseded: Callable[[], bool]) -> Iterator[int]:
        time.sleep(0.012)
        yield request

    latest = started(work, screen.show, screen.fail)
    for request in range(100):
        latest.request(request)
        time.sleep(0.005)
    last = time.monotonic()
    assert latest.settled(PATIENCE)
    measured(
        "Latest: s from the last of 100 requests at 5 ms until its answer, 12 ms of work each", time.monotonic() - last
    )
    assert screen.shown[-1] == 99
    assert screen.shown == sorted(set(screen.shown))
    assert 2 < len(screen.shown) < 100
    assert screen.failed == []


def test_every_yield_is_shown_and_work_may_stop_early(started, screen):
    begun = threading.Event()

    def work(request: str, superseded: Callable[[], bool]) -> Iterator[str]:
        yield f"{request} rough"
        begun.set()
        deadline = time.monotonic() + PATIENCE
        while request == "first" and not superseded() and time.monotonic() < deadline:
            time.sleep(0.001)
        if not superseded():
            yield f"{request} fine"

    latest = started(work, screen.show, screen.fail)
    latest.request("first")
    assert begun.wait(PATIENCE)
    latest.request("second")
    assert latest.settled(PATIENCE)
    assert screen.shown == ["first rough", "second rough", "second fine"]


def test_work_that_raises_between_two_yields_is_told_and_outlived(started, screen):
    def work(request: int, superseded: Callable[[], bool]) -> Iterator[int]:
        yield request
        if request == 0:
            raise ValueError("out of paper")

    latest = started(work, screen.show, screen.fail)
    for request in (0, 1):
        latest.request(request)
        assert latest.settled(PATIENCE)
    assert screen.shown == [0, 1]
    assert [repr(error) for error in screen.failed] == ["ValueError('out of paper')"]


def test_work_that_is_no_iterator_is_told(started, screen):
    latest = started(lambda request, superseded: 3, screen.show, screen.fail)
    latest.request(0)
    assert latest.settled(PATIENCE)
    assert [type(error) for error in screen.failed] == [TypeError]


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, MemoryError])
def test_not_even_an_exit_ends_the_worker(started, screen, error):
    def work(request: int, superseded: Callable[[], bool]) -> Iterator[int]:
        if request == 0:
            raise error
        yield request

    latest = started(work, screen.show, screen.fail)
    for request in (0, 1):
        latest.request(request)
        assert latest.settled(PATIENCE)
    assert [type(each) for each in screen.failed] == [error]
    assert screen.shown == [1]


def test_show_that_raises_is_told_and_the_work_is_given_up(started, screen):
    closed: list[int] = []

    def work(request: int, superseded: Callable[[], bool]) -> Iterator[int]:
        try:
            yield request
            yield request
        finally:
            closed.append(request)

    def show(result: int) -> None:
        if result == 0:
            raise RuntimeError("no canvas")
        screen.show(result)

    latest = started(work, show, screen.fail)
    latest.request(0)
    assert latest.settled(PATIENCE)
    assert [str(error) for error in screen.failed] == ["no canvas"]
    latest.request(1)
    assert latest.settled(PATIENCE)
    assert (screen.shown, closed) == ([1, 1], [0, 1])


def test_fail_that_raises_leaves_a_trace_and_the_worker_lives_on(started, screen, capsys):
    def work(request: int, superseded: Callable[[], bool]) -> Iterator[int]:
        if request == 0:
            raise ValueError("the first trouble")
        yield request

    def fail(error: BaseException) -> None:
        raise OSError("the second trouble")

    latest = started(work, screen.show, fail)
    for request in (0, 1):
        latest.request(request)
        assert latest.settled(PATIENCE)
    assert screen.shown == [1]
    said = capsys.readouterr().err
    assert "ValueError: the first trouble" in said
    assert "OSError: the second trouble" in said


def test_settled_waits_no_longer_than_it_is_told(started, screen):
    go = threading.Event()

    def work(request: int, superseded: Callable[[], bool]) -> Iterator[int]:
        go.wait(PATIENCE)
        yield request

    latest = started(work, screen.show, screen.fail)
    assert latest.settled(PATIENCE)
    latest.request(0)
    assert not latest.settled(0.05)
    go.set()
    assert latest.settled(PATIENCE)
    assert screen.shown == [0]


def test_only_the_worker_is_on_the_worker(started, screen):
    seen: list[bool] = []
    latest = started(echo, lambda result: seen.append(latest.on_worker()), screen.fail)
    latest.request(0)
    assert latest.settled(PATIENCE)
    assert (seen, latest.on_worker()) == ([True], False)


def test_a_request_from_the_worker_is_answered_too(started, screen):
    def show(result: int) -> None:
        screen.show(result)
        if result < 3:
            latest.request(result + 1)

    latest = started(echo, show, screen.fail)
    latest.request(0)
    assert latest.settled(PATIENCE)
    assert screen.shown == [0, 1, 2, 3]


def test_close_ends_the_thread_and_what_comes_later_is_ignored(screen):
    others = workers()  # one of an earlier test may still be going
    latest: Latest[int] = Latest(echo, screen.show, screen.fail)
    latest.request(0)
    assert latest.settled(PATIENCE)
    (mine,) = (thread for thread in workers() if thread not in others)
    latest.close()
    latest.close()
    mine.join(PATIENCE)
    assert not mine.is_alive()
    latest.request(1)
    assert latest.settled(PATIENCE)
    assert screen.shown == [0]


def test_close_tells_long_work_to_stop_and_drops_what_waits(screen):
    before, begun = len(workers()), threading.Event()

    def work(request: int, superseded: Callable[[], bool]) -> Iterator[int]:
        begun.set()
        deadline = time.monotonic() + PATIENCE
        while not superseded() and time.monotonic() < deadline:
            time.sleep(0.001)
        yield request

    latest: Latest[int] = Latest(work, screen.show, screen.fail)
    latest.request(0)
    assert begun.wait(PATIENCE)
    latest.request(1)
    latest.close()
    assert ended(before)
    assert screen.shown == [0]
    assert latest.superseded


def test_idle_work_comes_after_the_answer_and_yields_to_a_request(screen, monkeypatch):
    from lrp_widgets.widgets import latest as module

    monkeypatch.setattr(module, "PAUSE", 0.01)
    begun, ended_by = threading.Event(), list[bool]()

    def idle(superseded: Callable[[], bool]) -> None:
        begun.set()
        deadline = time.monotonic() + PATIENCE
        while not superseded() and time.monotonic() < deadline:
            time.sleep(0.001)
        ended_by.append(superseded())

    latest: Latest[int] = Latest(lambda request, _: iter([request]), screen.show, screen.fail, idle)
    try:
        latest.request(1)
        assert begun.wait(PATIENCE)
        assert latest.settled(0)  # nobody waits for what nobody asked for
        latest.request(2)
        assert latest.settled(PATIENCE) and ended_by == [True]
        assert screen.shown == [1, 2]
    finally:
        latest.close()


def test_idle_work_that_fails_is_no_trouble_to_anybody(screen, monkeypatch):
    from lrp_widgets.widgets import latest as module

    monkeypatch.setattr(module, "PAUSE", 0.0)
    tried = threading.Event()

    def idle(superseded: Callable[[], bool]) -> None:
        tried.set()
        raise SystemExit

    latest: Latest[int] = Latest(lambda request, _: iter([request]), screen.show, screen.fail, idle)
    try:
        latest.request(1)
        assert tried.wait(PATIENCE)
        latest.request(2)
        assert latest.settled(PATIENCE)
        assert (screen.shown, screen.failed) == ([1, 2], [])
    finally:
        latest.close()
