"""How far an evaluation is: a line of text, a bar of tqdm where that is installed, or a function of the caller's."""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Callable
from typing import Any

__all__ = ["Progress", "Report", "report_of"]

Report = Callable[[int, int, float | None], Any]
OFTEN = 0.1  # seconds between two texts


class Progress:
    """Counts what is done and tells a report: (done, total, seconds left or None), at the start and at each number."""

    def __init__(self, report: Report, known: int, total: int) -> None:
        self.report, self.known, self.done, self.total = report, known, known, total
        self._began = time.monotonic()

    def tell(self) -> bool:
        """Whether to go on: False where the report says False."""
        made = self.done - self.known
        took = time.monotonic() - self._began
        left = took / made * (self.total - self.done) if made else None
        return self.report(self.done, self.total, left) is not False

    def step(self) -> bool:
        """One more is done."""
        self.done += 1
        return self.tell()


def report_of(given: Any) -> Report:
    """The report that is meant: True is a bar, False nothing, a function is itself."""
    if given is False or given is None:
        return lambda done, total, left: None
    if given is True:
        try:
            return _bar(importlib.import_module("tqdm.auto").tqdm)
        except ImportError:
            return _line
    if not callable(given):
        raise TypeError(f"progress must be True, False or a function(done, total, seconds_left), got {given!r}.")
    return given


def _bar(tqdm: Any) -> Report:
    bars: list[Any] = []

    def report(done: int, total: int, left: float | None) -> None:
        if not bars:
            bars.append(tqdm(total=total, initial=done, unit="number", desc="evaluate", disable=None))
        bars[0].update(done - bars[0].n)
        if done == total:
            bars[0].close()

    return report


_told = [0.0]


def _line(done: int, total: int, left: float | None) -> None:
    now = time.monotonic()
    if now - _told[0] < OFTEN and done < total:
        return
    _told[0] = now
    remaining = "" if left is None or done == total else f", {left:.0f} s left"
    sys.stderr.write(f"\revaluate: {done} of {total} numbers{remaining}".ljust(60) + ("\n" if done == total else ""))
    sys.stderr.flush()
