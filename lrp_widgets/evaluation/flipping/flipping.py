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
    telling_of_tokens,
)
from lrp_widgets.engine.propagation.target import Contrast, Target, resolve_target
from lrp_widgets.engine.trace.inputs import copied, inputs_of
from lrp_widgets.engine.trace.tape import telling
from lrp_widgets.evaluation.checks import at_least
from lrp_widgets.evaluation.flipping.curve import ORDERS, Curve
from lrp_widgets.evaluation.flipping.ranking import in_order
from lrp_widgets.evaluation.flipping.segmentation import Segmentation, checked_input, segmentation_of
from lrp_widgets.evaluation.flipping.setting import Flipping
from lrp_widgets.evaluation.signatures import by_keyword, last

__all__ = ["band_of", "flipping_curves", "pixel_flipping", "probabilities", "random_flipping", "stream_flipping"]


def flipping_curves(model: nn.Module, x: Any, heatmap: Any, target: Target, setting: Flipping) -> Iterator[Curve]:
    """The curve of `setting` as it grows; the last yield is the whole curve. For the arguments see pixel_flipping."""
    check_model("pixel_flipping", model)
    inputs = inputs_of(x)
    check_mode(model)
    explainer = Explainer(model, setting.output)
    checked_input("Pixel flipping", inputs)
    explainer.check_draws(inputs)
    segmentation = segmentation_of(explainer, inputs, setting)
    explain = setting.explain
    relevance = segmentation.relevance(heatmap, setting.pooling)
    if target is None:
        with torch.no_grad():
            target = resolve_target(None, _scores(explainer, copied(inputs).form))
    scorer = _Scorer(explainer, segmentation, target, setting.unit)
    counts = _counts(relevance.numel(), setting.steps)
    if explain is None:
        order = in_order(relevance, setting.order, setting.seed)
        steps = _ranked_once(scorer, order, counts, setting.batch)
    else:
        steps = _ranked_again(
            scorer,
            relevance,
            setting.order,
            counts,
            lambda left: segmentation.relevance(explain(left), setting.pooling),
        )
    sizes = segmentation.sizes
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
            removal=segmentation.caption,
            of="patches" if segmentation.whole else "pixels",
        )


@by_keyword(Flipping)
def pixel_flipping(model: nn.Module, x: Any, heatmap: Any, target: Target, setting: Flipping) -> Curve:
    """The score of `target` while patches are taken away, ranked by the heatmap's sum in each.

    x: one input with its batch dimension: a picture (1, channels, height, width), a volume, a signal (1, channels,
    samples), features or tokens; or several of them in a tuple or dict, as the model takes them. What is neither
    floating point nor looked up by an embedding stays as it is, and so does a tensor of tokens without that `token`.
    heatmap: (height, width), or (1, features); or relevance of the shape and form of x.
    target: a class, a contrast, or None for the class with the highest score.
    The keyword arguments are the fields of Flipping, where each is described:
    patch, baseline, order, unit, steps, batch, seed, output, regions, pooling, removal, explain, modality, token.
    Raises ValueError or TypeError that names what is wrong.
    """
    return last(flipping_curves(model, x, heatmap, target, setting))


@by_keyword(Flipping)
def stream_flipping(model: nn.Module, x: Any, heatmap: Any, target: Target, setting: Flipping) -> Iterator[Curve]:
    """The same curve as it grows: each yield can be painted, and the last is whole. To stop, ask for no more."""
    return flipping_curves(model, x, heatmap, target, setting)


def random_flipping(model: nn.Module, x: Any, target: Target = None, *, seeds: int = 8, **setting: Any) -> Curve:
    """What removing patches at random does: the mean over `seeds` orders, with the band from lowest to highest.

    setting: fields of Flipping but for `order` and `seed`.
    """
    inputs = inputs_of(x)
    at_least(1, "seeds", seeds)
    blank = inputs.like([np.zeros(tuple(tensor.shape), dtype=np.float32) for tensor in inputs.tensors])
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
    """One input in regions, and how it is scored without some of them."""

    explainer: Explainer
    segmentation: Segmentation
    target: Target
    unit: str

    def scores(self, gone: Tensor) -> list[float]:
        """f without some regions; gone: (n, regions), True where one is missing."""
        parts = [_score(self.explainer, left, self.target, self.unit) for left in self.segmentation.without(gone)]
        return torch.cat(parts).double().cpu().tolist()


def _ranked_once(scorer: _Scorer, order: Tensor, counts: Tensor, batch: int) -> Iterator[tuple[list[float], Tensor]]:
    """Scores chunk by chunk, and the regions in the order in which they go."""
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(order))
    for chunk in counts.split(batch):
        yield scorer.scores(rank < chunk[:, None]), order


def _ranked_again(
    scorer: _Scorer, relevance: Tensor, order: str, counts: Tensor, explain: Callable[[Any], Tensor]
) -> Iterator[tuple[list[float], Tensor]]:
    """Score by score, ranking what is left before each removal."""
    gone = torch.zeros(1, len(relevance), dtype=torch.bool)
    went = torch.zeros(0, dtype=torch.long)
    yield scorer.scores(gone), went
    for more in counts.diff().tolist():
        if len(went):
            # A copy, so that nothing that explains can change what is scored.
            (left,) = scorer.segmentation.without(gone)
            relevance = explain(copied(inputs_of(left)).form)
        ranked = in_order(relevance, order)
        went = torch.cat([went, ranked[~gone[0, ranked]][:more]])
        gone[0, went] = True
        yield scorer.scores(gone), went


def _counts(regions: int, steps: int | None) -> Tensor:
    """How many regions are gone at each recorded score: 0 first, all last."""
    if steps is None or steps >= regions:
        return torch.arange(regions + 1)
    return torch.linspace(0, regions, steps + 1).round().long()


def _score(explainer: Explainer, inputs: Any, target: Target, unit: str) -> Tensor:
    with torch.no_grad():
        scores = _scores(explainer, inputs)
        chosen = resolve_target(target, scores[:1])
        values = probabilities(scores) if unit == "probability" else scores
    if isinstance(chosen, Contrast):
        return values[:, chosen.a] - values[:, chosen.b]
    return values[:, chosen[0]]


def probabilities(scores: Tensor) -> Tensor:
    """Scores (rows, classes) after a softmax; a single output is a logit, whose probability is its sigmoid."""
    return scores.softmax(1) if scores.shape[1] > 1 else scores.sigmoid()


def _scores(explainer: Explainer, x: Any) -> Tensor:
    """What the model answers, (rows, classes). Raises an error that names what is wrong with it."""
    inputs = inputs_of(x)
    with telling(explainer.model, inputs), telling_of_tokens(explainer.model, inputs):
        result = inputs.call(explainer.model)
    scores = explainer.select(result)
    if not bool(torch.isfinite(scores).all()):
        check_weights(explainer.model)
    check_scores(scores)
    return scores.reshape(len(scores), -1)
