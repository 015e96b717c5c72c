"""The heatmaps of a data set as comparable vectors: pooled over channels, shrunk, and divided by Σ|R|."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from lrp_widgets.concepts.checks import own_explainer
from lrp_widgets.concepts.layer_maps import batches, relevance_at, totals
from lrp_widgets.engine.propagation.explainer import Explainer
from lrp_widgets.engine.propagation.lrp import LRP
from lrp_widgets.engine.propagation.method import Method, never
from lrp_widgets.engine.propagation.propagate import Abandoned
from lrp_widgets.samples import Samples
from lrp_widgets.wording import brief

__all__ = ["heatmaps", "normalized", "rows_of_class"]

SIDE = 32  # a map is shrunk to at most so many places along each axis


def heatmaps(
    explainer: Explainer,
    samples: Samples,
    indices: Sequence[int],
    target: Any,
    method: Method | None = None,
    layer: str = "",
    batch: int = 32,
    abandoned: Callable[[], bool] = never,
) -> Iterator[Tensor]:
    """The map of each of these samples, batch by batch: (n, …), float64, each divided by its own Σ|R|.

    layer "": relevance of the input, added up over channels and shrunk to at most 32 places along each axis. Another
    layer: the relevance of each of its channels, (n, channels).
    """
    own, method = own_explainer(explainer), LRP() if method is None else method
    for rows in batches(len(indices), batch):
        if abandoned():
            raise Abandoned
        x = samples.inputs[list(indices[rows])]
        explanation = own.explain(x, target, method, abandoned)
        maps = totals(relevance_at(explanation, layer)) if layer else _shrunk(explanation.relevance, samples)
        yield normalized(maps)


def normalized(maps: Tensor) -> Tensor:
    """Each map divided by its Σ|R|; a map of zeros stays one. (ΣR may be near 0, and would explode.)"""
    sizes = maps.flatten(1).abs().sum(1)
    return maps / torch.where(sizes > 0, sizes, 1).reshape(-1, *[1] * len(maps.shape[1:]))


def _shrunk(relevance: Tensor, samples: Samples) -> Tensor:
    maps = samples.modality.grid(relevance.double()).sum(1)
    sizes = [min(SIDE, size) for size in maps.shape[1:]]
    if tuple(sizes) == tuple(maps.shape[1:]):
        return maps.cpu()
    pool = (functional.adaptive_avg_pool1d, functional.adaptive_avg_pool2d, functional.adaptive_avg_pool3d)
    return pool[len(sizes) - 1](maps[:, None], sizes)[:, 0].cpu()  # type: ignore[arg-type]


def rows_of_class(samples: Samples, target: Any) -> list[int]:
    """The samples that have this class as their label; all of them where there are no labels. Raises ValueError."""
    if samples.labels is None:
        return list(range(len(samples)))
    labels = torch.as_tensor(samples.labels)
    rows = (labels == target).nonzero().flatten().tolist()
    if not rows:
        there = ", ".join(map(str, labels.unique().tolist()[:20]))
        raise ValueError(f"No sample has the label {brief(target)}. The labels are: {there}.")
    return rows
