"""Operators that are linear in each of their arguments: sums that are gathered, products of several tensors.

    R_i = s_i · a_i ⊙ Jᵀ(R / z)

J is the operator's own derivative. An operator that multiplies n tensors which all depend on the input would hand on n
times its relevance: each of them takes the share s_i = 1 / n. What constants add to the sum stays as "bias".
"""

from __future__ import annotations

from torch import Tensor

from lrp_widgets.engine.layers.reciprocal import reciprocal
from lrp_widgets.engine.operators.first_order import fallback
from lrp_widgets.engine.operators.identity_routing import routing
from lrp_widgets.engine.operators.options import Options
from lrp_widgets.engine.operators.pullback import OperatorRule, Pullback, PulledBack, vjp
from lrp_widgets.engine.trace.step import Ref, Step, ref_places
from lrp_widgets.engine.trace.tape import Tape

__all__ = ["gate_last", "gathered", "linear", "multilinear", "of_first", "product_over", "written_into"]


def linear(step: Step, tape: Tape, options: Options) -> Pullback:
    """R_i = a_i ⊙ Jᵀ(R / z): every argument that depends on the input adds to the answer."""
    return _shared(step, tape, [1.0] * len(step.inputs))


def multilinear(*factors: int) -> OperatorRule:
    """The rule of an operator that multiplies the arguments at these positions; others are added to the product."""

    def rule(step: Step, tape: Tape, options: Options) -> Pullback:
        active = [place for place in factors if place < len(step.args) and isinstance(step.args[place], Ref)]
        shares = [1 / len(active) if place in active else 1.0 for place in ref_places(step.args)]
        return _shared(step, tape, shares + [1.0] * (len(step.inputs) - len(shares)))

    return rule


def gate_last(step: Step, tape: Tape, options: Options) -> Pullback:
    """lerp(x, y, g) = x + g (y − x): a weight that depends on the input is a gate, and the signals take all."""
    places = ref_places(step.args)
    return _shared(step, tape, [0.0 if place == 2 else 1.0 for place in places])


def of_first(step: Step, tape: Tape, options: Options) -> Pullback:
    """The first argument takes all, and the others are held constant."""
    return _shared(step, tape, [1.0] + [0.0] * (len(step.inputs) - 1))


def product_over(step: Step, tape: Tape, options: Options) -> Pullback:
    """z = Π_i a_i: each of the n factors takes R / n."""
    a, z = tape.values[step.inputs[0]], tape.values[step.output]
    return _shared(step, tape, [z.numel() / a.numel()])


def written_into(step: Step, tape: Tape, options: Options) -> Pullback:
    """index_put and put: values that are added share in proportion, values that replace are routed."""
    accumulates = step.kwargs.get("accumulate", step.args[3] if len(step.args) > 3 else False)
    return linear(step, tape, options) if accumulates else routing(step, tape, options)


def gathered(step: Step, tape: Tape, options: Options) -> Pullback:
    """scatter_reduce and index_reduce: sums and means share in proportion, maxima are routed."""
    how = next((arg for arg in (*step.args, *step.kwargs.values()) if isinstance(arg, str)), "sum")
    if how in ("amax", "amin"):
        return routing(step, tape, options)
    return (linear if how in ("sum", "mean", "add") else fallback)(step, tape, options)


def _shared(step: Step, tape: Tape, shares: list[float]) -> Pullback:
    """R_i = s_i · a_i ⊙ Jᵀ(R / z); where z is 0, or a constant adds to it, the difference stays as "bias"."""
    adjoint, outputs = vjp(step, tape)
    over = [reciprocal(z) for z in outputs]

    def pullback(*relevance: Tensor | None) -> PulledBack:
        s = [None if r is None else r * one_over_z for r, one_over_z in zip(relevance, over, strict=False)]
        parts = zip(step.inputs, adjoint(*s), shares, strict=True)
        return [tape.values[value] * c * share for value, c, share in parts], "bias"

    return pullback
