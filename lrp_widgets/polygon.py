"""Which pixels of a map lie inside of a polygon."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["polygon_mask"]


def polygon_mask(polygon: Sequence[Sequence[float]], height: int, width: int, *, shares: bool = False) -> np.ndarray:
    """The pixels whose centre lies inside of a polygon by the even-odd rule: bool (height, width).

    polygon: vertices (x, y), the last joined to the first; in pixels, so that pixel (row, column) has its centre at
    x = column + 0.5, y = row + 0.5, or with `shares` in shares of the map's width and height.
    A centre on an edge belongs to the polygon that lies right of it or below, so that of two polygons that share an
    edge exactly one has it. (skimage.draw.polygon2mask decides otherwise on edges and corners.)
    """
    x, y = np.arange(width) + 0.5, np.arange(height) + 0.5
    if shares:
        x, y = x / width, y / height
    crossings = np.zeros((height, width + 1), np.int64)  # of edges between the centre of a column and the one before
    for (start_x, start_y), (end_x, end_y) in zip(polygon, [*polygon[1:], *polygon[:1]], strict=True):
        rows = np.flatnonzero((start_y <= y) != (end_y <= y))
        crossed_at = start_x + (y[rows] - start_y) * (end_x - start_x) / (end_y - start_y)
        np.add.at(crossings, (rows, np.searchsorted(x, crossed_at)), 1)
    return np.cumsum(crossings[:, :width], axis=1) % 2 == 1
