"""The pixels inside of a polygon: by hand, and the same as pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest

from lrp_widgets.polygon import polygon_mask


def test_masks_by_hand():
    square = [[1, 1], [3, 1], [3, 3], [1, 3]]
    assert polygon_mask(square, 4, 4).astype(int).tolist() == [[0, 0, 0, 0], [0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]]
    centred = [[0.5, 0.5], [2.5, 0.5], [2.5, 2.5], [0.5, 2.5]]  # a centre on the left or upper edge belongs to it
    assert polygon_mask(centred, 3, 3).astype(int).tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 0]]
    bow = [[0, 0], [4, 4], [4, 0], [0, 4]]
    assert polygon_mask(bow, 4, 4).astype(int).tolist() == [[0, 0, 0, 1], [1, 0, 1, 1], [1, 0, 1, 1], [0, 0, 0, 1]]
    assert not polygon_mask([], 2, 3).any() and polygon_mask([], 2, 3).shape == (2, 3)


def test_masks_by_hand_in_shares_of_the_map():
    triangle = polygon_mask(((0.0, 0.0), (1.0, 0.0), (0.0, 1.0)), 4, 4, shares=True)
    assert triangle.tolist() == [[True] * (3 - row) + [False] * (row + 1) for row in range(4)]
    hollow = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0), (0.0, 0.0), (0.25, 0.25), (0.25, 0.75), (0.75, 0.75))
    ring = polygon_mask((*hollow, (0.75, 0.25), (0.25, 0.25)), 4, 4, shares=True)
    assert ring.sum() == 12
    assert not ring[1:3, 1:3].any()
    assert (
        polygon_mask([[0, 0], [0.5, 0], [0.5, 1], [0, 1]], 2, 6, shares=True).tolist() == [[True] * 3 + [False] * 3] * 2
    )


def polygons() -> list[list[list[float]]]:
    rng = np.random.default_rng(0)
    free = [np.column_stack([rng.uniform(0, 13, n), rng.uniform(0, 9, n)]) for n in (3, 5, 40, 400)]
    halves = [np.floor(polygon * 2) / 2 for polygon in free]  # edges that meet centres and borders
    return [polygon.tolist() for polygon in free + halves]


def mask_pixel_by_pixel(polygon: list[list[float]], height: int, width: int) -> np.ndarray:
    """For each pixel: whether a ray to the left meets an odd number of edges."""
    mask = np.zeros((height, width), bool)
    for row, column in np.ndindex(height, width):
        x, y = column + 0.5, row + 0.5
        for (ax, ay), (bx, by) in zip(polygon, polygon[1:] + polygon[:1], strict=True):
            if (ay <= y) != (by <= y) and ax + (y - ay) / (by - ay) * (bx - ax) <= x:
                mask[row, column] ^= True
    return mask


@pytest.mark.parametrize("polygon", polygons(), ids=lambda polygon: f"{len(polygon)} vertices")
def test_a_mask_is_the_same_pixel_by_pixel(polygon):
    assert np.array_equal(polygon_mask(polygon, 9, 13), mask_pixel_by_pixel(polygon, 9, 13))
