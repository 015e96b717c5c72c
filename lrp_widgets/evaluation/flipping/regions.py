"""What is removed at a time: square patches, superpixels, or any regions that a user draws."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lrp_widgets.engine.trace.inputs import check_input
from lrp_widgets.evaluation.checks import at_least, one_input

__all__ = ["as_picture", "patch_side", "patches", "regions_of", "superpixels"]


def as_picture(x: Tensor) -> Tensor:
    """x as (n, channels, height, width): of other inputs than pictures, all values of each become one row of pixels."""
    return x if x.ndim == 4 else x.reshape(len(x), 1, 1, -1)


def patch_side(x: Tensor) -> int:
    """The side of patches where none is given: a seventh of a picture, a 49th of the features; in pixels."""
    return max(1, round(x.shape[-1] / 7)) if x.ndim == 4 else max(1, x[0].numel() // 49)


def patches(height: int, width: int, side: int) -> Tensor:
    """(height, width) labels of square patches in reading order; the last ones of a row or column may be smaller."""
    rows, columns = torch.arange(height) // side, torch.arange(width) // side
    return rows[:, None] * (int(columns[-1]) + 1) + columns


def regions_of(label_map: Any, height: int, width: int) -> Tensor:
    """A user's label map as (height, width) labels 0, 1, …, in the order of its numbers.

    Raises TypeError or ValueError where it is not one whole number a pixel.
    """
    requirement = f"regions must be a label map, one whole number a pixel ({height} x {width})"
    try:
        labels = np.asarray(label_map.detach().cpu() if isinstance(label_map, Tensor) else label_map)
    except (TypeError, ValueError):
        labels = np.asarray(None)
    if labels.dtype.kind not in "iu":
        raise TypeError(
            f"{requirement}, got {type(label_map).__name__} of {labels.dtype}. Make one with superpixels(x)."
        )
    if labels.shape != (height, width) and not (height == 1 and labels.shape == (width,)):
        raise ValueError(f"{requirement}, got shape {labels.shape}. Make one of the size of the input.")
    _, numbers = np.unique(labels, return_inverse=True)
    return torch.from_numpy(np.ascontiguousarray(numbers).reshape(height, width)).long()


def superpixels(x: Tensor, count: int = 50, *, compactness: float = 0.1) -> np.ndarray:
    """(height, width) labels of about `count` superpixels by SLIC (Achanta et al. 2012), for `regions=`.

    x: one picture, (1, channels, height, width), scaled to [0, 1] over all channels.
    compactness: how square they are against how alike their pixels are; above 0.
    Raises ImportError where scikit-image is not installed.
    """
    check_input(x)
    one_input("superpixels", x)
    at_least(1, "count", count)
    if isinstance(compactness, bool) or not isinstance(compactness, int | float) or not compactness > 0:
        raise ValueError(f"compactness must be a number above 0, got {compactness!r}.")
    if x.ndim != 4:
        raise ValueError(
            f"superpixels needs a picture (1, channels, height, width), got shape {tuple(x.shape)}. "
            "Give your own label map."
        )
    try:
        segmentation = importlib.import_module("skimage.segmentation")
    except ImportError:
        raise ImportError(
            "superpixels needs scikit-image, which is not installed. "
            "Install it with pip install scikit-image, or give your own label map."
        ) from None
    picture = x[0].detach().double().cpu()
    low, high = float(picture.min()), float(picture.max())
    scaled = ((picture - low) / max(high - low, 1e-12)).permute(1, 2, 0).numpy()
    lab = scaled.shape[2] == 3
    return segmentation.slic(
        scaled, n_segments=count, compactness=compactness * (100 if lab else 1), start_label=0, channel_axis=-1
    )
