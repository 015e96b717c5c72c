"""Large maps: what has more pixels than a message to the browser can carry is shown smaller, and says so."""

from __future__ import annotations

from typing import Any

import numpy as np

from lrp_widgets.widgets import HeatmapView
from lrp_widgets.widgets.views.blocks import block_sums
from lrp_widgets.widgets.views.heatmap import MOST_VALUES

__all__ = ["scale_of", "show_map"]


def show_map(
    view: HeatmapView, relevance: np.ndarray, image: np.ndarray | None = None, stamp: str = "", **options: Any
) -> int:
    """Show a map and its image, pooled over square blocks where they are too large; returns the side of a block.

    relevance: (h, w), of which sums are shown, so that ΣR stays.  image: (h, w) or (h, w, 3), of which means are shown.
    stamp: gets a word on it.  options: as in HeatmapView.show.
    """
    block = _side(relevance.shape)
    if block > 1:
        relevance = block_sums(relevance, block)
        stamp += f" · shown smaller: {block} × {block} pixels pooled to one"
    if image is not None and (side := _side(image.shape[:2])) > 1:
        image = _means(image, side)
    view.show(relevance, image, stamp=stamp, **options)
    return block


def scale_of(relevance: np.ndarray) -> float | None:
    """The largest |R| of a map as it is shown, for the scale of several; None where all of it is zero."""
    return float(np.abs(block_sums(relevance, _side(relevance.shape))).max()) or None


def _side(shape: tuple[int, ...]) -> int:
    """The side of the smallest blocks that leave at most MOST_VALUES of them."""
    height, width = shape
    side = max(1, int((height * width / MOST_VALUES) ** 0.5))
    while -(-height // side) * -(-width // side) > MOST_VALUES:
        side += 1
    return side


def _means(image: np.ndarray, side: int) -> np.ndarray:
    channels = np.moveaxis(image.reshape(*image.shape[:2], -1), -1, 0).astype(np.float32)
    means = np.moveaxis(block_sums(channels, side) / block_sums(np.ones(image.shape[:2], np.float32), side), 0, -1)
    means = means.reshape(*means.shape[:2], *image.shape[2:])
    return np.round(means).astype(np.uint8) if image.dtype == np.uint8 else means
