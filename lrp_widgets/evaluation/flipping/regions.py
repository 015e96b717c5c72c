"""What is removed at a time: square patches, superpixels, or any regions that a user draws."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lrp_widgets.engine.trace.inputs import check_input
from lrp_widgets.evaluation.checks import at_least, one_input
from lrp_widgets.modalities import modality_of
from lrp_widgets.wording import brief

__all__ = ["regions_of", "superpixels"]


def regions_of(label_map: Any, *lengths: int) -> Tensor:
    """A user's label map as labels 0, 1, …, in the order of its numbers.

    lengths: of the axes that elements lie along, height and width of a picture.
    Raises TypeError or ValueError where it is not one whole number a pixel.
    """
    requirement = f"regions must be a label map, one whole number a pixel ({' x '.join(map(str, lengths))})"
    try:
        labels = np.asarray(label_map.detach().cpu() if isinstance(label_map, Tensor) else label_map)
    except (TypeError, ValueError):
        labels = np.asarray(None)
    if labels.dtype.kind not in "iu":
        raise TypeError(
            f"{requirement}, got {type(label_map).__name__} of {labels.dtype}. Make one with superpixels(x)."
        )
    if labels.shape != lengths and not (lengths[0] == 1 and labels.shape == lengths[1:]):
        raise ValueError(f"{requirement}, got shape {labels.shape}. Make one of the size of the input.")
    _, numbers = np.unique(labels, return_inverse=True)
    return torch.from_numpy(np.ascontiguousarray(numbers).reshape(lengths)).long()


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
        raise ValueError(f"compactness must be a number above 0, got {brief(compactness)}.")
    if not modality_of(x).planar:
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
