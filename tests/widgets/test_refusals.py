"""A refusal is told soon, is not written over, and takes no request's place."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lrp_widgets.widgets.latest import Latest

PATIENCE = 20.0
NO = ValueError("no")


class Worker:
    """A worker whose results wait for `go`, and what became of them in one list."""

    def __init__(self, results: int) -> None:
        self.results, self.seen = results, list[Any]()
        self.begun, self.go, self.told = threading.Event(), threading.Semaphore(0), threading.Event()
        self.latest = Latest[int](self.work, self.seen.append, self.fail)

    def work(self, request: int, superseded: Callable[[], bool]) -> Iterator[str]:
        for number in range(self.results):
            self.begun.set()
            assert self.go.acquire(timeout=PATIENCE)
            yield f"{request}.{number}"

    def fail(self, error: BaseException) -> None:
        self.seen.append(error)
        self.told.set()

    def begin(self) -> None:
        """Ask for results, and wait until the first is worked at."""
        self.latest.request(0)
        assert self.begun.wait(PATIENCE)

    def release(self, results: int) -> None:
        for _ in range(results):
            self.go.release()


@pytest.fixture
def worker() -> Iterator[Worker]:
    made = Worker(results=3)
    yield made
    made.release(100)
    made.latest.close()


def test_it_is_told_before_long_work_ends(worker):
    worker.begin()
    worker.latest.refuse(NO)
    worker.release(1)
    assert worker.told.wait(PATIENCE)
    assert worker.seen == ["0.0", NO]


def test_it_is_told_again_where_a_later_result_may_have_written_over_it(worker):
    worker.begin()
    worker.latest.refuse(NO)
    worker.release(3)
    assert worker.latest.settled(PATIENCE)
    assert worker.seen == ["0.0", NO, "0.1", "0.2", NO]


def test_it_takes_no_requests_place(worker):
    worker.results = 1
    worker.begin()
    worker.latest.request(1)
    worker.latest.refuse(NO)
    worker.release(2)
    assert worker.latest.settled(PATIENCE)
    assert worker.seen == ["0.0", "1.0", NO]


def test_a_worker_at_rest_tells_it_at_once(worker):
    worker.latest.refuse(NO)
    assert worker.latest.settled(PATIENCE)
    assert worker.seen == [NO]
