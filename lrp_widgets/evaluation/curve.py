"""Curve: how the score falls while the input is taken away."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Curve"]


@dataclass(frozen=True, eq=False)
class Curve:
    """A score against the share of the input removed.

    removed: (n,) share removed, from 0 to 1.  values: (n,) the score there; for several orders their mean.
    low, high: (n,) the band over several orders, None for one.
    order: what was removed first.  unit: what the values are.
    """

    removed: np.ndarray
    values: np.ndarray
    order: str
    unit: str = "f(x)"
    low: np.ndarray | None = None
    high: np.ndarray | None = None

    @property
    def area(self) -> float:
        """Area under the curve by the trapezoidal rule: for most relevant first, low is selective."""
        return float(np.trapezoid(self.values, self.removed))
