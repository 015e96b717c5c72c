"""Pixel flipping: take away the most relevant patches first and watch f(x) fall.

The paper, section on explanation selectivity; Samek et al. 2017. Repeat { record f(x); find the patch with the highest
relevance; remove it }. Here the patches are ranked once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import dropwhile
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from lrp_widgets.engine.bounds import checked_bound
from lrp_widgets.engine.explainer import (
    Contrast,
    Explainer,
    Output,
    Target,
    check_mode,
    check_model,
    check_scores,
    check_weights,
    resolve_target,
)
from lrp_widgets.engine.inputs import check_input
from lrp_widgets.engine.tape import telling
from lrp_widgets.evaluation.curve import Curve

__all__ = ["pixel_flipping", "random_flipping", "stream_flipping"]

ORDERS = ("most", "least", "random")
UNITS = ("logit", "probability")


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
) -> Curve:
    """The score of `target` while patches are set to the baseline, ranked once by the heatmap's sum in each.

    x: one input with its batch dimension, (1, channels, height, width) or (1, features).
    heatmap: (height, width), or (1, features); or relevance of the shape of x.
    patch: side of the square patches in pixels (features: how many in a row); the last ones may be smaller.
    baseline: what a removed pixel becomes, one number or one per channel.
    order: "most" relevant first, "least" first, or "random" (by `seed`).
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
) -> Iterator[Curve]:
    """The same curve as it grows: each yield can be painted, and the last is whole."""
    check_model("pixel_flipping", model)
    check_input(x)
    check_mode(model)
    picture = _as_picture(x)
    _one_of("order", order, ORDERS)
    _one_of("unit", unit, UNITS)
    _at_least(1, "patch", patch)
    _at_least(1, "batch", batch)
    _at_least(0, "seed", seed)
    if steps is not None:
        _at_least(1, "steps", steps)
    explainer = Explainer(model, output)
    explainer.check_draws(x)
    removed_pixel = _as_pixel(baseline, picture)
    scores = _patch_relevance(heatmap, picture, patch, x)
    if order == "random":
        rank = torch.from_numpy(np.random.default_rng(seed).permutation(scores.numel()))
    else:
        ranked = scores.flatten().argsort(descending=order == "most", stable=True)
        rank = torch.empty_like(ranked)
        rank[ranked] = torch.arange(len(ranked))
    counts = _counts(scores.numel(), steps)
    whole = _pixel_ranks(rank.reshape(scores.shape), picture, patch)
    if target is None:  # a copy, for models that write in place
        with torch.no_grad():
            target = resolve_target(None, _scores(explainer, x.clone()))
    done: list[Tensor] = []
    for chunk in counts.split(batch):
        flipped = _flipped(picture, whole, chunk, removed_pixel).reshape(len(chunk), *x.shape[1:])
        done.append(_score(explainer, flipped, target, unit))
        values = torch.cat(done).double().cpu().numpy()
        removed = counts[: len(values)].numpy() / scores.numel()
        yield Curve(
            removed, values, {"most": "most relevant first", "least": "least relevant first"}.get(order, order), unit
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
) -> Curve:
    """What removing patches at random does: the mean over `seeds` orders, with the band from lowest to highest."""
    check_input(x)
    _at_least(1, "seeds", seeds)
    blank = np.zeros(tuple(_as_picture(x).shape[-2:]), dtype=np.float32)
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
        )
        for seed in range(seeds)
    ]
    values = np.stack([curve.values for curve in curves])
    return Curve(curves[0].removed, values.mean(0), "random", unit, values.min(0), values.max(0))


def _one_of(name: str, value: Any, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}, got {value!r}.")


def _at_least(least: int, name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name} must be a whole number, at least {least}, got {value!r}.")


def _as_picture(x: Tensor) -> Tensor:
    """(1, channels, height, width): features become one row of pixels."""
    if x.ndim < 2 or len(x) != 1:
        raise ValueError(
            f"Pixel flipping takes one input with its batch dimension, got shape {tuple(x.shape)}. "
            "Take one with x[i : i + 1]."
        )
    return x if x.ndim == 4 else x.reshape(1, 1, 1, -1)


def _patch_relevance(heatmap: np.ndarray | Tensor, picture: Tensor, patch: int, x: Tensor) -> Tensor:
    try:
        relevance = torch.as_tensor(heatmap).detach().cpu()
    except (TypeError, ValueError, RuntimeError):
        relevance = None
    if relevance is None or relevance.is_complex():
        got = type(heatmap).__name__ if relevance is None else relevance.dtype
        raise TypeError(f"The heatmap must be an array or a tensor of real numbers, got {got}.")
    relevance = relevance.double()
    height, width = picture.shape[-2:]
    shape = _without_ones(relevance.shape)
    if shape not in (_without_ones(x.shape), _without_ones((height, width))):
        raise ValueError(
            f"The heatmap must have one value a pixel ({height} x {width}), or the shape of the input "
            f"{tuple(x.shape)}, got shape {tuple(relevance.shape)}."
        )
    if shape == _without_ones(x.shape):
        relevance = relevance.reshape(picture.shape[1:]).sum(0)
    if not bool(torch.isfinite(relevance).all()):
        raise ValueError("The heatmap must be finite, got NaN or infinite values.")
    relevance = relevance.reshape(1, 1, height, width)
    window = (min(patch, height), patch)
    return functional.avg_pool2d(relevance, window, ceil_mode=True, divisor_override=1)[0, 0]


def _without_ones(shape: Sequence[int]) -> tuple[int, ...]:
    """The shape from its first dimension that is not 1."""
    return tuple(dropwhile(lambda size: size == 1, shape))


def _as_pixel(baseline: Any, picture: Tensor) -> Tensor:
    """What a removed pixel becomes, so that it broadcasts against the picture."""
    bound = checked_bound("pixel_flipping", "baseline", baseline)
    value = torch.tensor(bound, dtype=picture.dtype, device=picture.device).reshape(1, -1, 1, 1)
    if value.numel() not in (1, picture.shape[1]):
        raise ValueError(
            f"pixel_flipping.baseline must be one number or one per channel ({picture.shape[1]}), got {value.numel()}."
        )
    return value


def _counts(patches: int, steps: int | None) -> Tensor:
    """How many patches are gone at each recorded score: 0 first, all last."""
    if steps is None or steps >= patches:
        return torch.arange(patches + 1)
    return torch.linspace(0, patches, steps + 1).round().long()


def _pixel_ranks(rank: Tensor, picture: Tensor, patch: int) -> Tensor:
    """At which step each pixel goes."""
    height, width = picture.shape[-2:]
    spread = rank.repeat_interleave(min(patch, height), 0).repeat_interleave(patch, 1)
    return spread[:height, :width].to(picture.device)


def _flipped(picture: Tensor, rank: Tensor, counts: Tensor, removed_pixel: Tensor) -> Tensor:
    gone = rank[None, None] < counts.to(picture.device)[:, None, None, None]
    return torch.where(gone, removed_pixel, picture)


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
