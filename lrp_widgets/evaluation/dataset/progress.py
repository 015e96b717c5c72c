"""How far an evaluation is: a bar of tqdm, or a function of the caller's."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

__all__ = ["Progress", "Report", "report_of"]

Report = Callable[[int, int, float | None], Any]


class Progress:
    """Counts what is done and tells a report: (done, total, seconds left or None), at the start and at each number."""

    def __init__(self, report: Report, start: int, total: int) -> None:
        self.report, self.start, self.done, self.total = report, start, start, total
        self._began = time.monotonic()

    def tell(self) -> bool:
        """Whether to go on: False where the report says False."""
        new = self.done - self.start
        seconds = time.monotonic() - self._began
        left = seconds / new * (self.total - self.done) if new else None
        return self.report(self.done, self.total, left) is not False

    def step(self) -> bool:
        """One more is done."""
        self.done += 1
        return self.tell()


def report_of(progress: Any) -> Report:
    """The report that `progress` stands for: True is a bar, False or None is silence, a function is itself."""
    if progress is False or progress is None:
        return lambda done, total, left: None
    if progress is True:
        return _bar()
    if not callable(progress):
        raise TypeError(f"progress must be True, False or a function(done, total, seconds_left), got {progress!r}.")
    return progress


def _bar() -> Report:
    """A bar in a notebook or a terminal; nothing where the output goes to a file (disable=None)."""
    from tqdm.auto import tqdm

    bars: list[Any] = []

    def report(done: int, total: int, left: float | None) -> None:
        if not bars:
            bars.append(tqdm(total=total, initial=done, unit="number", desc="evaluate", disable=None))
        bars[0].update(done - bars[0].n)
        if done == total:
            bars[0].close()

    return report
