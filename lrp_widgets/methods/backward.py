"""Backwards over a recorded run, with another adjoint wherever a method asks for one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from lrp_widgets.engine.operators.treatments import Options, lookup, overwriting, vjp
from lrp_widgets.engine.trace.step import Ref, Step
from lrp_widgets.engine.trace.tape import Tape
from lrp_widgets.methods.question import go_on

__all__ = ["StepAdjoint", "backward", "chain_rule", "is_rectifier"]

StepAdjoint = Callable[..., list[Tensor]]


def backward(
    tape: Tape, slope: Tensor, adjoint: Callable[[Step, Tape], StepAdjoint], abandoned: Callable[[], bool]
) -> dict[int, Tensor]:
    """What arrives at each value when `slope` is taken from the output down; with `chain_rule`, ∂f/∂value.

    adjoint: for a step, the map from what arrives at its outputs to one tensor for each of its inputs.
    """
    arrived = {tape.output: slope}
    for step in reversed(tape.steps):
        go_on(abandoned)
        out = [arrived.get(value) for value in step.outputs if value is not None]
        if all(s is None for s in out):
            continue
        for value, handed in zip(step.inputs, adjoint(step, tape)(*out), strict=True):
            arrived[value] = arrived[value] + handed if value in arrived else handed
    return arrived


def chain_rule(step: Step, tape: Tape) -> StepAdjoint:
    """The step's own derivative; a token has that of its whole embedding, added up."""
    if step.op not in ("embedding", "as_strided_scatter"):
        return vjp(step, tape)[0]
    pullback = (lookup if step.op == "embedding" else overwriting)(step, tape, Options())
    return lambda *s: [handed for handed in pullback(*s)[0] if handed is not None]


def is_rectifier(step: Step) -> bool:
    """Whether a step is max(0, z), whatever it is called; it may be cut off above, as ReLU6 is."""
    low = _lowest(step) if len(step.inputs) == 1 else None
    return not bool(low.any()) if isinstance(low, Tensor) else low == 0


def _lowest(step: Step) -> Any:
    """What the step's values are kept above, None where it is not such a step."""
    options = dict(zip(("self", "min", "max"), step.args, strict=False)) | step.kwargs
    if step.op == "relu":
        return 0
    if step.op == "threshold":
        return 0 if tuple(step.args[1:3]) == (0, 0) else None
    if step.op in ("clamp", "clamp_min"):
        return options.get("min")
    if step.op == "hardtanh":
        return step.kwargs.get("min_val", step.args[1] if len(step.args) > 1 else -1)
    if step.op == "maximum":
        return step.args[1] if isinstance(step.args[0], Ref) else step.args[0]
    return None
