"""Who is here: which kernel is whose, which kernels nobody needs any more, and who waits for a place.

Only bookkeeping: it starts and ends nothing by itself, and its clock can be another one.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

__all__ = ["Visit", "Visits"]

NEVER_CAME = 20.0  # s after which a kernel ends whose page has not connected, counted from the visitor's last request
LOST = 120.0  # s that a kernel waits for a page whose connection was lost
LEFT = 1.0  # s that it waits for a page that was left: a closed tab, or one that goes elsewhere
QUEUE_SILENT = 10.0  # s after which one who does not ask again is passed over
QUEUE_KEPT = 120.0  # s after which its place is lost: browsers slow down a page that nobody sees
MOST_WAITING = 1000


@dataclass
class Visit:
    """One page and its kernel."""

    owner: str
    since: float
    needed: float  # when the kernel was last known to be needed, by the clock
    patience: float = NEVER_CAME  # s that it may stay without a connection
    connections: int = 0
    page_is_sent: bool = False
    is_dead: bool = False  # the process of the kernel has ended


@dataclass
class Visits:
    """The visits by the ids of their kernels, at most `most` of them, and the queue of visitors by their names."""

    most: int
    clock: Callable[[], float] = time.monotonic
    by_kernel: dict[str, Visit] = field(default_factory=dict)
    _starting: int = 0  # admitted, and without a kernel so far
    _queue: OrderedDict[str, float] = field(default_factory=OrderedDict)  # when each one last asked

    # Coming in.

    @property
    def waiting(self) -> list[str]:
        """Those in the queue who have asked lately, in the order in which they came."""
        now = self.clock()
        for visitor in [name for name, asked in self._queue.items() if now - asked > QUEUE_KEPT]:
            del self._queue[visitor]
        return [visitor for visitor, asked in self._queue.items() if now - asked <= QUEUE_SILENT]

    def admit(self, visitor: str) -> int:
        """The place of a visitor in the queue, from 1; 0 where there is room, and `began` or `failed` has to follow."""
        if visitor in self._queue or len(self._queue) < MOST_WAITING:
            self._queue[visitor] = self.clock()
        ahead = self.waiting
        place = ahead.index(visitor) if visitor in ahead else len(ahead)
        if place < self.most - len(self.by_kernel) - self._starting:
            self._queue.pop(visitor, None)
            self._starting += 1
            return 0
        return place + 1

    def began(self, visitor: str, kernel: str) -> None:
        """The kernel of an admitted visitor runs."""
        self._starting -= 1
        now = self.clock()
        self.by_kernel[kernel] = Visit(visitor, now, now)

    def failed(self) -> None:
        """An admitted visitor gets no kernel."""
        self._starting -= 1

    # Being here.

    def owns(self, visitor: str, kernel: str) -> bool:
        """Whether a kernel is a visitor's own."""
        visit = self.by_kernel.get(kernel)
        return bool(visitor) and visit is not None and visit.owner == visitor

    def seen(self, visitor: str) -> None:
        """A request of a visitor was answered: the page is still being loaded."""
        for visit in self.by_kernel.values():
            if visit.owner == visitor and visit.patience == NEVER_CAME:
                visit.needed = self.clock()

    def sent(self, kernel: str) -> None:
        """The page of a kernel is sent as a whole."""
        if visit := self.by_kernel.get(kernel):
            visit.page_is_sent, visit.needed = True, self.clock()

    def connected(self, kernel: str) -> None:
        """A page has opened a connection to its kernel."""
        if visit := self.by_kernel.get(kernel):
            visit.connections += 1

    def disconnected(self, kernel: str, left: bool) -> None:
        """A connection has ended.  left: the page is gone, rather than its network."""
        if visit := self.by_kernel.get(kernel):
            visit.connections -= 1
            visit.patience, visit.needed = LEFT if left else LOST, self.clock()

    def died(self, kernel: str) -> None:
        """The process of a kernel has ended by itself."""
        if visit := self.by_kernel.get(kernel):
            visit.is_dead = True

    # Leaving.

    def overdue(self) -> Iterator[str]:
        """The kernels that nobody needs any more."""
        now = self.clock()
        for kernel, visit in [*self.by_kernel.items()]:
            alone = visit.page_is_sent and visit.connections == 0
            if visit.is_dead or (alone and now - visit.needed > visit.patience):
                yield kernel

    def ended(self, kernel: str) -> None:
        """A kernel is no more."""
        self.by_kernel.pop(kernel, None)
