"""Continuity: how far the explanation of nearly the same input is from the explanation of this one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lrp_widgets.engine.propagation.explainer import Explainer, Output
from lrp_widgets.engine.propagation.method import Method
from lrp_widgets.engine.propagation.target import Contrast, Target, resolve_target
from lrp_widgets.engine.rules.bounds import checked_bound
from lrp_widgets.engine.trace.inputs import check_input
from lrp_widgets.evaluation.checks import at_least, fresh_explainer, one_input, one_tensor
from lrp_widgets.evaluation.continuity.neighbourhoods import Between, Neighbourhood, neighbourhood_of
from lrp_widgets.evaluation.signatures import last, result_of
from lrp_widgets.modalities import Modality, checked_modality

__all__ = ["AllTheSame", "ContinuityPath", "continuity", "distances", "stream_continuity", "walk"]


class AllTheSame(ValueError):
    """No two inputs of a path differ: there is no distance to divide by."""


@dataclass(frozen=True, eq=False)
class ContinuityPath:
    """The explanations of an input and of those near it.

    places: (n,) where they lie, in the unit of `kind`.  inputs, relevance: (n, …) in the shape of x without its batch.
    scores: (n,) f there, always of the class of x.
    ratios: (n − 1,) ‖R(x) − R(x')‖₁ / ‖x − x'‖₂ of each and the one before it (of each and the first, where
    kind.around), in units of f a unit of x; NaN where the two inputs are the same.
    jump: a ratio above this many medians is a jump.
    """

    kind: Neighbourhood
    places: np.ndarray
    inputs: np.ndarray
    relevance: np.ndarray
    scores: np.ndarray
    ratios: np.ndarray
    jump: float = 10.0

    @property
    def value(self) -> float:
        """max ‖R(x) − R(x')‖₁ / ‖x − x'‖₂: low is continuous. NaN while no two inputs differ."""
        return float(self.running[-1]) if len(self.ratios) else float("nan")

    @property
    def running(self) -> np.ndarray:
        """(n − 1,) the largest ratio so far."""
        return np.fmax.accumulate(self.ratios) if len(self.ratios) else self.ratios

    @property
    def median(self) -> float:
        """Of the ratios; NaN while there are none."""
        finite = self.ratios[~np.isnan(self.ratios)]
        return float(np.median(finite)) if len(finite) else float("nan")

    @property
    def jumps(self) -> tuple[int, ...]:
        """Where a ratio is above `jump` medians: i lies between inputs i and i + 1 (0 and i + 1, where kind.around)."""
        with np.errstate(invalid="ignore"):
            return tuple(np.flatnonzero(self.ratios > self.jump * self.median).tolist())


def stream_continuity(
    model: nn.Module | Explainer,
    x: Tensor,
    method: Method | None = None,
    target: Target = None,
    *,
    kind: Neighbourhood | str = "translation",
    other: Tensor | None = None,
    fill: float | tuple[float, ...] = 0.0,
    jump: float = 10.0,
    batch: int = 8,
    output: Output = None,
    modality: Modality | str | None = None,
) -> Iterator[ContinuityPath]:
    """The same path as it grows: each yield can be painted, and the last is whole. To stop, ask for no more."""
    explainer = fresh_explainer("continuity", model, output)
    one_tensor("continuity", explainer.model, x)
    one_input("continuity", x)
    at_least(1, "batch", batch)
    if isinstance(jump, bool) or not isinstance(jump, int | float) or not jump > 0:
        raise ValueError(f"jump must be a number above 0, got {jump!r}.")
    near = neighbourhood_of(kind)
    what = checked_modality(modality, x, "continuity")
    if near.picture and not what.planar:
        raise ValueError(
            f"{type(near).__name__} needs a picture (1, channels, height, width), got shape {tuple(x.shape)}. "
            'Take kind="noise" or "brightness".'
        )
    other = _checked_other(near, other, x)
    edge = torch.tensor(checked_bound("continuity", "fill", fill), dtype=x.dtype, device=x.device)
    channels = x.shape[what.channel_axis]
    if edge.numel() not in (1, channels):
        raise ValueError(
            f"continuity.fill must be one number or one per channel ({channels}), got {edge.numel()}. Give one."
        )
    edge = edge.reshape([-1 if axis == what.channel_axis else 1 for axis in range(x.ndim)]) if edge.ndim else edge
    x = x.detach()
    chosen = resolve_target(target, explainer.scores(x))
    yield from walk(explainer, method, chosen, near, near.inputs(x, edge, other), jump=float(jump), batch=batch)


@result_of(stream_continuity)
def continuity(steps: Iterator[ContinuityPath]) -> ContinuityPath:
    """max over x' near x of ‖R(x) − R(x')‖₁ / ‖x − x'‖₂: low is continuous.

    x: one floating-point input with its batch dimension.  method, target: as in Explainer.explain; the class of x is
    explained all the way.
    kind: "translation" (the paper's), "noise", "rotation", "brightness", "between" (x and `other`), or a setting.
    fill: what comes in from outside a picture that is moved, one number or one per channel.
    jump: how many medians of the ratios make a jump.  batch: how many are explained at a time.
    modality: what x is, one of modalities.MODALITIES by name or value; guessed from its shape where None.
    Raises TypeError or ValueError that names what is wrong. The paper, section on explanation continuity.
    """
    return last(steps)


def walk(
    explainer: Explainer,
    method: Method | None,
    target: tuple[int, ...] | Contrast,
    near: Neighbourhood,
    points: Iterator[Tensor],
    *,
    jump: float = 10.0,
    batch: int = 8,
) -> Iterator[ContinuityPath]:
    """The path over `points`, the inputs of `near`, with an Explainer that remembers them for the next method."""
    places = near.places()
    inputs: list[np.ndarray] = []
    relevance: list[np.ndarray] = []
    scores: list[float] = []
    ratios: list[float] = []
    while part := list(islice(points, batch)):
        classes = target if isinstance(target, Contrast) else target * len(part)
        explanation = explainer.explain(torch.cat(part), classes, method)
        scores += explanation.explained.tolist()
        for one, r in zip(part, explanation.relevance, strict=True):
            inputs.append(_array(one[0]))
            relevance.append(_array(r))
            if len(inputs) > 1:
                before = 0 if near.around else -2
                ratios.append(_ratio(inputs[-1], inputs[before], relevance[-1], relevance[before]))
        done = len(inputs)
        if done == len(places) and np.isnan(ratios).all():
            raise AllTheSame(
                f"continuity needs inputs that differ, and all {done} of {near} are the same. "
                "Choose another kind, or one that reaches further."
            )
        yield ContinuityPath(
            near, places[:done], np.stack(inputs), np.stack(relevance), np.array(scores), np.array(ratios), jump
        )


def distances(x: np.ndarray, other: np.ndarray, r: np.ndarray, r_other: np.ndarray) -> tuple[float, float]:
    """‖R(x) − R(x')‖₁ and ‖x − x'‖₂: how far the map moves, and how far the input does."""
    return float(np.abs(r - r_other).sum()), float(np.sqrt(np.square(x - other).sum()))


def _ratio(x: np.ndarray, before: np.ndarray, r: np.ndarray, r_before: np.ndarray) -> float:
    moved, apart = distances(x, before, r, r_before)
    return moved / apart if apart > 0 else float("nan")


def _array(t: Tensor) -> np.ndarray:
    return t.detach().double().cpu().numpy()


def _checked_other(near: Neighbourhood, other: Any, x: Tensor) -> Tensor | None:
    if not isinstance(near, Between):
        if other is not None:
            raise ValueError(f'other is where a way from x ends, and {near} has none. Take kind="between".')
        return None
    if other is None:
        raise ValueError('kind="between" needs the input where the way ends. Give other=…, of the shape of x.')
    check_input(other)
    if other.shape != x.shape:
        raise ValueError(f"other must have the shape of x, {tuple(x.shape)}, got {tuple(other.shape)}.")
    return other.detach().to(x)
