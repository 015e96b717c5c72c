"""Previews: approximate pictures that are shown until the exact one is there."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from lrp_widgets.engine.propagation.explanation import pooled

__all__ = ["CoarsePreviews", "Preview"]

FIRST, NEXT = 0.04, 0.08  # s until a coarse picture, and between two of them


@dataclass(frozen=True, eq=False)
class Preview:
    """An approximate heatmap of the input `x`.  picture: (h, w).  caption: what it is, for under the picture."""

    picture: np.ndarray
    caption: str
    x: Tensor


class CoarsePreviews:
    """Shows the relevance of hidden layers on its way down to an image: each picture is sharper than the one before.

    Called with the relevance of each step, (1, channels, h, w) in convolutional layers; other shapes are ignored.
    resolution: the number of pixels of the last picture; 1 before the first.
    """

    def __init__(self, x: Tensor, show: Callable[[Preview], None]) -> None:
        self._x, self._show = x, show
        self._due = time.monotonic() + FIRST
        self.resolution = 1

    def __call__(self, relevance: Tensor) -> None:
        now = time.monotonic()
        if relevance.ndim != 4 or now < self._due:
            return
        (rows, columns), (height, width) = self._x.shape[-2:], relevance.shape[-2:]
        if not self.resolution < height * width < rows * columns:
            return
        self.resolution, self._due = height * width, now + NEXT
        caption = f"coarse: {width} × {height} of {columns} × {rows}, sharpening"
        self._show(Preview(pooled(relevance[0]), caption, self._x))
