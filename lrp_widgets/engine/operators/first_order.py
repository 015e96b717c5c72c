"""Operators that are not linear: R_in = a ⊙ vjp(R / (z + ε)), ε = 1e-9 rms z; the difference is kept by name."""

from __future__ import annotations

import torch
from torch import Tensor

from lrp_widgets.engine.layers.reciprocal import damped
from lrp_widgets.engine.operators.options import Options
from lrp_widgets.engine.operators.pullback import Pullback, PulledBack, vjp
from lrp_widgets.engine.trace.step import Step
from lrp_widgets.engine.trace.tape import Tape

__all__ = ["fallback", "first_order", "taylor"]


def first_order(step: Step, tape: Tape, cause: str) -> Pullback:
    adjoint, outputs = vjp(step, tape)
    over = [damped(z, 1e-9 * _size(z)) for z in outputs]

    def pullback(*relevance: Tensor | None) -> PulledBack:
        s = [None if r is None else r * o for r, o in zip(relevance, over, strict=True)]
        handed = [tape.values[v] * c for v, c in zip(step.inputs, adjoint(*s), strict=True)]
        # A softmax over −∞ logits makes 0 · ∞: such logits count 0.
        return [torch.nan_to_num(t, nan=0.0, posinf=0.0, neginf=0.0) for t in handed], cause

    return pullback


def _size(z: Tensor) -> Tensor:
    """The root mean square of each row: an ε of this size is small whatever the unit of z is."""
    finite = torch.nan_to_num(z, nan=0.0, posinf=0.0, neginf=0.0)
    axes = tuple(range(1, z.ndim)) if z.ndim > 1 else tuple(range(z.ndim))
    return finite.square().mean(axes, keepdim=True).sqrt() if axes else finite.abs()


def taylor(step: Step, tape: Tape, options: Options) -> Pullback:
    """R_in = x ⊙ Jᵀ(R / z), for a softmax x_i (R_i − s_i Σ_j R_j) (AttnLRP): what is not linear stays, by name."""
    return first_order(step, tape, step.op.strip("_"))


def fallback(step: Step, tape: Tape, options: Options) -> Pullback:
    """An op nobody thought of: R_in = a ⊙ vjp(R / (z + ε)); the difference is absorbed as "fallback"."""
    return first_order(step, tape, "fallback")
