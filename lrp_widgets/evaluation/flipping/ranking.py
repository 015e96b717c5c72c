"""Which region goes first: the relevance of each, and the order that follows."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import dropwhile
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lrp_widgets.modalities import Modality, modality_of

__all__ = ["in_order", "relevance_of_regions"]


def relevance_of_regions(
    heatmap: Any,
    x: Tensor,
    picture: Tensor,
    labels: Tensor,
    pooling: str = "sum",
    modality: Modality | None = None,
) -> Tensor:
    """(regions,) float64: the relevance in each region, its sum or its mean a pixel.

    heatmap: one value a pixel, or relevance of the shape of x.  picture: x as the grid of its modality.
    Raises TypeError or ValueError where the heatmap is neither.
    """
    relevance = _per_pixel(heatmap, x, picture, modality or modality_of(x))
    total = torch.zeros(int(labels.max()) + 1, dtype=torch.float64)
    total.index_add_(0, labels.flatten(), relevance.flatten())
    return total / labels.flatten().bincount() if pooling == "mean" else total


def in_order(relevance: Tensor, order: str, seed: int = 0) -> Tensor:
    """(regions,) the regions in the order in which they go; ties go in reading order."""
    if order == "random":
        ranks = np.random.default_rng(seed).permutation(relevance.numel())
        return torch.from_numpy(ranks).argsort()
    return relevance.argsort(descending=order == "most", stable=True)


def _per_pixel(heatmap: Any, x: Tensor, picture: Tensor, modality: Modality) -> Tensor:
    try:
        relevance = torch.as_tensor(heatmap).detach().cpu()
    except (TypeError, ValueError, RuntimeError):
        relevance = None
    if relevance is None or relevance.is_complex():
        got = type(heatmap).__name__ if relevance is None else relevance.dtype
        raise TypeError(f"The heatmap must be an array or a tensor of real numbers, got {got}.")
    relevance = relevance.double()
    space = picture.shape[2:]
    shape = _without_ones(relevance.shape)
    if shape not in (_without_ones(x.shape), _without_ones(space)):
        element = "voxel" if len(space) > 2 else "pixel"
        raise ValueError(
            f"The heatmap must have one value a {element} ({' x '.join(map(str, space))}), or the shape of the input "
            f"{tuple(x.shape)}, got shape {tuple(relevance.shape)}."
        )
    if shape == _without_ones(x.shape):
        relevance = modality.grid(relevance.reshape(x.shape))[0].sum(0)
    if not bool(torch.isfinite(relevance).all()):
        raise ValueError("The heatmap must be finite, got NaN or infinite values.")
    return relevance.reshape(space)


def _without_ones(shape: Sequence[int]) -> tuple[int, ...]:
    """The shape from its first dimension that is not 1."""
    return tuple(dropwhile(lambda size: size == 1, shape))
