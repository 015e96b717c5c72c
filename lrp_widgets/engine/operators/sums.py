"""Sums of tensors: each has its share of the answer."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from lrp_widgets.engine.layers.reciprocal import kept, reciprocal_and_zeros
from lrp_widgets.engine.operators.options import Options
from lrp_widgets.engine.operators.pullback import Pullback, PulledBack
from lrp_widgets.engine.trace.step import Ref, Step
from lrp_widgets.engine.trace.tape import Tape

__all__ = ["residual_sum"]


def residual_sum(step: Step, tape: Tape, options: Options) -> Pullback:
    """R_i = a_i / Σ_i a_i · R: a sum of tensors is split in proportion; a constant in it is a bias."""
    z = tape.values[step.output]
    signs = _sum_signs(step)
    one_over_z, dead = reciprocal_and_zeros(z)
    active = [(item, sign) for item, sign in signs if isinstance(item, Ref)]
    constants = [(item, sign) for item, sign in signs if not isinstance(item, Ref)]

    def pullback(relevance: Tensor) -> PulledBack:
        s = relevance * one_over_z
        handed: list[Tensor | None] = []
        for item, sign in active:
            a = tape.values[item.value]
            handed.append((a * (s if sign == 1 else sign * s)).sum_to_size(a.shape))
        absorbed: dict[str, Tensor] = {}
        for item, sign in constants:
            absorbed["bias"] = kept(s, sign * item)
        if dead is not None:
            absorbed["no input"] = relevance * dead
        return handed, absorbed

    return pullback


def _sum_signs(step: Step) -> list[tuple[Any, float]]:
    alpha = step.kwargs.get("alpha", step.args[2] if len(step.args) > 2 else 1)
    terms: tuple[Any, ...] = step.args
    first, second = terms[0], terms[1]
    if step.op == "add":
        return [(first, 1.0), (second, float(alpha))]
    if step.op == "sub":
        return [(first, 1.0), (second, -float(alpha))]
    return [(first, -float(alpha)), (second, 1.0)]  # rsub: other − alpha · self
