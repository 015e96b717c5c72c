"""Two threads at a place where only one may be: whether they meet there."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

WAIT = 0.5  # s that the first of the two waits inside for the other: how long a test takes that passes


class Meeting:
    """A place where a thread waits for another one. `met` says whether two were there at once, `came` how many came."""

    def __init__(self) -> None:
        self._barrier = threading.Barrier(2)
        self.came, self.met = 0, False

    def come(self, *_: Any) -> None:
        self.came += 1
        try:
            self._barrier.wait(WAIT)
        except threading.BrokenBarrierError:  # nobody else came while this one was here
            return
        self.met = True


def side_by_side(*acts: Callable[[], Any]) -> None:
    """Run each act on a thread of its own, and raise what one of them raises."""
    errors: list[BaseException] = []

    def run(act: Callable[[], Any]) -> None:
        try:
            act()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
