"""Pixel flipping: take away the most relevant patches first and watch f(x) fall.

The paper, section on explanation selectivity; Samek et al. 2017. Repeat { record f(x); find the patch with the highest
relevance; remove it }. Here the patches are ranked once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from lrp_widgets.engine.explainer import Contrast, Target, check_input, check_mode, resolve_target
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
) -> Curve:
    """The score of `target` while patches are set to the baseline, ranked once by the heatmap's sum in each.

    x: one input with its batch dimension, (1, channels, height, width) or (1, features).
    heatmap: (height, width), or (1, features); or relevance of the shape of x.
    patch: side of the square patches in pixels (features: how many in a row); the last ones may be smaller.
    baseline: what a removed pixel becomes, one number or one per channel.
    order: "most" relevant first, "least" first, or "random" (by `seed`).
    unit: "logit", or "probability" after a softmax over the classes.
    steps: how many scores to record after the first; all patches one by one where None.
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
) -> Iterator[Curve]:
    """The same curve as it grows: each yield can be painted, and the last is whole."""
    check_input(x)
    check_mode(model)
    picture = _as_picture(x)
    _one_of("order", order, ORDERS)
    _one_of("unit", unit, UNITS)
    _at_least_one("patch", patch)
    _at_least_one("batch", batch)
    if steps is not None:
        _at_least_one("steps", steps)
    scores = _patch_relevance(heatmap, picture, patch)
    if order == "random":
        rank = torch.from_numpy(np.random.default_rng(seed).permutation(scores.numel()))
    else:
        ranked = scores.flatten().argsort(descending=order == "most", stable=True)
        rank = torch.empty_like(ranked)
        rank[ranked] = torch.arange(len(ranked))
    counts = _counts(scores.numel(), steps)
    whole = _pixel_ranks(rank.reshape(scores.shape), picture, patch)
    done: list[Tensor] = []
    for chunk in counts.split(batch):
        flipped = _flipped(picture, whole, chunk, baseline).reshape(len(chunk), *x.shape[1:])
        done.append(_score(model, flipped, target, unit, x))
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
) -> Curve:
    """What removing patches at random does: the mean over `seeds` orders, with the band from lowest to highest."""
    _at_least_one("seeds", seeds)
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
        )
        for seed in range(seeds)
    ]
    values = np.stack([curve.values for curve in curves])
    return Curve(curves[0].removed, values.mean(0), "random", unit, values.min(0), values.max(0))


def _one_of(name: str, value: Any, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}, got {value!r}.")


def _at_least_one(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} must be a whole number, at least 1, got {value!r}.")


def _as_picture(x: Tensor) -> Tensor:
    """(1, channels, height, width): features become one row of pixels."""
    if x.ndim < 2 or len(x) != 1:
        raise ValueError(f"Pixel flipping takes one input with its batch dimension, got shape {tuple(x.shape)}.")
    return x if x.ndim == 4 else x.reshape(1, 1, 1, -1)


def _patch_relevance(heatmap: np.ndarray | Tensor, picture: Tensor, patch: int) -> Tensor:
    relevance = torch.as_tensor(np.asarray(heatmap.detach().cpu() if isinstance(heatmap, Tensor) else heatmap)).double()
    height, width = picture.shape[-2:]
    if relevance.numel() == picture.numel():
        relevance = relevance.reshape(picture.shape[1:]).sum(0)
    if relevance.numel() != height * width:
        raise ValueError(
            f"The heatmap must have one value a pixel ({height} x {width}), got shape {tuple(relevance.shape)}."
        )
    if not bool(torch.isfinite(relevance).all()):
        raise ValueError("The heatmap must be finite, got NaN or infinite values.")
    relevance = relevance.reshape(1, 1, height, width)
    window = (min(patch, height), patch)
    return functional.avg_pool2d(relevance, window, ceil_mode=True, divisor_override=1)[0, 0]


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


def _flipped(picture: Tensor, rank: Tensor, counts: Tensor, baseline: float | tuple[float, ...]) -> Tensor:
    gone = rank[None, None] < counts.to(picture.device)[:, None, None, None]
    value = torch.as_tensor(baseline, dtype=picture.dtype, device=picture.device).reshape(1, -1, 1, 1)
    if value.numel() not in (1, picture.shape[1]):
        raise ValueError(f"baseline must be one number or one per channel ({picture.shape[1]}), got {value.numel()}.")
    return torch.where(gone, value, picture)


def _score(model: nn.Module, inputs: Tensor, target: Target, unit: str, x: Tensor) -> Tensor:
    with torch.no_grad():
        scores = model(inputs)
        if scores.ndim == 1:
            scores = scores[:, None]
        chosen = resolve_target(target, model(x) if target is None else scores[:1])
        values = scores.softmax(1) if unit == "probability" else scores
    if isinstance(chosen, Contrast):
        return values[:, chosen.a] - values[:, chosen.b]
    return values[:, chosen[0]]
