"""Operators that hand relevance on as it is: elementwise ones, and those that move elements about."""

from __future__ import annotations

import torch
from torch import Tensor

from lrp_widgets.engine.operators.options import Options
from lrp_widgets.engine.operators.pullback import Pullback, PulledBack, vjp
from lrp_widgets.engine.trace.step import Ref, Step
from lrp_widgets.engine.trace.tape import Tape

__all__ = ["identity", "lookup", "overwriting", "routing"]


def identity(step: Step, tape: Tape, options: Options) -> Pullback:
    """R_in = R_out: activation functions, scalings by constants, whatever acts on each element alone."""
    shape = tape.values[step.inputs[0]].shape

    def pullback(*relevance: Tensor | None) -> PulledBack:
        assert relevance[0] is not None
        return [relevance[0] if relevance[0].shape == shape else relevance[0].sum_to_size(shape)], {}

    return pullback


def routing(step: Step, tape: Tape, options: Options) -> Pullback:
    """Every output element is one input element or a constant: R goes back where the element came from."""
    adjoint, _ = vjp(step, tape)

    def pullback(*relevance: Tensor | None) -> PulledBack:
        return list(adjoint(*relevance)), "constant"

    return pullback


def lookup(step: Step, tape: Tape, options: Options) -> Pullback:
    """R_token = Σ_d R_d: a token has the relevance of its whole embedding."""
    if isinstance(step.args[0], Ref):  # a table made from the input
        return routing(step, tape, options)

    def pullback(relevance: Tensor) -> PulledBack:
        return [relevance.sum(-1)], {}

    return pullback


def overwriting(step: Step, tape: Tape, options: Options) -> Pullback:
    """A memory after a write through a view: what was written takes the R of its place, the rest keeps its own."""
    memory, source, *geometry = step.args  # torch's own derivative of as_strided_scatter swaps the two

    def pullback(relevance: Tensor) -> PulledBack:
        flat = relevance.contiguous()
        written = flat.as_strided(*geometry)
        handed: list[Tensor | None] = []
        if isinstance(memory, Ref):
            handed.append(torch.as_strided_scatter(flat, torch.zeros_like(written), *geometry))
        if isinstance(source, Ref):
            handed.append(written.clone())
        return handed, "constant"

    return pullback
