"""How much a sender may send in a while, without a limit on how much in all."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

__all__ = ["Pace"]


@dataclass
class Pace:
    """An allowance that is used up and grows again: `rate` a second, up to `most`."""

    rate: float
    most: float
    clock: Callable[[], float] = time.monotonic
    _left: float = field(init=False)
    _at: float = field(init=False)

    def __post_init__(self) -> None:
        self._left, self._at = self.most, self.clock()

    def take(self, amount: float = 1.0) -> float:
        """Use up `amount`. Returns for how many seconds the sender has to wait, 0 where the allowance sufficed."""
        now = self.clock()
        self._left = min(self.most, self._left + self.rate * (now - self._at)) - amount
        self._at = now
        return max(0.0, -self._left / self.rate)
