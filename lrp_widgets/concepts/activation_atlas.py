"""Activation atlas: the activations of many samples in a plane, and the mean of each cell of a grid over it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lrp_widgets.concepts.checks import checked_count, checked_samples, checked_seed, own_explainer
from lrp_widgets.concepts.layer_maps import activations_at, batches, relevance_at
from lrp_widgets.concepts.plane import NEIGHBOURLY, neighbourly
from lrp_widgets.engine.propagation.explainer import Explainer
from lrp_widgets.engine.propagation.lrp import LRP
from lrp_widgets.engine.propagation.method import never
from lrp_widgets.engine.propagation.propagate import Abandoned
from lrp_widgets.samples import Samples
from lrp_widgets.wording import brief

__all__ = ["ActivationAtlas", "AtlasCell", "activation_atlas"]

EMBEDDINGS = ("pca", "tsne", "umap")
MOST_GRID = 100


@dataclass(frozen=True, eq=False)
class AtlasCell:
    """A square of the plane and the activations that lie in it.

    row, column: its place in the grid, from the top left.  members: which of the atlas's points.
    samples: the samples that these come from, each once.  direction: their mean activation, (channels,).
    relevance: their mean relevance for the atlas's target, None where it has none.
    """

    row: int
    column: int
    members: tuple[int, ...]
    samples: tuple[int, ...]
    direction: Tensor
    relevance: float | None


@dataclass(frozen=True, eq=False)
class ActivationAtlas:
    """Points of a layer in a plane.

    embedding: (points, 2), each axis from 0 to 1; rows of the grid count from the top, where the second one is 1.
    activations: (points, channels).  samples: the sample of each point.  positions: its place in the layer, flat.
    relevance: of each point for the target, (points,), or None.  cells: those with members, row by row.
    """

    layer: str
    by: str
    embedding: Tensor
    activations: Tensor
    samples: Tensor
    positions: Tensor
    relevance: Tensor | None
    cells: tuple[AtlasCell, ...]


def activation_atlas(
    explainer: Explainer,
    samples: Samples,
    layer: str,
    *,
    by: str = "pca",
    grid: int = 10,
    target: Any = None,
    per_sample: int = 1,
    method: LRP | None = None,
    batch: int = 32,
    seed: int = 0,
    abandoned: Callable[[], bool] = never,
) -> ActivationAtlas:
    """Lay out what a layer answers to all samples, so that alike activations lie together.

    by: "pca", "tsne", or "umap" where umap-learn is installed.  grid: cells along each side.
    target: a class or lw.contrast(a, b) whose relevance colours the cells; None for no colour.
    per_sample: how many positions of each sample, drawn at random; a layer without positions has one.
    Carter et al. 2019. What the explainer remembers is left alone. The same seed gives the same atlas.
    Raises KeyError with the known names, ImportError, TypeError, ValueError or Abandoned.
    """
    if by not in EMBEDDINGS:
        raise ValueError(f"by must be one of {', '.join(map(repr, EMBEDDINGS))}, got {brief(by)}.")
    checked_samples(samples)
    for name, value, most in (("grid", grid, MOST_GRID), ("per_sample", per_sample, 10**4), ("batch", batch, 10**6)):
        checked_count(name, value, most, "what an atlas can show")
    checked_seed(seed)
    own, draw = own_explainer(explainer), torch.Generator().manual_seed(seed)
    activations, of_samples, positions, relevances = (list[Tensor]() for _ in range(4))
    for rows in batches(len(samples), batch):
        if abandoned():
            raise Abandoned
        x = samples.inputs[rows]
        maps = activations_at(own, x, layer)
        maps = maps.reshape(*maps.shape[:2], -1)
        places = _places(len(x), maps.shape[2], per_sample, draw)
        index = torch.arange(len(x))[:, None].expand_as(places)
        activations.append(maps.movedim(1, 2)[index, places].flatten(0, 1).cpu())
        of_samples.append(index.flatten() + rows.start)
        positions.append(places.flatten())
        if target is not None:
            explanation = own.explain(x, target, LRP() if method is None else method, abandoned)
            of_places = relevance_at(explanation, layer).double().sum(1).reshape(len(x), -1).cpu()
            relevances.append(of_places[index, places].flatten())
    points, sources = torch.cat(activations), torch.cat(of_samples)
    relevance = torch.cat(relevances) if relevances else None
    if not bool(torch.isfinite(points).all()):
        raise ValueError(f"The activations of {layer!r} are not finite: they have no place in a plane.")
    embedding = _embedded(points, by, seed)
    cells = _cells(embedding, points, sources, relevance, grid)
    return ActivationAtlas(layer, by, embedding, points, sources, torch.cat(positions), relevance, cells)


def _places(rows: int, positions: int, per_sample: int, draw: torch.Generator) -> Tensor:
    """Which positions of each row are taken, without taking one twice: (rows, at most per_sample)."""
    return torch.rand(rows, positions, generator=draw).argsort(1)[:, :per_sample]


def _embedded(activations: Tensor, by: str, seed: int) -> Tensor:
    """(points, 2), each axis from 0 to 1."""
    numbers = activations.double().numpy()
    if len(numbers) < 3 or not float(np.ptp(numbers, axis=0).max()):
        plane = np.zeros((len(numbers), 2))
        plane[:, 0] = np.arange(len(numbers))
    elif by in NEIGHBOURLY:
        plane = neighbourly(numbers, by, seed)
    else:
        from sklearn.decomposition import PCA

        plane = PCA(min(2, *numbers.shape), svd_solver="full").fit_transform(numbers)
        plane = np.pad(plane, ((0, 0), (0, 2 - plane.shape[1])))
    low, size = plane.min(0), np.ptp(plane, axis=0)
    return torch.from_numpy((plane - low) / np.where(size > 0, size, 1)).double()


def _cells(
    embedding: Tensor, activations: Tensor, samples: Tensor, relevance: Tensor | None, grid: int
) -> tuple[AtlasCell, ...]:
    columns = (embedding[:, 0] * grid).long().clamp(max=grid - 1)
    rows = grid - 1 - (embedding[:, 1] * grid).long().clamp(max=grid - 1)
    cells = []
    for place in (rows * grid + columns).unique().tolist():
        members = (rows * grid + columns == place).nonzero().flatten()
        mean = None if relevance is None else float(relevance[members].mean())
        of = tuple(dict.fromkeys(samples[members].tolist()))
        row, column = divmod(place, grid)
        cells.append(AtlasCell(row, column, tuple(members.tolist()), of, activations[members].mean(0), mean))
    return tuple(cells)
