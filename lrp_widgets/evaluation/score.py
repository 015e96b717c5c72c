"""Score: a measured number that says what it is measured against, by whom, and what it means."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["Score"]


@dataclass(frozen=True)
class Score:
    """One number with its limit.

    value: NaN where it was not measured, and `note` says why.  threshold: its limit, in the same units.
    above: whether it must be at least the threshold; at most, otherwise.
    source: who asks for it.  meaning: what the number is, in one line.  note: what else there is to say.
    """

    name: str
    value: float
    threshold: float
    source: str
    meaning: str
    above: bool = False
    note: str = ""

    @property
    def measured(self) -> bool:
        """Whether there is a number."""
        return not math.isnan(self.value)

    @property
    def passes(self) -> bool | None:
        """Whether the value keeps to its limit, None where it was not measured."""
        if not self.measured or math.isnan(self.threshold):
            return None
        return self.value >= self.threshold if self.above else self.value <= self.threshold

    def __str__(self) -> str:
        if not self.measured:
            return f"{self.name}: not measured, {self.note} [{self.source}]"
        limit = f"{'at least' if self.above else 'at most'} {self.threshold:.3g}"
        verdict = {True: "passes", False: "fails", None: "without a limit"}[self.passes]
        note = f" ({self.note})" if self.note else ""
        return f"{self.name}: {self.value:.3g}, {limit}: {verdict}. {self.meaning}{note} [{self.source}]"
