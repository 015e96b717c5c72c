"""Pixel flipping: take away the most relevant patches first and watch f(x) fall.

The paper, section on explanation selectivity; Samek et al. 2017. Repeat { record f(x); find the patch with the highest
relevance; remove it }. The patches are ranked once, or, where there is something to explain with, after each removal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lrp_widgets.engine.propagation.explainer import (
    Explainer,
    Output,
    check_mode,
    check_model,
    check_scores,
    check_weights,
)
from lrp_widgets.engine.propagation.target import Contrast, Target, resolve_target
from lrp_widgets.engine.trace.inputs import check_input
from lrp_widgets.engine.trace.tape import telling
from lrp_widgets.evaluation.checks import at_least, one_input, one_of
from lrp_widgets.evaluation.flipping.curve import ORDERS, Curve
from lrp_widgets.evaluation.flipping.ranking import in_order, relevance_of_regions
from lrp_widgets.evaluation.flipping.regions import regions_of
from lrp_widgets.evaluation.flipping.removal import Removal, removal_of
from lrp_widgets.modalities import modality_of

__all__ = ["band_of", "pixel_flipping", "random_flipping", "stream_flipping"]

UNITS = ("logit", "probability")
POOLINGS = ("sum", "mean")
Explain = Callable[[Tensor], Any]


def pixel_flipping(
    model: nn.Module,
    x: Tensor,
    heatmap: np.ndarray | Tensor,
    target: Target = None,
    *,
    patch: int = 4,
    baseline: float | tuple[float, ...] = 0.0,
    order: str = "most",
    unit: str = "logit",
    steps: int | None = None,
    batch: int = 64,
    seed: int = 0,
    output: Output = None,
    regions: Any = None,
    pooling: str = "sum",
    removal: Removal | str | None = None,
    explain: Explain | None = None,
) -> Curve:
    """The score of `target` while patches are taken away, ranked by the heatmap's sum in each.

    x: one input with its batch dimension, (1, channels, height, width) or (1, features).
    heatmap: (height, width), or (1, features); or relevance of the shape of x.
    patch: side of the square patches in pixels (features: how many in a row); the last ones may be smaller.
    regions: instead of patches, a label map (height, width), as `superpixels` makes one; shares are then of pixels.
    pooling: rank by the "sum" or by the "mean" of the relevance in each.
    removal: None sets pixels to the baseline; "mean", "blur", "noise", "imputation", or a setting of one of them.
    baseline: what a removed pixel becomes where `removal` is None, one number or one per channel.
    order: "most" relevant first, "least" first, or "random" (by `seed`).
    explain: makes a heatmap of what is left, to rank again after each recorded score; ranked once where None.
    unit: "logit", or "probability" after a softmax over the classes.
    steps: how many scores to record after the first; all patches one by one where None.
    output: which output to score where the model returns several, as in lw.Explainer.
    Raises ValueError or TypeError that names what is wrong.
    """
    curve = None
    for curve in stream_flipping(  # noqa: B007 - the last one is whole
        model,
        x,
        heatmap,
        target,
        patch=patch,
        baseline=baseline,
        order=order,
        unit=unit,
        steps=steps,
        batch=batch,
        seed=seed,
        output=output,
        regions=regions,
        pooling=pooling,
        removal=removal,
        explain=explain,
    ):
        pass
    assert curve is not None
    return curve


def stream_flipping(
    model: nn.Module,
    x: Tensor,
    heatmap: np.ndarray | Tensor,
    target: Target = None,
    *,
    patch: int = 4,
    baseline: float | tuple[float, ...] = 0.0,
    order: str = "most",
    unit: str = "logit",
    steps: int | None = None,
    batch: int = 64,
    seed: int = 0,
    output: Output = None,
    regions: Any = None,
    pooling: str = "sum",
    removal: Removal | str | None = None,
    explain: Explain | None = None,
) -> Iterator[Curve]:
    """The same curve as it grows: each yield can be painted, and the last is whole. To stop, ask for no more."""
    check_model("pixel_flipping", model)
    check_input(x)
    check_mode(model)
    one_input("Pixel flipping", x)
    modality = modality_of(x)
    picture = modality.grid(x)
    one_of("order", order, tuple(ORDERS))
    one_of("unit", unit, UNITS)
    one_of("pooling", pooling, POOLINGS)
    at_least(1, "patch", patch)
    at_least(1, "batch", batch)
    at_least(0, "seed", seed)
    if steps is not None:
        at_least(1, "steps", steps)
    if explain is not None and (order == "random" or not callable(explain)):
        raise ValueError(
            "explain must be a function that makes a heatmap of an input, and needs an order to rank by, "
            f"got {type(explain).__name__} with order={order!r}. Leave it out to rank once."
        )
    explainer = Explainer(model, output)
    explainer.check_draws(x)
    taken_by = removal_of(removal, baseline)
    taken_by.check(picture)
    height, width = picture.shape[2:]
    labels = modality.regions(x, patch) if regions is None else regions_of(regions, height, width)
    relevance = relevance_of_regions(heatmap, x, picture, labels, pooling)
    if target is None:  # a copy, for models that write in place
        with torch.no_grad():
            target = resolve_target(None, _scores(explainer, x.clone()))
    scene = _Scene(explainer, x, picture, labels, taken_by, target, unit)
    counts = _counts(relevance.numel(), steps)
    if explain is None:
        parts = _ranked_once(scene, in_order(relevance, order, seed), counts, batch)
    else:
        parts = _ranked_again(
            scene,
            relevance,
            order,
            counts,
            lambda left: relevance_of_regions(explain(left), x, picture, labels, pooling),
        )
    ranking = "in random order" if order == "random" else "ranked once" if explain is None else "ranked again each time"
    sizes = torch.ones_like(relevance) if regions is None else labels.flatten().bincount().double()
    values: list[float] = []
    for scores, gone in parts:
        values += scores
        share = (torch.cat([sizes.new_zeros(1), sizes[gone].cumsum(0)]) / sizes.sum())[counts[: len(values)]]
        yield Curve(
            share.numpy(),
            np.array(values),
            ORDERS[order],
            unit,
            ranking=ranking,
            removal=taken_by.caption,
            of="patches" if regions is None else "pixels",
        )


def random_flipping(
    model: nn.Module,
    x: Tensor,
    target: Target = None,
    *,
    patch: int = 4,
    baseline: float | tuple[float, ...] = 0.0,
    unit: str = "logit",
    steps: int | None = None,
    batch: int = 64,
    seeds: int = 8,
    output: Output = None,
    regions: Any = None,
    removal: Removal | str | None = None,
) -> Curve:
    """What removing patches at random does: the mean over `seeds` orders, with the band from lowest to highest."""
    check_input(x)
    at_least(1, "seeds", seeds)
    one_input("Pixel flipping", x)
    blank = np.zeros(tuple(modality_of(x).grid(x).shape[-2:]), dtype=np.float32)
    curves = [
        pixel_flipping(
            model,
            x,
            blank,
            target,
            patch=patch,
            baseline=baseline,
            order="random",
            unit=unit,
            steps=steps,
            batch=batch,
            seed=seed,
            output=output,
            regions=regions,
            removal=removal,
        )
        for seed in range(seeds)
    ]
    return band_of(curves, evenly=regions is not None)


def band_of(curves: Sequence[Curve], evenly: bool = False) -> Curve:
    """The mean of curves of random orders, with the band from lowest to highest.

    evenly: at even shares, for orders that each get to other ones (regions of several sizes).
    """
    one, values = curves[0], np.stack([curve.values for curve in curves])
    removed = one.removed
    if evenly:
        removed = np.linspace(0, 1, len(removed))
        values = np.stack([np.interp(removed, curve.removed, curve.values) for curve in curves])
    band = f"lowest and highest of {len(curves)} orders"
    low, high = values.min(0), values.max(0)
    return Curve(removed, values.mean(0), one.order, one.unit, low, high, one.ranking, one.removal, one.of, band)


@dataclass(frozen=True, eq=False)
class _Scene:
    """One input, the regions it is made of, and how it is scored without some of them."""

    explainer: Explainer
    x: Tensor
    picture: Tensor
    labels: Tensor
    removal: Removal
    target: Target
    unit: str

    def without(self, gone: Tensor) -> Tensor:
        """(n, …) inputs; gone: (n, regions), True where a region is missing."""
        pixels = gone[:, self.labels].to(self.picture.device)[:, None]
        return self.removal.removed(self.picture, pixels).reshape(len(gone), *self.x.shape[1:])

    def scores(self, gone: Tensor) -> list[float]:
        return _score(self.explainer, self.without(gone), self.target, self.unit).double().cpu().tolist()


def _ranked_once(scene: _Scene, order: Tensor, counts: Tensor, batch: int) -> Iterator[tuple[list[float], Tensor]]:
    """Scores chunk by chunk, and the regions in the order in which they go."""
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(order))
    for chunk in counts.split(batch):
        yield scene.scores(rank < chunk[:, None]), order


def _ranked_again(
    scene: _Scene, relevance: Tensor, order: str, counts: Tensor, explain: Callable[[Tensor], Tensor]
) -> Iterator[tuple[list[float], Tensor]]:
    """Score by score, ranking what is left before each removal."""
    gone = torch.zeros(1, len(relevance), dtype=torch.bool)
    went = torch.zeros(0, dtype=torch.long)
    yield scene.scores(gone), went
    for more in counts.diff().tolist():
        if len(went):
            # A copy, so that nothing that explains can change what is scored.
            relevance = explain(scene.without(gone).clone())
        ranked = in_order(relevance, order)
        went = torch.cat([went, ranked[~gone[0, ranked]][:more]])
        gone[0, went] = True
        yield scene.scores(gone), went


def _counts(regions: int, steps: int | None) -> Tensor:
    """How many regions are gone at each recorded score: 0 first, all last."""
    if steps is None or steps >= regions:
        return torch.arange(regions + 1)
    return torch.linspace(0, regions, steps + 1).round().long()


def _score(explainer: Explainer, inputs: Tensor, target: Target, unit: str) -> Tensor:
    with torch.no_grad():
        scores = _scores(explainer, inputs)
        chosen = resolve_target(target, scores[:1])
        values = scores.softmax(1) if unit == "probability" else scores
    if isinstance(chosen, Contrast):
        return values[:, chosen.a] - values[:, chosen.b]
    return values[:, chosen[0]]


def _scores(explainer: Explainer, inputs: Tensor) -> Tensor:
    """What the model answers, (rows, classes). Raises an error that names what is wrong with it."""
    with telling(explainer.model, (inputs,)):
        result = explainer.model(inputs)
    scores = explainer.select(result)
    if not bool(torch.isfinite(scores).all()):
        check_weights(explainer.model)
    check_scores(scores)
    return scores.reshape(len(scores), -1)
