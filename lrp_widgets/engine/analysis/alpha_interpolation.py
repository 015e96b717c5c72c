"""Relevance as a polynomial in α: a few exact maps give every position of the slider.

With one α and β = α − 1, each layer under the αβ rule hands on (α P + (1 − α) N) R for two maps P and N that do not
depend on α. Behind n such layers R(α) is a polynomial of degree n, and with α on Chebyshev's points it is known from
few of them: its high coefficients are small (DESIGN: "α is a polynomial").
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

__all__ = ["AlphaInterpolation", "chebyshev"]


def chebyshev(count: int, low: float, high: float) -> tuple[float, ...]:
    """Chebyshev's points of the second kind in [low, high], the ends among them, rising."""
    if count < 2:
        raise ValueError(f"chebyshev(count) needs at least 2 points, got {count}.")
    return tuple((low + high) / 2 - (high - low) / 2 * math.cos(math.pi * i / (count - 1)) for i in range(count))


class AlphaInterpolation:
    """R(α) through exact maps at Chebyshev's points.

    points: at least two, as `chebyshev` gives them.  maps: one a point, all of one shape.
    """

    def __init__(self, points: Sequence[float], maps: Sequence[Tensor]) -> None:
        if len(points) != len(maps):
            raise ValueError(f"AlphaInterpolation needs one map for each of the {len(points)} points, got {len(maps)}.")
        self.points = np.asarray(points, dtype=np.float64)
        self.maps = torch.stack([relevance.reshape(-1) for relevance in maps])
        self.shape = maps[0].shape
        # Barycentric weights of these points: ±1, half of it at the ends (Berrut & Trefethen 2004).
        self.weights = np.where(np.arange(len(points)) % 2, -1.0, 1.0)
        self.weights[[0, -1]] *= 0.5

    def at(self, alpha: float) -> Tensor:
        """R at `alpha`, which must lie between the first and the last point. Raises ValueError where it does not."""
        low, high = self.points[[0, -1]]
        if not low <= alpha <= high:
            raise ValueError(f"alpha must lie in [{low}, {high}], where the surface is known, got {alpha}.")
        apart = alpha - self.points
        if (apart == 0).any():
            return self.maps[int(np.argmin(np.abs(apart)))].reshape(self.shape).clone()
        shares = self.weights / apart
        shares = torch.from_numpy(shares / shares.sum()).to(self.maps)
        return (shares @ self.maps).reshape(self.shape)
