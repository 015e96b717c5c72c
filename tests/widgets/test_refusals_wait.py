"""A refusal while a request waits: both are heard, the answer first."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

from lrp_widgets.widgets import Latest

PATIENCE = 60.0  # s: far longer than anything here takes


def test_a_refusal_takes_the_place_of_no_request_that_waits() -> None:
    go, begun = threading.Event(), threading.Event()
    events: list[object] = []

    def work(request: int, superseded: Callable[[], bool]) -> Iterator[int]:
        begun.set()
        assert go.wait(PATIENCE)
        yield request

    latest: Latest[int] = Latest(work, events.append, events.append)
    try:
        latest.request(1)
        assert begun.wait(PATIENCE)
        latest.request(2)
        refusal = ValueError("no")
        latest.refuse(refusal)
        go.set()
        assert latest.settled(PATIENCE)
        assert events == [1, 2, refusal]
    finally:
        latest.close()
