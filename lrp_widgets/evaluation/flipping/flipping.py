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
    check_mode,
    check_model,
    check_scores,
    check_weights,
)
from lrp_widgets.engine.propagation.target import Contrast, Target, resolve_target
from lrp_widgets.engine.trace.inputs import check_input
from lrp_widgets.engine.trace.tape import telling
from lrp_widgets.evaluation.checks import at_least, one_input
from lrp_widgets.evaluation.flipping.curve import ORDERS, Curve
from lrp_widgets.evaluation.flipping.ranking import in_order, relevance_of_regions
from lrp_widgets.evaluation.flipping.regions import regions_of
from lrp_widgets.evaluation.flipping.removal import Removal
from lrp_widgets.evaluation.flipping.setting import Flipping
from lrp_widgets.evaluation.signatures import by_keyword, last
from lrp_widgets.modalities import modality_of

__all__ = ["band_of", "flipping_curves", "pixel_flipping", "random_flipping", "stream_flipping"]


def flipping_curves(
    model: nn.Module, x: Tensor, heatmap: np.ndarray | Tensor, target: Target, setting: Flipping
) -> Iterator[Curve]:
    """The curve of `setting` as it grows; the last yield is the whole curve. For the arguments see pixel_flipping."""
    check_model("pixel_flipping", model)
    check_input(x)
    check_mode(model)
    one_input("Pixel flipping", x)
    modality = modality_of(x)
    picture = modality.grid(x)
    explainer = Explainer(model, setting.output)
    explainer.check_draws(x)
    removal, explain = setting.replacement, setting.explain
    removal.check(picture)
    height, width = picture.shape[2:]
    whole = setting.regions is None
    labels = modality.regions(x, setting.patch) if whole else regions_of(setting.regions, height, width)

    def relevance_in_regions(heatmap: Any) -> Tensor:
        return relevance_of_regions(heatmap, x, picture, labels, setting.pooling)

    relevance = relevance_in_regions(heatmap)
    if target is None:  # on a copy, because some models write in place
        with torch.no_grad():
            target = resolve_target(None, _scores(explainer, x.clone()))
    scorer = _Scorer(explainer, x, picture, labels, removal, target, setting.unit)
    counts = _counts(relevance.numel(), setting.steps)
    if explain is None:
        order = in_order(relevance, setting.order, setting.seed)
        steps = _ranked_once(scorer, order, counts, setting.batch)
    else:
        steps = _ranked_again(
            scorer, relevance, setting.order, counts, lambda left: relevance_in_regions(explain(left))
        )
    sizes = torch.ones_like(relevance) if whole else labels.flatten().bincount().double()
    values: list[float] = []
    for scores, gone in steps:
        values += scores
        share = (torch.cat([sizes.new_zeros(1), sizes[gone].cumsum(0)]) / sizes.sum())[counts[: len(values)]]
        yield Curve(
            share.numpy(),
            np.array(values),
            ORDERS[setting.order],
            setting.unit,
            ranking=setting.ranking,
            removal=removal.caption,
            of="patches" if whole else "pixels",
        )


@by_keyword(Flipping)
def pixel_flipping(
    model: nn.Module, x: Tensor, heatmap: np.ndarray | Tensor, target: Target, setting: Flipping
) -> Curve:
    """The score of `target` while patches are taken away, ranked by the heatmap's sum in each.

    x: one input with its batch dimension, (1, channels, height, width) or (1, features).
    heatmap: (height, width), or (1, features); or relevance of the shape of x.
    target: a class, a contrast, or None for the class with the highest score.
    The keyword arguments are the fields of Flipping, where each is described:
    patch, baseline, order, unit, steps, batch, seed, output, regions, pooling, removal, explain.
    Raises ValueError or TypeError that names what is wrong.
    """
    return last(flipping_curves(model, x, heatmap, target, setting))


@by_keyword(Flipping)
def stream_flipping(
    model: nn.Module, x: Tensor, heatmap: np.ndarray | Tensor, target: Target, setting: Flipping
) -> Iterator[Curve]:
    """The same curve as it grows: each yield can be painted, and the last is whole. To stop, ask for no more."""
    return flipping_curves(model, x, heatmap, target, setting)


def random_flipping(model: nn.Module, x: Tensor, target: Target = None, *, seeds: int = 8, **setting: Any) -> Curve:
    """What removing patches at random does: the mean over `seeds` orders, with the band from lowest to highest.

    setting: fields of Flipping but for `order` and `seed`.
    """
    check_input(x)
    at_least(1, "seeds", seeds)
    one_input("Pixel flipping", x)
    blank = np.zeros(tuple(modality_of(x).grid(x).shape[-2:]), dtype=np.float32)
    orders = [Flipping(order="random", seed=seed, **setting) for seed in range(seeds)]
    curves = [last(flipping_curves(model, x, blank, target, order)) for order in orders]
    return band_of(curves, evenly=setting.get("regions") is not None)


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
class _Scorer:
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


def _ranked_once(scorer: _Scorer, order: Tensor, counts: Tensor, batch: int) -> Iterator[tuple[list[float], Tensor]]:
    """Scores chunk by chunk, and the regions in the order in which they go."""
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(order))
    for chunk in counts.split(batch):
        yield scorer.scores(rank < chunk[:, None]), order


def _ranked_again(
    scorer: _Scorer, relevance: Tensor, order: str, counts: Tensor, explain: Callable[[Tensor], Tensor]
) -> Iterator[tuple[list[float], Tensor]]:
    """Score by score, ranking what is left before each removal."""
    gone = torch.zeros(1, len(relevance), dtype=torch.bool)
    went = torch.zeros(0, dtype=torch.long)
    yield scorer.scores(gone), went
    for more in counts.diff().tolist():
        if len(went):
            # A copy, so that nothing that explains can change what is scored.
            relevance = explain(scorer.without(gone).clone())
        ranked = in_order(relevance, order)
        went = torch.cat([went, ranked[~gone[0, ranked]][:more]])
        gone[0, went] = True
        yield scorer.scores(gone), went


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
