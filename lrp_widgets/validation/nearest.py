"""Explanation by example: the samples that lie nearest, by input, by activation or by relevance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lrp_widgets.concepts.checks import checked_count, checked_samples, own_explainer
from lrp_widgets.concepts.layer_maps import activations_at, batches
from lrp_widgets.engine.propagation.explainer import Explainer
from lrp_widgets.engine.propagation.method import Method, never
from lrp_widgets.samples import Samples
from lrp_widgets.validation.heatmaps import heatmaps
from lrp_widgets.wording import brief

__all__ = ["Nearest", "nearest"]

BY = ("input", "activation", "relevance")


@dataclass(frozen=True, eq=False)
class Nearest:
    """Samples near an input, the nearest first: their places among the samples, and how far they are (float64)."""

    by: str
    layer: str
    indices: Tensor
    distances: Tensor


def nearest(
    explainer: Explainer,
    samples: Samples,
    x: Tensor,
    by: str = "input",
    layer: str = "",
    count: int = 8,
    *,
    target: Any = None,
    method: Method | None = None,
    batch: int = 32,
    abandoned: Callable[[], bool] = never,
) -> Nearest:
    """The samples nearest to x.

    x: one input with its batch dimension.  by: "input", Euclidean distance of the inputs; "activation", of a layer's
    activations; "relevance", of the maps, each divided by its Σ|R|, for x's own top class or `target`.
    layer: of the activations, by default what enters the last layer; with "relevance" a layer compares its channels.
    Raises KeyError with the known names, TypeError or ValueError.
    """
    samples = checked_samples(samples)
    if by not in BY:
        raise ValueError(f"by must be one of {', '.join(map(repr, BY))}, got {brief(by)}.")
    checked_count("count", count, 10**6, "the samples that are shown")
    own = own_explainer(explainer)
    if not isinstance(x, Tensor) or x.shape != samples.inputs[:1].shape:
        got = tuple(x.shape) if isinstance(x, Tensor) else brief(x)
        raise ValueError(f"x must be one input of the shape {tuple(samples.inputs[:1].shape)}, got {got}.")
    if by == "input":
        own.scores(x)  # says what is wrong with it
        of_x, of_all = x, [samples.inputs[rows] for rows in batches(len(samples), batch)]
    elif by == "activation":
        layer = layer or _last_hidden(own, x)
        of_x = activations_at(own, x, layer)
        of_all = [activations_at(own, samples.inputs[rows], layer) for rows in batches(len(samples), batch)]
    else:
        wanted = int(own.scores(x).flatten().argmax()) if target is None else target
        one = Samples(x, low=samples.low, high=samples.high, modality=samples.modality)
        (of_x,) = heatmaps(own, one, [0], wanted, method, layer)
        of_all = list(heatmaps(own, samples, range(len(samples)), wanted, method, layer, batch, abandoned))
    distances = torch.cat([(part.double() - of_x.double()).flatten(1).norm(dim=1).cpu() for part in of_all])
    order = distances.sort(stable=True)
    return Nearest(by, layer, order.indices[:count], order.values[:count])


def _last_hidden(explainer: Explainer, x: Tensor) -> str:
    """The step that makes what enters the last layer. Raises ValueError where nothing is made in between."""
    tape = explainer.tape(x)
    last = next((step for step in reversed(tape.steps) if step.affine is not None), None)
    makers = [step.name for step in tape.steps if last is not None and last.inputs[0] in step.outputs]
    if not makers:
        raise ValueError("The model has no hidden layer to compare: name one, layer=…, or compare by input.")
    return makers[0]
