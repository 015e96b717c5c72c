"""Large maps made small for the browser: relevance pooled over square blocks, so that no sum changes."""

from __future__ import annotations

import numpy as np

__all__ = ["block_sums", "pooled_blocks"]


def pooled_blocks(maps: np.ndarray, longest: int) -> tuple[np.ndarray, int]:
    """Sums over square blocks, of a side that leaves height and width at most `longest`, and that side.

    maps: (…, h, w); the last block of a row or column may be smaller. With a side of 1 the maps are as they were.
    """
    height, width = maps.shape[-2:]
    block = max(1, -(-max(height, width) // longest))
    return (maps, 1) if block == 1 else (block_sums(maps, block), block)


def block_sums(maps: np.ndarray, side: int) -> np.ndarray:
    """Sums over square blocks of maps (…, h, w); the last block of a row or column may be smaller."""
    height, width = maps.shape[-2:]
    rows = np.add.reduceat(maps, np.arange(0, height, side), axis=-2)
    return np.add.reduceat(rows, np.arange(0, width, side), axis=-1)
