"""A region drawn on a map: its vertices checked, and how much of the relevance it holds (object or context?)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import traitlets

__all__ = ["MOST_VERTICES", "RegionShare", "check_region", "share_of"]

MOST_VERTICES = 400


@dataclass(frozen=True)
class RegionShare:
    """Relevance pooled over a region and over the whole map; numbers that are not finite count as 0.

    inside, total: sums of R.  inside_size, total_size: sums of |R|.  area: the region's part of all pixels, 0 to 1.
    The paper, section on relevance pooling (object versus context).
    """

    inside: float
    total: float
    inside_size: float
    total_size: float
    area: float

    @property
    def outside(self) -> float:
        """The sum of R outside of the region: the context, if the region is the object."""
        return self.total - self.inside

    @property
    def part(self) -> float | None:
        """The region's part of the sum of R; None where inside and outside cancel, so that it is no percentage."""
        return self.inside / self.total if self.total and 0 <= self.inside / self.total <= 1 else None

    @property
    def part_of_size(self) -> float | None:
        """The region's part of the sum of |R|, 0 to 1; None for a map of zeros."""
        return self.inside_size / self.total_size if self.total_size else None

    @property
    def density(self) -> float | None:
        """How many times more |R| the region holds than its area would; 1 is chance, None where that is undefined."""
        return None if self.part_of_size is None or not self.area else self.part_of_size / self.area


def share_of(relevance: np.ndarray, inside: np.ndarray) -> RegionShare:
    """The relevance (h, w) that lies inside of a mask, bool (h, w)."""
    values = np.where(np.isfinite(relevance), relevance, 0).astype(np.float64)
    sizes = np.abs(values)
    return RegionShare(
        float(values[inside].sum()),
        float(values.sum()),
        float(sizes[inside].sum()),
        float(sizes.sum()),
        float(inside.mean()) if inside.size else 0.0,
    )


def check_region(name: str, region: Any, height: int, width: int) -> list[list[float]]:
    """The vertices as floats. Raises TraitError where they are no polygon within the map."""
    needed = f"{name} must be [] or 3 to {MOST_VERTICES} vertices [x, y] with 0 ≤ x ≤ {width} and 0 ≤ y ≤ {height}"
    if region and not 3 <= len(region) <= MOST_VERTICES:
        raise traitlets.TraitError(f"{needed}, got {len(region)} {'vertex' if len(region) == 1 else 'vertices'}.")
    for vertex in region:
        if not (isinstance(vertex, list | tuple) and len(vertex) == 2 and _within(vertex, width, height)):
            raise traitlets.TraitError(f"{needed}, got {repr(vertex)[:60]} among them.")
    return [[float(x), float(y)] for x, y in region]


def _within(vertex: Sequence[Any], width: int, height: int) -> bool:
    return all(  # comparisons with NaN are false, so it is refused too
        isinstance(number, int | float) and not isinstance(number, bool) and 0 <= number <= end
        for number, end in zip(vertex, (width, height), strict=True)
    )
