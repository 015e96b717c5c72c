"""Counterfactual: the smallest change of an input that takes a model to another class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lrp_widgets.concepts.checks import checked_count, own_explainer
from lrp_widgets.engine.propagation.explainer import Explainer
from lrp_widgets.engine.trace.inputs import check_input
from lrp_widgets.wording import brief

__all__ = ["Counterfactual", "counterfactual"]

HALVINGS = 60  # of the interval of the multiplier, which is more than float64 can tell apart
CLOSE = 1e-6  # to the boundary, in shares of the largest score
RESTORING = 20  # steps back to the boundary after one along it


@dataclass(frozen=True, eq=False)
class Counterfactual:
    """An input on the boundary to another class.

    inputs: (1, …), as the model takes them.  changes: what was added to x.  distance: its Euclidean length.
    scores: of the model there.  margin: the score of the wanted class less the largest other one; for a model of one
    output that score itself, or less it. 0 is the boundary.  reached: whether the boundary was reached.
    """

    inputs: Tensor
    changes: Tensor
    distance: float
    scores: Tensor
    margin: float
    reached: bool


def counterfactual(
    explainer: Explainer,
    x: Tensor,
    to: int,
    keep: Any = None,
    low: Any = None,
    high: Any = None,
    expert: Any = None,
    *,
    margin: float = 0.0,
    steps: int = 100,
) -> Counterfactual:
    """Change x as little as possible until the model says `to`.

    x: one input with its batch dimension.  to: the class; for a model of one output 1 (above 0) or 0 (below).
    keep: True where x must stay as it is, of a shape that broadcasts to x.  low, high: numbers or tensors that bound x.
    expert: of lw.experts, which keeps what comes out plausible: −½‖x' − x‖² + log p(x') is made as large as can be.
    margin: by how much the wanted class must win; 0 ends on the boundary.  steps: at most.
    Each step goes to the point nearest to x on the model's tangent plane, within the bounds: for a linear model that is
    the answer at once, x − f w / ‖w‖². Raises TypeError or ValueError; where nothing is found `reached` is False.
    """
    own = own_explainer(explainer)
    check_input(x)
    if len(x) != 1:
        raise ValueError(f"counterfactual takes one input with its batch dimension, got {len(x)} rows.")
    checked_count("steps", steps, 10**5, "the steps of a climb")
    if isinstance(margin, bool) or not isinstance(margin, int | float) or not 0 <= margin < 1e15:
        raise ValueError(f"margin must be a number from 0 up, got {brief(margin)}.")
    start = x.detach()
    free = ~_broadcast("keep", False if keep is None else keep, start).bool()
    floor = _broadcast("low", -torch.inf if low is None else low, start)
    ceiling = _broadcast("high", torch.inf if high is None else high, start)
    if bool((floor > ceiling).any()):
        raise ValueError("low must not be above high.")
    if bool(((start < floor) | (start > ceiling))[free].any()):
        raise ValueError("x must lie between low and high where it may change.")
    if expert is not None:
        expert.check(tuple(start.shape[1:]))
    _check_class(to, own.scores(start))
    descent = _Descent(own, to, margin, start, free, floor, ceiling, expert)
    found, reached = descent.down(start, steps)
    if reached:
        found = descent.along(found, steps)
    scores, changes = own.scores(found), found - start
    return Counterfactual(found, changes, float(changes.norm()), scores, _margin_at(own, found, to, 0.0)[0], reached)


@dataclass(frozen=True, eq=False)
class _Descent:
    """The way to the boundary, and along it to the point nearest to where it began."""

    explainer: Explainer
    to: int
    margin: float
    start: Tensor
    free: Tensor
    low: Tensor
    high: Tensor
    expert: Any

    def cost(self, x: Tensor) -> float:
        """½‖x − start‖² − log p(x), which is made small."""
        square = float((x - self.start).double().square().sum()) / 2
        return square if self.expert is None else square - float(self.expert.log_density(x).sum())

    def down(self, x: Tensor, steps: int) -> tuple[Tensor, bool]:
        """From x to the boundary, and whether it was reached: each step to the nearest point of the tangent plane."""
        for _ in range(steps):
            value, slope = _margin_at(self.explainer, x, self.to, self.margin)
            if abs(value) <= CLOSE * max(1.0, float(self.explainer.scores(x).abs().max())):
                return x, True
            if not bool(torch.isfinite(slope).all()) or not bool((slope * self.free != 0).any()):
                return x, False  # nothing that may change matters
            moved = self._on_plane(x, x, value, slope)
            if torch.equal(moved, x):
                return x, False
            x = moved
        return x, False

    def along(self, x: Tensor, steps: int) -> Tensor:
        """From a point of the boundary to the nearest one that a descent finds: shorter steps where one leads away."""
        share = 1.0
        for _ in range(steps):
            value, slope = _margin_at(self.explainer, x, self.to, self.margin)
            if not bool((slope * self.free != 0).any()):
                return x
            anchor = self.start if self.expert is None else self.start + _pull(self.expert, x)
            step = self._on_plane(anchor, x, value, slope) - x
            if float(step.norm()) <= 1e-9 * (1 + float((x - self.start).norm())):
                return x
            while share > 1e-4:
                moved, reached = self.down(x + share * step, RESTORING)
                if reached and self.cost(moved) < self.cost(x):
                    x, share = moved, min(1.0, 2 * share)
                    break
                share /= 2
            else:
                return x
        return x

    def _on_plane(self, anchor: Tensor, at: Tensor, value: float, slope: Tensor) -> Tensor:
        moved = _nearest_on_plane(anchor, at, value, slope, self.free, self.low, self.high)
        return torch.where(self.free, moved, self.start)


def _broadcast(name: str, value: Any, like: Tensor) -> Tensor:
    try:
        return torch.as_tensor(value).to(like.device).expand(like.shape)
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(f"{name} must broadcast to the input, {tuple(like.shape)}, got {brief(value)}.") from None


def _check_class(to: Any, scores: Tensor) -> None:
    count = scores[0].numel()
    classes = 2 if count == 1 else count
    if isinstance(to, bool) or not isinstance(to, int) or not 0 <= to < classes:
        raise ValueError(f"to must be a class in [0, {classes - 1}], got {brief(to)}.")


def _margin_at(explainer: Explainer, x: Tensor, to: int, wanted: float) -> tuple[float, Tensor]:
    """By how much the wanted class wins beyond what is asked for, and the gradient of that."""
    x = x.detach().clone().requires_grad_()
    with torch.inference_mode(False), torch.enable_grad():
        scores = explainer.select(explainer.model(x))[0].flatten()
        if len(scores) == 1:
            value = scores[0] if to == 1 else -scores[0]
        else:
            others = torch.cat([scores[:to], scores[to + 1 :]])
            value = scores[to] - others.max()
        (slope,) = torch.autograd.grad(value, x)
    return float(value.detach()) - wanted, slope


def _pull(expert: Any, x: Tensor) -> Tensor:
    """∇ log p(x)."""
    x = x.detach().clone().requires_grad_()
    with torch.enable_grad():
        (slope,) = torch.autograd.grad(expert.log_density(x).sum(), x)
    return slope


def _nearest_on_plane(
    anchor: Tensor, at: Tensor, value: float, slope: Tensor, free: Tensor, low: Tensor, high: Tensor
) -> Tensor:
    """The point within the bounds nearest to `anchor` with value + slope · (x − at) = 0, or as near to 0 as can be.

    It is clip(anchor + λ slope) for one number λ, and the value there rises with λ: found by halving.
    """
    direction = torch.where(free, slope, 0)

    def moved(multiplier: float) -> Tensor:
        return torch.where(free, torch.clamp(anchor + multiplier * direction, low, high), at)

    def there(multiplier: float) -> float:
        return value + float(((moved(multiplier) - at) * slope).double().sum())

    square = float(direction.double().square().sum())
    guess = (value + float(((anchor - at) * direction).double().sum())) / square
    if bool(torch.isinf(low).all()) and bool(torch.isinf(high).all()):
        return moved(-guess)
    least, most = (-abs(guess) - 1e-12, abs(guess) + 1e-12)
    for _ in range(HALVINGS):
        if there(least) <= 0 or there(2 * least) == there(least):
            break
        least *= 2
    for _ in range(HALVINGS):
        if there(most) >= 0 or there(2 * most) == there(most):
            break
        most *= 2
    for _ in range(HALVINGS):
        middle = (least + most) / 2
        least, most = (middle, most) if there(middle) < 0 else (least, middle)
    return moved(most)
